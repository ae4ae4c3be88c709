// Package provider describes Hetzner Cloud's Terraform provider to Pulumi: which Pulumi type each of its resources
// and data sources has. The result has the tokens and properties of the published pulumi-hcloud, so that its
// Python package is served unchanged.
package provider

import (
	"context"

	"github.com/hetznercloud/terraform-provider-hcloud/hcloud"
	pfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Name is the package name in Pulumi's registry.
const Name = "hcloud"

// Hetzner Cloud's longest name of a resource; longer generated names are cut.
const maxNameLength = 255

// Version is that of the Python package the plugin serves; the linker sets it.
var Version = "0.0.0"

// Info describes the provider. The metadata are what the schema generator wrote beside the schema: empty while it runs.
func Info(metadata []byte) tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P: pfbridge.MuxShimWithPF(context.Background(),
			shimv2.NewProvider(hcloud.Provider()), hcloud.NewPluginProvider()),
		Name:         Name,
		Description:  "Hetzner Cloud resources, served through their Terraform provider.",
		License:      "MPL-2.0",
		Repository:   "https://github.com/hetznercloud/terraform-provider-hcloud",
		GitHubOrg:    "hetznercloud",
		Version:      Version,
		MetadataInfo: tfbridge.NewProviderMetadata(metadata),
		Resources:    map[string]*tfbridge.ResourceInfo{"hcloud_server": {PreCheckCallback: withAliasIPs}},
	}
	info.P.ResourcesMap().Range(func(name string, res shim.Resource) bool {
		typeIDAsString(&info, name, res)
		return true
	})
	info.MustComputeTokens(tokens.SingleModule("hcloud_", "index", tokens.MakeStandard(Name)))
	info.SetAutonaming(maxNameLength, "-")
	return info
}

// typeIDAsString turns an integer id into text: an id in Pulumi is always text, in this provider's newer resources a number.
func typeIDAsString(info *tfbridge.ProviderInfo, name string, res shim.Resource) {
	id, ok := res.Schema().GetOk("id")
	if !ok || id.Type() == shim.TypeString {
		return
	}
	if info.Resources[name] == nil {
		info.Resources[name] = &tfbridge.ResourceInfo{}
	}
	info.Resources[name].Fields = map[string]*tfbridge.SchemaInfo{"id": {Type: "string"}}
}

// withAliasIPs gives each network of a server an explicit list of alias addresses: the Terraform provider sees a change
// in every plan where the list is merely absent (hetznercloud/terraform-provider-hcloud#650).
func withAliasIPs(_ context.Context, inputs, _ resource.PropertyMap) (resource.PropertyMap, error) {
	networks := inputs["networks"]
	if !networks.IsArray() {
		return inputs, nil
	}
	for _, network := range networks.ArrayValue() {
		if network.IsObject() && !network.ObjectValue().HasValue("aliasIps") {
			network.ObjectValue()["aliasIps"] = resource.NewArrayProperty(nil)
		}
	}
	return inputs, nil
}
