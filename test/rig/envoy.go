package rig

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// startPatience is how long a process may take to become ready.
const startPatience = 30 * time.Second

// A BodyMode is how Envoy sends bodies to the endpoint picker: the name of a
// value of envoy.extensions.filters.http.ext_proc.v3.ProcessingMode.BodySendMode.
type BodyMode string

// The body modes of Envoy.
const (
	FullDuplexStreamed BodyMode = "FULL_DUPLEX_STREAMED"
	Buffered           BodyMode = "BUFFERED"
	BufferedPartial    BodyMode = "BUFFERED_PARTIAL"
	Streamed           BodyMode = "STREAMED"
	None               BodyMode = "NONE"
)

// ExtProc is Envoy's side of External Processing.
type ExtProc struct {
	// Address of the picker, "ip:port".
	Address string
	// TLS encrypts, and accepts any certificate, as InferencePool gateways do.
	TLS bool
	// RequestBody and ResponseBody are the body modes; default FullDuplexStreamed.
	RequestBody, ResponseBody BodyMode
	// Trailers sends trailers in every mode; in FullDuplexStreamed they are
	// sent in any case.
	Trailers bool
	// AllowModeOverride lets the picker change the modes.
	AllowModeOverride bool
	// FailOpen passes requests on when the picker fails (failure_mode_allow).
	FailOpen bool
	// MessageTimeout for one answer of the picker; default Envoy's 200 ms.
	MessageTimeout time.Duration
}

// SendsRequestTrailers is for the template.
func (x ExtProc) SendsRequestTrailers() bool {
	return x.Trailers || x.RequestBody == FullDuplexStreamed
}

// SendsResponseTrailers is for the template.
func (x ExtProc) SendsResponseTrailers() bool {
	return x.Trailers || x.ResponseBody == FullDuplexStreamed
}

// A Pool is the cluster of one model. Requests that carry its Model as
// x-selected-model go there; the endpoint is the one that
// x-gateway-destination-endpoint names, as header or as metadata of envoy.lb.
type Pool struct {
	Model     string
	Endpoints []string // "ip:port"
}

// EnvoyConfig describes an Envoy. Clients speak HTTP/1.1 or unencrypted HTTP/2
// to it, on one port.
type EnvoyConfig struct {
	// Binary is the path of Envoy; default FindEnvoy.
	Binary string
	// Port for clients; default a free one.
	Port int
	// ExtProc is nil for an Envoy that asks nobody.
	ExtProc *ExtProc

	// Pools are the models' clusters, with the override_host policy. Without
	// pools, requests go wherever x-gateway-destination-endpoint says, by an
	// ORIGINAL_DST cluster.
	Pools []Pool
	// DefaultPool is the Model of the pool for requests that no pool matches;
	// without it they get 404.
	DefaultPool string
	// PickOnly answers 503 when the picked endpoint is not in the pool; without
	// it Envoy takes any endpoint of the pool.
	PickOnly bool
	// Retries is how often a request is tried again on another endpoint.
	Retries int

	// UpstreamH2C speaks HTTP/2 to endpoints, in place of HTTP/1.1.
	UpstreamH2C bool
	// BufferLimitBytes is per_connection_buffer_limit_bytes on both sides;
	// default Envoy's 1 MiB.
	BufferLimitBytes int
	// AccessLog is a file to append one JSON object a request to; default none.
	AccessLog string
	// Concurrency is the number of worker threads; default 1.
	Concurrency int
}

// withDefaults fills in what is not given and reports everything that cannot be.
func (c EnvoyConfig) withDefaults() (EnvoyConfig, error) {
	var errs []error
	if c.ExtProc != nil {
		x := *c.ExtProc
		for _, mode := range []*BodyMode{&x.RequestBody, &x.ResponseBody} {
			switch *mode {
			case "":
				*mode = FullDuplexStreamed
			case FullDuplexStreamed, Buffered, BufferedPartial, Streamed, None:
			default:
				errs = append(errs, fmt.Errorf("body mode %q is none of Envoy's", *mode))
			}
		}
		errs = append(errs, checkAddress(x.Address))
		c.ExtProc = &x
	}
	known := c.DefaultPool == ""
	for _, pool := range c.Pools {
		known = known || pool.Model == c.DefaultPool
		for _, endpoint := range pool.Endpoints {
			errs = append(errs, checkAddress(endpoint))
		}
	}
	if !known {
		errs = append(errs, fmt.Errorf("default pool %q is not among the pools", c.DefaultPool))
	}
	if c.Concurrency == 0 {
		c.Concurrency = 1
	}
	if c.Binary == "" {
		var err error
		c.Binary, err = FindEnvoy()
		errs = append(errs, err)
	}
	return c, errors.Join(errs...)
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if _, badPort := strconv.ParseUint(port, 10, 16); err != nil || badPort != nil || net.ParseIP(host) == nil {
		return fmt.Errorf("address %q is not ip:port", address)
	}
	return nil
}

//go:embed envoy.yaml.tmpl
var files embed.FS

var bootstrap = template.Must(template.New("envoy.yaml.tmpl").Funcs(template.FuncMap{
	"js": func(s string) (string, error) { // JSON is YAML
		b, err := json.Marshal(s)
		return string(b), err
	},
	"seconds": func(d time.Duration) string { return fmt.Sprintf("%.9fs", d.Seconds()) },
	"socket": func(address string) (string, error) {
		host, port, err := net.SplitHostPort(address)
		return fmt.Sprintf("{socket_address: {address: %q, port_value: %s}}", host, port), err
	},
}).ParseFS(files, "envoy.yaml.tmpl"))

// Bootstrap renders the configuration file that Envoy starts with.
func (c EnvoyConfig) Bootstrap() ([]byte, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure Envoy: %w", err)
	}
	var b bytes.Buffer
	if err := bootstrap.Execute(&b, c); err != nil {
		return nil, fmt.Errorf("render Envoy's configuration: %w", err)
	}
	return b.Bytes(), nil
}

// An Envoy is a running Envoy.
type Envoy struct {
	*Process
	dir   string // of the configuration file; removed by Stop
	admin string
	addr  string
}

// ErrPortInUse means that somebody else listens on EnvoyConfig.Port.
var ErrPortInUse = errors.New("the port is in use")

// StartEnvoy starts an Envoy and returns when it serves. Its error is
// ErrPortInUse when that is the cause.
func StartEnvoy(ctx context.Context, cfg EnvoyConfig) (_ *Envoy, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure Envoy: %w", err)
	}
	content, err := cfg.Bootstrap()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "semantic-epp-envoy-")
	if err != nil {
		return nil, fmt.Errorf("start Envoy: %w", err)
	}
	e := &Envoy{dir: dir}
	defer func() {
		if err == nil {
			return
		}
		if e.Process != nil {
			e.Kill()
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	config, adminFile := filepath.Join(dir, "envoy.yaml"), filepath.Join(dir, "admin")
	if err := os.WriteFile(config, content, 0o600); err != nil {
		return nil, fmt.Errorf("start Envoy: %w", err)
	}
	e.Process, err = startProcess("Envoy", cfg.Binary, []string{
		"-c", config, "--admin-address-path", adminFile, "--concurrency", strconv.Itoa(cfg.Concurrency),
		"--disable-hot-restart", "--file-flush-interval-msec", "20", "--log-level", "warning",
	}, nil, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := e.poll(ctx, func(ctx context.Context) error { return e.ready(ctx, adminFile) }); err != nil {
		if strings.Contains(e.Output().String(), "Address already in use") {
			return nil, fmt.Errorf("start Envoy on port %d: %w: %w", cfg.Port, ErrPortInUse, err)
		}
		return nil, err
	}
	return e, nil
}

// ready learns the addresses and asks whether Envoy serves.
func (e *Envoy) ready(ctx context.Context, adminFile string) error {
	admin, err := os.ReadFile(adminFile)
	if err != nil {
		return err
	}
	e.admin = "http://" + strings.TrimSpace(string(admin))
	if _, err := e.Admin(ctx, "/ready"); err != nil {
		return err
	}
	content, err := e.Admin(ctx, "/listeners?format=json")
	if err != nil {
		return err
	}
	var listeners struct {
		Statuses []struct {
			Local struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal([]byte(content), &listeners); err != nil {
		return fmt.Errorf("read Envoy's listeners: %w", err)
	}
	if len(listeners.Statuses) != 1 {
		return fmt.Errorf("Envoy has %d listeners, want 1", len(listeners.Statuses))
	}
	socket := listeners.Statuses[0].Local.Socket
	e.addr = net.JoinHostPort(socket.Address, strconv.Itoa(socket.Port))
	return nil
}

// Addr is where clients reach Envoy, "ip:port".
func (e *Envoy) Addr() string { return e.addr }

// URL is where clients reach Envoy, without a slash at its end.
func (e *Envoy) URL() string { return "http://" + e.addr }

// Admin gets a page of Envoy's admin interface, such as /stats or /config_dump.
func (e *Envoy) Admin(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.admin+path, nil)
	if err != nil {
		return "", fmt.Errorf("ask Envoy for %s: %w", path, err)
	}
	req.Close = true // leaves no connection behind
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return "", fmt.Errorf("ask Envoy for %s: %w", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("ask Envoy for %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask Envoy for %s: status %d: %.200s", path, resp.StatusCode, body)
	}
	return string(body), nil
}

// Stop ends Envoy, as Process.Stop does, and removes its configuration file.
func (e *Envoy) Stop(ctx context.Context) error {
	return errors.Join(e.Process.Stop(ctx), os.RemoveAll(e.dir))
}
