// Package prefix is the plugin semantic-prefix-producer: it guesses which
// replica holds the beginning of a prompt in its KV cache, for GIE's
// prefix-cache-scorer.
//
// It stands in for GIE's approx-prefix-cache-producer, which marshals all
// messages again to hash their first 16 KB; this one hashes the raw bytes.
package prefix

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/requestcontrol"
	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"
	attrprefix "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/datalayer/attribute/prefix"
	gieprefix "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/requestcontrol/dataproducer/approximateprefix"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/metrics"

	"semantic-epp/config"
)

// Type is the plugin type in a configuration.
const Type = "semantic-prefix-producer"

const (
	bytesPerToken = 4 // what GIE assumes
	hashesKey     = "semantic-epp/prefix-hashes"
	maxBlocks     = 4096
)

// Parameters are what an operator may set; the names are GIE's, so that the
// parameters of a prefix-cache-scorer serve here too.
type Parameters struct {
	// AutoTune takes the block size from the model server. Default true.
	AutoTune *bool `json:"autoTune,omitempty"`
	// BlockSizeTokens is the block size where the model server tells none.
	// Default 16.
	BlockSizeTokens int `json:"blockSizeTokens,omitempty"`
	// MaxPrefixBlocksToMatch bounds what is hashed. Default 256.
	MaxPrefixBlocksToMatch int `json:"maxPrefixBlocksToMatch,omitempty"`
	// MaxPrefixTokensToMatch bounds it in tokens instead.
	MaxPrefixTokensToMatch int `json:"maxPrefixTokensToMatch,omitempty"`
	// LRUCapacityPerServer sizes the one table that all servers share: eight
	// times this many blocks. Default 31250.
	LRUCapacityPerServer int `json:"lruCapacityPerServer,omitempty"`
}

// Plugin is the producer. It is safe for concurrent use.
type Plugin struct {
	name       string
	parameters Parameters
	index      *index
	slots      *slots
}

var (
	_ requestcontrol.PrepareDataPlugin = (*Plugin)(nil)
	_ requestcontrol.PreRequest        = (*Plugin)(nil)
)

// Factory makes the plugin of a configuration.
func Factory(name string, parameters json.RawMessage, handle plugin.Handle) (plugin.Plugin, error) {
	var p Parameters
	if err := config.Strict(parameters, &p); err != nil {
		return nil, fmt.Errorf("decode parameters: %w", err)
	}
	return New(name, p, handle)
}

// New returns the plugin, or an error that names every bad parameter.
func New(name string, p Parameters, handle plugin.Handle) (*Plugin, error) {
	var errs []error
	check := func(key string, v *int, fallback, most int) {
		if *v == 0 {
			*v = fallback
		}
		if *v < 0 || *v > most {
			errs = append(errs, fmt.Errorf("%s: %d; use 1 to %d", key, *v, most))
		}
	}
	check("blockSizeTokens", &p.BlockSizeTokens, 16, 4096)
	check("maxPrefixBlocksToMatch", &p.MaxPrefixBlocksToMatch, 256, maxBlocks)
	check("maxPrefixTokensToMatch", &p.MaxPrefixTokensToMatch, maxBlocks*4096, maxBlocks*4096)
	check("lruCapacityPerServer", &p.LRUCapacityPerServer, 31250, 1<<20)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	x := newIndex(8 * p.LRUCapacityPerServer)
	return &Plugin{name: name, parameters: p, index: x, slots: newSlots(handle.PodList, x.forget)}, nil
}

// TypedName carries the type of GIE's producer: it tells the configuration
// loader that the prefix-cache-scorer has its producer.
func (p *Plugin) TypedName() plugin.TypedName {
	return plugin.TypedName{Type: gieprefix.ApproxPrefixCachePluginType, Name: p.name}
}

// Produces names the match of each endpoint.
func (p *Plugin) Produces() map[string]any {
	return map[string]any{attrprefix.PrefixCacheMatchInfoKey: attrprefix.PrefixCacheMatchInfo{}}
}

// Consumes is empty.
func (p *Plugin) Consumes() map[string]any { return map[string]any{} }

// hashes are the chained hashes of a prompt's leading blocks.
type hashes []uint64

// Clone returns the hashes themselves: nobody changes them.
func (h hashes) Clone() datalayer.Cloneable { return h }

// PrepareRequestData puts on each endpoint how many of the prompt's leading
// blocks it was sent before.
func (p *Plugin) PrepareRequestData(ctx context.Context, request *giesched.LLMRequest, eps []giesched.Endpoint) error {
	if len(eps) == 0 || request.Body == nil {
		return nil
	}
	blockTokens := p.blockTokens(eps[0])
	h := p.hash(request, blockTokens)
	if err := ctx.Err(); err != nil { // nobody waits any more: leave no marks
		return fmt.Errorf("match prefix of request %s: %w", request.RequestId, err)
	}
	slotOf := make([]int16, len(eps)) // looked up once: it costs more than all the rest
	var among serverSet
	for i, ep := range eps {
		slot := p.slots.of(ep.GetMetadata().NamespacedName)
		slotOf[i] = int16(slot)
		if slot >= 0 {
			among.add(slot)
		}
	}
	var lengths [maxServers]uint16
	p.index.match(h, among, &lengths)
	none := attrprefix.NewPrefixCacheMatchInfo(0, len(h), blockTokens)
	for i, ep := range eps {
		match := none
		if slot := slotOf[i]; slot >= 0 && lengths[slot] > 0 {
			match = attrprefix.NewPrefixCacheMatchInfo(int(lengths[slot]), len(h), blockTokens)
		}
		ep.Put(attrprefix.PrefixCacheMatchInfoKey, match)
		ep.Put(hashesKey, h)
	}
	return nil
}

// PreRequest notes that the picked endpoint will hold the prompt.
func (p *Plugin) PreRequest(_ context.Context, _ *giesched.LLMRequest, result *giesched.SchedulingResult) {
	for _, profile := range result.ProfileResults {
		if profile == nil || len(profile.TargetEndpoints) == 0 {
			continue
		}
		ep := profile.TargetEndpoints[0]
		v, ok := ep.Get(hashesKey)
		if !ok {
			continue
		}
		h := v.(hashes)
		if slot := p.slots.of(ep.GetMetadata().NamespacedName); slot >= 0 {
			p.index.record(h, slot)
		}
		if info, ok := ep.Get(attrprefix.PrefixCacheMatchInfoKey); ok {
			m := info.(*attrprefix.PrefixCacheMatchInfo)
			unit := m.BlockSizeTokens() * bytesPerToken
			metrics.RecordPrefixCacheMatch(m.MatchBlocks()*unit, m.TotalBlocks()*unit)
		}
	}
	metrics.RecordPrefixCacheSize(p.index.size.Load())
}

func (p *Plugin) blockTokens(ep giesched.Endpoint) int {
	if p.parameters.AutoTune == nil || *p.parameters.AutoTune {
		if m := ep.GetMetrics(); m != nil && m.CacheBlockSize > 0 {
			return m.CacheBlockSize
		}
	}
	return p.parameters.BlockSizeTokens
}

// hash chains the hashes of the prompt's leading blocks. Model and cache salt
// stand before the first: other models and tenants share no blocks.
func (p *Plugin) hash(request *giesched.LLMRequest, blockTokens int) hashes {
	text := request.Body.PromptText()
	size := blockTokens * bytesPerToken
	n := min(len(text)/size, p.parameters.MaxPrefixBlocksToMatch, p.parameters.MaxPrefixTokensToMatch/blockTokens)
	if n == 0 {
		return nil
	}
	chain := xxhash.Sum64String(request.TargetModel + "\x00" + request.Body.CacheSalt())
	h := make(hashes, n)
	var link [8]byte
	var d xxhash.Digest
	for i := range h {
		d.Reset()
		binary.LittleEndian.PutUint64(link[:], chain)
		d.Write(link[:])
		d.WriteString(text[i*size : (i+1)*size])
		if chain = d.Sum64(); chain == 0 {
			chain = 1 // 0 marks a free entry
		}
		h[i] = chain
	}
	return h
}
