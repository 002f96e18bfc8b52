package router

import (
	"encoding/json"
	"net/http"
	"time"

	"semantic-epp/config"
	"semantic-epp/extproc"
	"semantic-epp/payload"
	"semantic-epp/telemetry"
)

// header looks up a field that rules may read.
func (x *exchange) header(name string) (string, bool) {
	value, ok := x.headers[name]
	return value, ok
}

// denied refuses a request that a rule guards and could not judge.
func (x *exchange) denied() error {
	return &payload.Error{
		Status:  http.StatusServiceUnavailable,
		Code:    "guard_unavailable",
		Message: "A rule that guards this service could not be evaluated. Retry later.",
	}
}

// respond answers in place of a model.
func (x *exchange) respond(request *payload.Request, r *config.Respond) (extproc.Verdict, error) {
	if r.Status >= http.StatusBadRequest {
		return extproc.Verdict{}, &payload.Error{Status: r.Status, Code: "blocked", Message: r.Text}
	}
	contentType, body, err := payload.Answer(x.api, request.Stream, payload.AnswerText{
		Model:        request.Model,
		Text:         r.Text,
		FinishReason: r.FinishReason,
		ID:           x.id,
		Created:      time.Now().Unix(),
		IncludeUsage: request.IncludeUsage(),
	})
	if err != nil {
		return extproc.Verdict{}, err
	}
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	telemetry.Decided("", x.choice.Rule, string(x.choice.Reason))
	return extproc.Verdict{Reply: &extproc.Reply{
		Status: status,
		Set: []extproc.Header{
			{Name: "content-type", Value: contentType},
			{Name: "x-semantic-epp-reason", Value: string(x.choice.Reason)},
			{Name: "x-vsr-selected-decision", Value: x.choice.Rule},
		},
		Body: body,
	}}, nil
}

// edited is the request's body as the model server gets it, nil where nothing
// changes.
func (x *exchange) edited(request *payload.Request) ([][]byte, error) {
	var model string
	if served := x.rules.Catalog().ServedName(x.model); served != request.Model {
		model = served
	}
	reasoning, asks := x.reasoning()
	if x.choice.Action == nil && !asks {
		if model == "" {
			return nil, nil
		}
		return request.WithModel(model), nil
	}
	edits := payload.Edits{Model: model, Reasoning: reasoning}
	if a := x.choice.Action; a != nil {
		if p := a.SystemPrompt; p != nil {
			edits.SystemPrompt = payload.SystemPrompt{Text: p.Text, Prepend: p.Mode == config.Prepend}
		}
		if p := a.Parameters; p != nil {
			edits.MaxTokens, edits.MaxN, edits.Block = p.MaxTokens, p.MaxN, p.Block
			for _, d := range a.Defaults {
				edits.Defaults = append(edits.Defaults, payload.Field(d))
			}
		}
	}
	return request.Apply(edits)
}

// wish is whether and how hard the chosen model is asked to reason, "" where
// the client's own wish stands.
func (x *exchange) wish() config.Reasoning {
	for _, m := range x.choice.Models {
		if m.Model == x.model {
			return m.Reasoning
		}
	}
	return ""
}

// reasons says whether the model is asked to reason.
func (x *exchange) reasons() bool {
	w := x.wish()
	return w != "" && w != config.ReasoningOff
}

// reasoning is the field that asks the chosen model to reason, or not to. Where
// a family only knows efforts, off is the least one, unless the client asked
// for another.
func (x *exchange) reasoning() (payload.Reasoning, bool) {
	wish := x.wish()
	family, known := x.rules.Config().ReasoningFamily(x.rules.Catalog().Family(x.model))
	if wish == "" || !known {
		return payload.Reasoning{}, false
	}
	r := payload.Reasoning{Field: payload.Field{Name: family.Parameter}, InTemplate: family.Type != config.TopLevelEffort}
	switch {
	case family.Type == config.ChatTemplate && wish == config.ReasoningOff:
		r.Field.Value = json.RawMessage("false")
	case family.Type == config.ChatTemplate:
		r.Field.Value = json.RawMessage("true")
	case wish == config.ReasoningOff:
		r.Field.Value, r.Keep = json.RawMessage(`"low"`), true
	case wish == config.ReasoningOn:
		r.Field.Value = json.RawMessage(`"` + x.rules.Config().ReasoningEffort + `"`)
	default:
		r.Field.Value = json.RawMessage(`"` + wish + `"`)
	}
	return r, true
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
