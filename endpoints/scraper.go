package endpoints

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
)

// maxPage bounds a metrics page. vLLM's is about 44 KB.
const maxPage = 4 << 20

// A Scraper reads the metrics pages of model servers. It is safe for
// concurrent use, one call at a time for each endpoint.
type Scraper struct {
	path    string
	client  *http.Client
	buffers sync.Pool // of *bytes.Buffer
}

// NewScraper reads pages over plain HTTP at path, usually /metrics.
func NewScraper(path string) *Scraper {
	return &Scraper{
		path: path,
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
				DisableCompression:  true, // the page is on the same network: unpacking costs more than it saves
				MaxIdleConns:        1024,
				MaxIdleConnsPerHost: 1,
				IdleConnTimeout:     time.Minute,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return errors.New("redirected; the address of an endpoint must serve its metrics itself")
			},
		},
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
}

// Scrape reads the page of an endpoint and sets its metrics. The time of
// update is that of the start: what happens meanwhile may not be on the page.
func (s *Scraper) Scrape(ctx context.Context, ep datalayer.Endpoint) error {
	load := LoadOf(ep)
	start := time.Now()
	buf := s.buffers.Get().(*bytes.Buffer)
	defer s.buffers.Put(buf)
	buf.Reset()
	err := s.read(ctx, ep.GetMetadata().GetMetricsHost(), buf)
	load.polled(start, err == nil)
	if err != nil {
		return err
	}
	p := scan(buf.Bytes())
	if p.found&(seriesWaiting|seriesRunning|seriesKVUsage) == 0 {
		return fmt.Errorf("the metrics page of %s has no series of vLLM, SGLang or TensorRT-LLM", ep.GetMetadata().NamespacedName)
	}
	ep.UpdateMetrics(load.metrics(p, start))
	load.servesModel(p.modelName)
	return nil
}

func (s *Scraper) read(ctx context.Context, host string, into *bytes.Buffer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+s.path, nil)
	if err != nil {
		return fmt.Errorf("read metrics of %s: %w", host, err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("read metrics of %s: status %d", host, resp.StatusCode)
	}
	if _, err := into.ReadFrom(io.LimitReader(resp.Body, maxPage+1)); err != nil {
		return fmt.Errorf("read metrics of %s: %w", host, err)
	}
	if into.Len() > maxPage {
		return fmt.Errorf("read metrics of %s: page of more than %d bytes", host, maxPage)
	}
	return nil
}

// Close drops idle connections.
func (s *Scraper) Close() { s.client.CloseIdleConnections() }

// metrics turns a page into GIE's metrics. Maps and the cache configuration
// change seldom, so the last ones are kept while their label sets stay equal.
func (l *Load) metrics(p page, at time.Time) *datalayer.Metrics {
	if l.last == nil || !bytes.Equal(l.loraLabels, p.loraLabels) {
		l.loraLabels = append(l.loraLabels[:0], p.loraLabels...)
		l.active = adapters(label(p.loraLabels, "running_lora_adapters"))
		l.waiting = adapters(label(p.loraLabels, "waiting_lora_adapters"))
		l.maxActive = number(label(p.loraLabels, "max_lora"))
	}
	m := &datalayer.Metrics{
		ActiveModels:        l.active,
		WaitingModels:       l.waiting,
		MaxActiveModels:     l.maxActive,
		RunningRequestsSize: int(p.running),
		WaitingQueueSize:    int(p.waiting),
		KVCacheUsagePercent: min(p.kvUsage, 1),
		CacheBlockSize:      number(label(p.cacheLabels, "block_size")),
		CacheNumBlocks:      number(label(p.cacheLabels, "num_gpu_blocks")),
		UpdateTime:          at,
	}
	m.KvCacheMaxTokenCapacity = m.CacheBlockSize * m.CacheNumBlocks
	l.last = m
	return m
}

// adapters reads a list of adapter names, separated by commas.
func adapters(list []byte) map[string]int {
	set := map[string]int{}
	for name := range strings.SplitSeq(string(list), ",") {
		if name = strings.TrimSpace(name); name != "" {
			set[name] = 0
		}
	}
	return set
}

// number reads a count from a label; 0 stands for anything else.
func number(b []byte) int {
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
