package vsr

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"semantic-epp/config"
)

// A backend is an endpoint of vSR's configuration.
type backend struct {
	name, host string
	port       int
	from       *node
}

func (c *converter) readEndpoints() {
	var backends []backend
	if c.format.Generation == 2 {
		backends = c.backendRefs()
	} else {
		backends = c.vllmEndpoints()
	}
	labels := c.label(backends)
	taken := map[string]bool{}
	for _, b := range backends {
		e := config.Endpoint{Name: unique(taken, b.name), Address: b.host, Port: b.port, Labels: labels[b.name]}
		addresses, known := c.addresses(b)
		if !known {
			c.names = append(c.names, e)
			continue
		}
		for i, address := range addresses {
			one := e
			if one.Address = address.String(); i > 0 {
				one.Name = unique(taken, b.name)
			}
			if c.servesAlready(one) {
				c.warn(b.from, Ignored, "another endpoint has this address")
				continue
			}
			c.origin(fmt.Sprintf("endpoints[%d]", len(c.endpoints.Endpoints)), "", b.from)
			c.endpoints.Endpoints = append(c.endpoints.Endpoints, one)
		}
	}
}

func (c *converter) servesAlready(e config.Endpoint) bool {
	return slices.ContainsFunc(c.endpoints.Endpoints, func(other config.Endpoint) bool {
		return other.Address == e.Address && other.Port == e.Port
	})
}

func unique(taken map[string]bool, name string) string {
	one := name
	for i := 2; taken[one]; i++ {
		one = fmt.Sprintf("%s-%d", name, i)
	}
	taken[one] = true
	return one
}

// addresses returns the addresses of an endpoint, false where only its name is
// known.
func (c *converter) addresses(b backend) ([]netip.Addr, bool) {
	if address, err := netip.ParseAddr(strings.Trim(b.host, "[]")); err == nil {
		return []netip.Addr{address.Unmap()}, true
	}
	if c.options.Lookup == nil {
		c.warn(b.from, Approximated, "a DNS name: endpoints have addresses, so look it up, or let a pool of Kubernetes tell them")
		return nil, false
	}
	found, err := c.options.Lookup(b.host)
	if err != nil || len(found) == 0 {
		c.warn(b.from, Approximated, "a DNS name that was not found; endpoints have addresses")
		return nil, false
	}
	c.say(b.from, Approximated, "looked up: later changes of the name are not followed")
	slices.SortFunc(found, netip.Addr.Compare)
	return found, true
}

// vllmEndpoints reads the endpoints of generations 0 and 1.
func (c *converter) vllmEndpoints() []backend {
	var backends []backend
	for _, n := range c.objects(c.vsr.at(c.layout.endpoints)) {
		address, port := n.get("address"), n.get("port")
		b := backend{name: c.str(n.get("name")), host: c.str(address), port: c.port(port, 0), from: address}
		if b.host == "" || b.port == 0 {
			c.cover(n, remark{outcome: Ignored, warn: true, note: "an endpoint needs an address and a port from 1 to 65535"})
			continue
		}
		if b.name == "" {
			b.name = b.host
		}
		c.say(n.get("name"), Taken, "endpoints[].name")
		c.say(address, Taken, "endpoints[].address")
		c.say(port, Taken, "endpoints[].port")
		c.say(n.get("weight"), Ignored, "replicas are chosen by their load and caches, not by weight")
		backends = append(backends, b)
	}
	for _, m := range c.models.list {
		preferred := m.from.get("preferred_endpoints")
		missing := slices.DeleteFunc(slices.Clone(m.backends), func(name string) bool {
			return slices.ContainsFunc(backends, func(b backend) bool { return b.name == name })
		})
		switch {
		case preferred == nil:
		case len(missing) > 0:
			c.warn(preferred, Ignored, "no endpoint of the name %s is defined", strings.Join(missing, ", "))
		case c.options.Standalone:
			c.say(preferred, Taken, "models[].match and endpoints[].labels")
		default:
			c.say(preferred, Approximated, "endpoints[].labels; the model is found by the name that its endpoints report")
		}
	}
	return backends
}

func (c *converter) port(n *node, otherwise int) int {
	if n == nil {
		return otherwise
	}
	v := c.num(n, 0)
	if v != float64(int(v)) || v < 1 || v > 65535 {
		return 0
	}
	return int(v)
}

// local are the providers whose servers are model servers like ours.
var local = []string{"", "vllm", "sglang", "tgi", "ollama", "openai", "openai-compatible", "custom"}

// backendRefs reads the endpoints of generation 2. A model that has none here
// but some in a cloud is external: the gateway knows the way.
func (c *converter) backendRefs() []backend {
	var backends []backend
	for _, n := range c.objects(c.vsr.at(c.layout.models)) {
		m := c.models.named(c.str(n.get("name")))
		refs := c.objects(n.get("backend_refs"))
		if m == nil {
			continue
		}
		var outside []*node
		for _, ref := range refs {
			b, ok := c.backendRef(ref)
			if !ok {
				outside = append(outside, ref)
				continue
			}
			same := slices.IndexFunc(backends, func(o backend) bool { return o.host == b.host && o.port == b.port })
			if same >= 0 {
				m.backends = append(m.backends, backends[same].name)
				continue
			}
			for i, name := 2, b.name; slices.ContainsFunc(backends, func(o backend) bool { return o.name == b.name }); i++ {
				b.name = fmt.Sprintf("%s-%d", name, i)
			}
			backends = append(backends, b)
			m.backends = append(m.backends, b.name)
		}
		m.External = len(refs) > 0 && len(outside) == len(refs)
		for _, ref := range outside {
			r := remark{outcome: Approximated, note: "models[].external: the gateway leads to it and has its credentials"}
			if !m.External {
				r = remark{outcome: Ignored, warn: true, note: "the model has endpoints here, and those alone serve it"}
			}
			c.cover(ref, r)
		}
	}
	return backends
}

// backendRef reads one reference; false where it leads out of the cluster.
func (c *converter) backendRef(ref *node) (backend, bool) {
	where := ref.get("endpoint")
	base := ref.get("base_url")
	text := c.str(where)
	if text == "" {
		where, text = base, c.str(base)
	}
	provider := strings.ToLower(c.str(ref.get("provider")))
	if text == "" || strings.EqualFold(c.str(ref.get("protocol")), "https") || strings.HasPrefix(text, "https://") || !slices.Contains(local, provider) {
		return backend{}, false
	}
	host, port, path := address(text)
	if host == "" || port == 0 {
		c.fault(where, "is neither host:port nor a URL")
		return backend{}, true
	}
	b := backend{name: c.str(ref.get("name")), host: host, port: port, from: where}
	if b.name == "" {
		b.name = host
	}
	c.say(ref.get("name"), Taken, "endpoints[].name")
	c.say(where, Taken, "endpoints[].address and port")
	if path != "" && path != "/" && path != "/v1" {
		c.warn(where, Approximated, "endpoints[].address and port; the path of the request is left as it is")
	}
	for key, note := range map[string]string{
		"protocol": "the gateway speaks HTTP with model servers", "type": "all endpoints are model servers",
		"weight": "replicas are chosen by their load and caches, not by weight", "provider": "all endpoints are model servers",
		"base_url": "endpoint says it", "auth_header": "the gateway has the credentials", "auth_prefix": "the gateway has the credentials",
		"api_key": "the gateway has the credentials", "api_key_env": "the gateway has the credentials",
		"extra_headers": "set them in the gateway, or by headers of rules", "api_version": "the path of the request is left as it is",
		"chat_path": "the path of the request is left as it is",
	} {
		if n := ref.get(key); n != where && n != nil {
			c.cover(n, remark{outcome: Ignored, note: note})
		}
	}
	return b, true
}

// address takes host:port or a URL apart. The port of HTTP is 80.
func address(text string) (host string, port int, path string) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return "", 0, ""
	}
	if u.Port() == "" {
		return u.Hostname(), 80, u.Path
	}
	n, err := strconv.Atoi(u.Port())
	if err != nil || n < 1 || n > 65535 {
		return "", 0, ""
	}
	return u.Hostname(), n, u.Path
}

// label gives endpoints labels by which models find them: model: NAME where an
// endpoint serves one model, serves-NAME: "true" where it serves several.
func (c *converter) label(backends []backend) map[string]map[string]string {
	users := map[string]int{}
	for _, m := range c.models.list {
		for _, name := range m.backends {
			users[name]++
		}
	}
	labels := map[string]map[string]string{}
	for _, m := range c.models.list {
		key, value := "model", m.Name
		mine := slices.DeleteFunc(slices.Clone(m.backends), func(name string) bool {
			return !slices.ContainsFunc(backends, func(b backend) bool { return b.name == name })
		})
		if slices.ContainsFunc(mine, func(name string) bool { return users[name] > 1 }) {
			key, value = "serves-"+m.Name, "true"
		}
		for _, name := range mine {
			if labels[name] == nil {
				labels[name] = map[string]string{}
			}
			labels[name][key] = value
		}
		if c.options.Standalone && len(mine) > 0 && !m.External && m.AdapterOf == "" {
			m.Match = map[string]string{key: value}
		}
	}
	return labels
}

// hostPort writes an endpoint for people.
func hostPort(e config.Endpoint) string { return net.JoinHostPort(e.Address, strconv.Itoa(e.Port)) }
