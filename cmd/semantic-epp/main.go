// Command semantic-epp routes LLM requests in one ext_proc hop: it chooses the
// model by what the prompt is about and the replica by load.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// gcPercent trades memory for CPU: requests leave garbage behind, and the heap
// beside the model is small. GOGC, where it is set, decides instead.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once, should draining hang.
	context.AfterFunc(ctx, stop)
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "semantic-epp: %v\n", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	serve := newServeCommand()
	root := &cobra.Command{
		Use:   "semantic-epp",
		Short: "Choose model and replica for each LLM request, in one ext_proc hop",
		Long: `semantic-epp is an Endpoint Picker for gateways that speak Envoy's External
Processing: it classifies the prompt of a request for the model "auto", chooses
the model by the operator's rules, and then the least loaded replica of that
model. Without a command it serves.

  semantic-epp --endpoints-file endpoints.yaml       serve, without Kubernetes
  semantic-epp explain "What is 2+2 * (5-1)?"        what would be decided, and why
  semantic-epp validate config.yaml                  check a file before it is used
  semantic-epp test cases.yaml                       check decisions for a table of prompts

Exit status: 0 after a clean stop, 1 after an error, which is on stderr.`,
		Args:          cobra.NoArgs,
		RunE:          serve.RunE,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.Flags().SortFlags = false
	root.Flags().AddFlagSet(serve.Flags())
	root.AddCommand(serve, newExplainCommand(), newTestCommand(), newValidateCommand(), newConvertCommand(), newSchemaCommand(), newConfigCommand(), newVersionCommand())
	return root
}
