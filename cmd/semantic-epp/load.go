package main

import (
	"context"
	"fmt"
	"io"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"

	"semantic-epp/plugins/semantic"
)

// loadOptions are the flags of the commands that decide without serving.
type loadOptions struct{ configFile, configText, onnxruntime string }

func (o *loadOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.configFile, "config-file", "", "path of the `file` with the EndpointPickerConfig (default: an embedded one)")
	f.StringVar(&o.configText, "config-text", "", "the configuration as `text`, in place of a file")
	f.StringVar(&o.onnxruntime, "onnxruntime", "", onnxruntimeHelp)
	_ = cmd.MarkFlagFilename("config-file", "yaml", "yml", "json") // the flag is there
}

// load returns the router of the configuration, with its classifier, until ctx
// ends. What an operator should know of the classifier goes to notices.
func (o *loadOptions) load(ctx context.Context, notices io.Writer) (*semantic.Plugin, error) {
	c, err := readConfiguration(ctx, o.configFile, o.configText, true)
	if err != nil {
		return nil, err
	}
	open := newOpener(o.onnxruntime, func(notice string) { fmt.Fprintln(notices, notice) })
	l, err := loadConfig(ctx, c.name, c.data, open, func() []types.NamespacedName { return nil }, logr.Discard())
	if err != nil {
		return nil, err
	}
	return l.semantic, nil
}
