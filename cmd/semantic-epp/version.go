package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set when a release is built:
// go build -ldflags "-X main.version=v1.2.3".
var version = "dev"

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the binary and of what it is built on",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "semantic-epp %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return nil
			}
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" || s.Key == "CGO_ENABLED" {
					fmt.Fprintf(out, "  %s %s\n", s.Key, s.Value)
				}
			}
			for _, dep := range info.Deps {
				switch dep.Path {
				case "sigs.k8s.io/gateway-api-inference-extension", "google.golang.org/grpc",
					"github.com/envoyproxy/go-control-plane/envoy", "github.com/yalue/onnxruntime_go":
					fmt.Fprintf(out, "  %s %s\n", dep.Path, dep.Version)
				}
			}
			return nil
		},
	}
}
