// Command hcloud is the Pulumi plugin `pulumi-resource-hcloud`, for machines that the published one cannot reach.
// It reads schema.json and bridge-metadata.json, which tfgen writes at build time, from its own directory.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	pfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"

	"node-images/plugins/hcloud/provider"
)

func main() {
	schema, metadata := besideMe("schema.json"), besideMe("bridge-metadata.json")
	pfbridge.MainWithMuxer(context.Background(), provider.Name, provider.Info(metadata), schema)
}

// besideMe reads a file of the directory the plugin lies in.
func besideMe(name string) []byte {
	self, err := os.Executable()
	if err == nil {
		var content []byte
		if content, err = os.ReadFile(filepath.Join(filepath.Dir(self), name)); err == nil {
			return content
		}
	}
	fmt.Fprintf(os.Stderr, "pulumi-resource-hcloud: %v; `make setup` writes this file when it builds the plugin\n", err)
	os.Exit(1)
	return nil
}
