package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"semantic-epp/config/schema"
)

func newSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [config|router|endpoints]",
		Short: "Print the JSON Schema of a file, for editors",
		Long: `Schema prints a JSON Schema (draft 2020-12): of a configuration file ("config",
the default), of the parameters of semantic-router alone ("router"), or of the
endpoints file ("endpoints"). Editors with the YAML language server complete and
check a file that begins with

  # yaml-language-server: $schema=semantic-epp.schema.json`,
		Example:   "  semantic-epp schema > semantic-epp.schema.json",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: schema.Kinds(),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind := "config"
			if len(args) > 0 {
				kind = args[0]
			}
			text, err := schema.For(kind)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), string(text))
			return err
		},
	}
}
