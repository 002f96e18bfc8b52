package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"semantic-epp/config/vsr"
)

// lookupPatience is how long finding the addresses of one name may take.
const lookupPatience = 5 * time.Second

// takeOver makes our configuration of vSR's, where data is that; else it returns
// nil. Standalone is for the endpoints that the file names; in Kubernetes models
// are found by what their servers report.
func takeOver(ctx context.Context, name string, data []byte, standalone bool) (*vsr.Result, error) {
	if _, err := vsr.Detect(data); err != nil {
		return nil, nil // ours, or broken: the loader tells
	}
	result, err := vsr.Convert(data, vsr.Options{File: filepath.Base(name), Standalone: standalone, Lookup: func(host string) ([]netip.Addr, error) {
		ctx, cancel := context.WithTimeout(ctx, lookupPatience)
		defer cancel()
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return result, nil
}

func newConvertCommand() *cobra.Command {
	var out, endpointsOut string
	var kubernetes bool
	cmd := &cobra.Command{
		Use:   "convert FILE",
		Short: "Make our configuration of one of vLLM Semantic Router",
		Long: `Convert reads a config.yaml of vLLM Semantic Router, of any of its three
generations, plain or as Helm values, and writes an EndpointPickerConfig with
comments. What became of each key is reported on stderr: taken, approximated or
ignored, and why; a "!" marks what changes how requests are answered.

serve, explain, validate and test read such a file as it is, too.`,
		Example: `  semantic-epp convert config.yaml > semantic-epp.yaml
  semantic-epp convert config.yaml --out semantic-epp.yaml --endpoints-out endpoints.yaml`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			result, err := vsr.Convert(data, vsr.Options{File: filepath.Base(args[0]), Standalone: !kubernetes})
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return errors.Join(
				vsr.WriteReport(cmd.ErrOrStderr(), result.Report),
				write(cmd.OutOrStdout(), out, result.YAML),
				write(io.Discard, endpointsOut, result.EndpointsYAML),
			)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`file` to write the configuration to (default: standard output)")
	cmd.Flags().StringVar(&endpointsOut, "endpoints-out", "", "`file` to write the endpoints to, for --endpoints-file")
	cmd.Flags().BoolVar(&kubernetes, "kubernetes", false, "find models by the names that their servers report, not by the file's endpoints")
	return cmd
}

// write writes to a new file, or to out where no path is given.
func write(out io.Writer, path string, data []byte) error {
	if path == "" {
		_, err := out.Write(data)
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
