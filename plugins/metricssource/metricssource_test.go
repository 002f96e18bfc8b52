package metricssource_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"

	"semantic-epp/config"
	"semantic-epp/plugins/metricssource"
)

func TestPolls(t *testing.T) {
	tests := map[string]struct {
		running    string
		parameters metricssource.Parameters
		most       int64 // pages read in 40 ticks, a millisecond apart or more
		least      int64
	}{
		"a busy endpoint is polled at each interval": {"3", metricssource.Parameters{BusyInterval: ms(10), IdleInterval: ms(1000)}, 40, 2},
		"an idle endpoint is left alone":             {"0", metricssource.Parameters{BusyInterval: ms(10), IdleInterval: ms(60000)}, 2, 1},
		"the budget bounds what busy endpoints cost": {"3", metricssource.Parameters{BusyInterval: ms(10), IdleInterval: ms(1000), MaxPollsPerSecond: 1}, 5, 1},
		"a page at another path is found there, too": {"3", metricssource.Parameters{Path: "/engine/metrics", BusyInterval: ms(10)}, 40, 2},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var pages atomic.Int64
			path := tc.parameters.Path
			if path == "" {
				path = "/metrics"
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != path {
					t.Errorf("polled %s", r.URL.Path)
				}
				pages.Add(1)
				_, _ = w.Write([]byte("vllm:num_requests_running " + tc.running + "\n"))
			}))
			defer server.Close()
			source, err := metricssource.New("source", tc.parameters)
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			host := server.Listener.Addr().(*net.TCPAddr)
			ep := datalayer.NewEndpoint(&datalayer.EndpointMetadata{MetricsHost: host.String()}, nil)
			for range 40 {
				if data, err := source.Poll(t.Context(), ep); data != nil || err != nil {
					t.Fatalf("polling gave %v, %v", data, err)
				}
				time.Sleep(time.Millisecond)
			}
			if n := pages.Load(); n < tc.least || n > tc.most {
				t.Errorf("%d pages, want %d to %d", n, tc.least, tc.most)
			}
		})
	}
}

func ms(n int) config.Duration { return config.Duration(n) * config.Duration(time.Millisecond) }

func TestAPageThatCannotBeRead(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"an error":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"of something else": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("go_goroutines 7\n")) },
		"without end":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 5<<20)) },
		"that is somewhere else": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			source, err := metricssource.New("source", metricssource.Parameters{})
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			ep := datalayer.NewEndpoint(&datalayer.EndpointMetadata{MetricsHost: server.Listener.Addr().String()}, nil)
			if _, err := source.Poll(t.Context(), ep); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestParametersOutOfBounds(t *testing.T) {
	_, err := metricssource.Factory("source", json.RawMessage(`{"path": "metrics", "busyInterval": "1ms", "idleInterval": "500us", "maxPollsPerSecond": -1}`),
		plugin.NewEppHandle(t.Context(), nil))
	for _, want := range []string{"path", "busyInterval", "idleInterval", "maxPollsPerSecond"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
}
