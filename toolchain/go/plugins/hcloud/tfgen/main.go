// Command tfgen writes the Pulumi schema of the hcloud plugin, and the metadata the plugin needs with it:
// `tfgen schema --skip-docs --out DIR` makes DIR/schema.json and DIR/bridge-metadata.json.
package main

import (
	pftfgen "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"

	"node-images/plugins/hcloud/provider"
)

func main() {
	pftfgen.MainWithMuxer(provider.Name, provider.Info([]byte("{}")))
}
