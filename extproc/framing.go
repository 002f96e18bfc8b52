package extproc

import (
	"strconv"
	"strings"
)

const unknownLength = -1

// framing says how the end of a body that comes in BUFFERED mode shows. Two
// gateways differ: before trailers, Envoy sends the whole body in one message
// without end_of_stream and waits for the answer; AgentGateway may send
// end_of_stream in an empty message after the body. Waiting is wrong for the
// one, answering early might be for the other.
type framing struct {
	length     int64 // content-length, or unknownLength
	oneMessage bool  // the gateway is known to send the whole body at once
}

func framingOf(h Headers) framing {
	return framing{length: contentLength(h), oneMessage: pseudoFirst(h)}
}

// complete reports whether a buffered body of which so many bytes came, the
// last message with or without end_of_stream, is all there.
func (f framing) complete(received int64, endOfStream bool) bool {
	switch {
	case endOfStream:
		return true
	case f.length != unknownLength:
		return received >= f.length
	default:
		return f.oneMessage
	}
}

// contentLength returns unknownLength for a length that is absent, repeated
// with another value, or not a number.
func contentLength(h Headers) int64 {
	length := int64(unknownLength)
	for _, f := range h.fields {
		if f.GetKey() != "content-length" {
			continue
		}
		n, err := strconv.ParseInt(valueOf(f), 10, 64)
		if err != nil || n < 0 || (length != unknownLength && length != n) {
			return unknownLength
		}
		length = n
	}
	return length
}

// pseudoFirst tells Envoy, whose header maps begin with the pseudo header
// fields, from AgentGateway, which appends them.
func pseudoFirst(h Headers) bool {
	return len(h.fields) > 0 && strings.HasPrefix(h.fields[0].GetKey(), ":")
}
