package endpoints

import "strings"

// ServedElsewhere says whether another endpoint answered than one of those that
// were picked. picked is what the reply to the gateway named, an "ip:port" or
// an ordered list of them with commas between; served is what the gateway
// reports in x-gateway-destination-endpoint-served (GIE proposal 004, Endpoint
// Picker Protocol). Gateways that report nothing are taken at their word.
func ServedElsewhere(picked, served string) bool {
	served = strings.TrimSpace(served)
	if served == "" || picked == "" {
		return false
	}
	for address := range strings.SplitSeq(picked, ",") {
		if strings.TrimSpace(address) == served {
			return false
		}
	}
	return true
}
