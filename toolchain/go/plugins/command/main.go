// Command command is the Pulumi plugin `pulumi-resource-command`, a stand-in for machines that the published one cannot
// reach. It has the resource types and properties of pulumi-command 1.2.1 and serves its Python package unchanged.
package main

import (
	"context"
	"fmt"
	"os"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/middleware/schema"

	"node-images/plugins/command/local"
	"node-images/plugins/command/remote"
)

// version is that of the Python package the plugin serves; the linker sets it.
var version = "0.0.0"

func main() {
	if err := provider.RunProvider(context.Background(), "command", version, newProvider()); err != nil {
		fmt.Fprintf(os.Stderr, "pulumi-resource-command: %v\n", err)
		os.Exit(1)
	}
}

func newProvider() provider.Provider {
	return infer.Provider(infer.Options{
		Metadata: schema.Metadata{
			DisplayName: "Command",
			Description: "Commands run on this machine or over SSH, as Pulumi resources.",
		},
		Resources: []infer.InferredResource{
			infer.Resource(&local.Command{}),
			infer.Resource(&remote.Command{}),
			infer.Resource(&remote.CopyToRemote{}),
			infer.Resource(&remote.CopyFile{}),
		},
		Functions: []infer.InferredFunction{infer.Function(&local.Run{})},
	})
}
