package main

import (
	"context"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"semantic-epp/config"
	"semantic-epp/config/source"
)

func newValidateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check configuration and endpoints files",
		Long: `Validate reads each file as serve would, an EndpointPickerConfig or an endpoints
file, and reports every fault as file:line:column: key: what is wrong. It
contacts nothing and loads no model.`,
		Example:           "  semantic-epp validate config.yaml endpoints.yaml",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			bad := 0
			for _, path := range args {
				summary, err := validate(cmd.Context(), path)
				if err != nil {
					bad++
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: not valid\n%v\n", path, err)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: valid, %s\n", path, summary)
			}
			if bad > 0 {
				return fmt.Errorf("%d of %d files are not valid", bad, len(args))
			}
			return nil
		},
	}
}

// yamlFiles completes names of files.
func yamlFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
}

func validate(ctx context.Context, path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if isEndpointsFile(data) {
		file, err := source.Read(path, data, config.DecodeEndpoints)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d endpoints, %d objectives", len(file.Endpoints), len(file.Objectives)), nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	taken, err := takeOver(ctx, path, data, true)
	if err != nil {
		return "", err
	}
	if taken != nil {
		data = taken.YAML
	}
	l, err := loadConfig(ctx, path, data, openLabels, func() []types.NamespacedName { return nil }, logr.Discard())
	if err != nil {
		return "", err
	}
	cfg := l.semantic.Rules().Config()
	return fmt.Sprintf("%d models, %d rules, default model %s", len(cfg.Models), len(cfg.Rules), cfg.DefaultModel), nil
}

// isEndpointsFile tells by its keys which of the two kinds a file is. What is
// neither is judged as a configuration.
func isEndpointsFile(data []byte) bool {
	var keys map[string]any
	if yaml.Unmarshal(data, &keys) != nil {
		return false
	}
	_, endpoints := keys["endpoints"]
	_, objectives := keys["objectives"]
	return endpoints || objectives
}
