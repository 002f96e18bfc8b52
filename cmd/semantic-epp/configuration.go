package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"semantic-epp/config"
)

func newConfigCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "config",
		Short: "Show configurations to start from",
	}
	root.AddCommand(&cobra.Command{
		Use:   "default",
		Short: "Print the configuration that is used without --config-file",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), string(config.Default))
			return err
		},
	})
	return root
}
