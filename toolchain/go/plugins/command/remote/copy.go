package remote

import (
	"context"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// CopyToRemote is a file, a text or a directory on another machine.
type CopyToRemote struct{}

// CopyToRemoteInputs is what a user declares.
type CopyToRemoteInputs struct {
	Connection *Connection          `provider:"secret"           pulumi:"connection"`
	Triggers   *[]any               `provider:"replaceOnChanges" pulumi:"triggers,optional"`
	Source     types.AssetOrArchive `pulumi:"source"`
	RemotePath string               `pulumi:"remotePath"`
}

// CopyToRemoteOutputs is what is kept: nothing but the inputs.
type CopyToRemoteOutputs struct{ CopyToRemoteInputs }

// Annotate describes the resource in the schema.
func (c *CopyToRemote) Annotate(a infer.Annotator) {
	a.Describe(&c, "A copy of a local file, text or directory on another machine. Deleting it leaves the copy there.")
}

// Check refuses sources that cannot be copied.
func (*CopyToRemote) Check(
	ctx context.Context, req infer.CheckRequest,
) (infer.CheckResponse[CopyToRemoteInputs], error) {
	inputs, failures, err := infer.DefaultCheck[CopyToRemoteInputs](ctx, req.NewInputs)
	if source, given := req.NewInputs.GetOk("source"); err == nil && given && !source.IsComputed() {
		if property, reason := refusal(inputs.Source); reason != "" {
			failures = append(failures, provider.CheckFailure{Property: property, Reason: reason})
		}
	}
	return infer.CheckResponse[CopyToRemoteInputs]{Inputs: inputs, Failures: failures}, err
}

// refusal tells why a source cannot be copied, with the property at fault, or nothing.
func refusal(source types.AssetOrArchive) (property, reason string) {
	asset, archive := source.Asset, source.Archive
	switch {
	case asset != nil && archive != nil:
		return "asset", "only one of asset or archive can be set"
	case asset == nil && archive == nil:
		return "asset", "either asset or archive must be set"
	case asset != nil && !asset.IsPath() && !asset.IsText():
		return "asset", "asset must be a path-based file asset or a text asset"
	case archive != nil && !archive.IsPath():
		return "archive", "archive must be a path to a file or directory"
	}
	return "", ""
}

// Create copies the source.
func (*CopyToRemote) Create(
	ctx context.Context, req infer.CreateRequest[CopyToRemoteInputs],
) (infer.CreateResponse[CopyToRemoteOutputs], error) {
	response := infer.CreateResponse[CopyToRemoteOutputs]{Output: CopyToRemoteOutputs{req.Inputs}}
	if req.DryRun {
		return response, nil
	}
	if err := req.Inputs.copy(ctx); err != nil {
		return response, err
	}
	var err error
	response.ID, err = resource.NewUniqueHex("", idDigits, 0)
	return response, err
}

// Update copies again if the source's content or the target changed; a change of the connection alone copies nothing.
func (*CopyToRemote) Update(
	ctx context.Context, req infer.UpdateRequest[CopyToRemoteInputs, CopyToRemoteOutputs],
) (infer.UpdateResponse[CopyToRemoteOutputs], error) {
	response := infer.UpdateResponse[CopyToRemoteOutputs]{Output: CopyToRemoteOutputs{req.Inputs}}
	same := req.Inputs.contentHash() == req.State.contentHash() && req.Inputs.RemotePath == req.State.RemotePath
	if req.DryRun || same {
		return response, nil
	}
	return response, req.Inputs.copy(ctx)
}

func (c *CopyToRemoteInputs) contentHash() string {
	if c.Source.Archive != nil {
		return c.Source.Archive.Hash
	}
	return c.Source.Asset.Hash
}

func (c *CopyToRemoteInputs) copy(ctx context.Context) error {
	return withFiles(ctx, c.Connection, func(files *remoteFiles) error {
		switch asset := c.Source.Asset; {
		case asset == nil:
			return files.copyPath(c.Source.Archive.Path, c.RemotePath)
		case asset.IsText():
			return files.writeText(asset.Text, c.RemotePath)
		default:
			return files.copyPath(asset.Path, c.RemotePath)
		}
	})
}

// CopyFile is the older form of CopyToRemote: one local file, copied when the resource is created.
type CopyFile struct{}

// CopyFileInputs is what a user declares.
type CopyFileInputs struct {
	Connection *Connection `provider:"secret"           pulumi:"connection"`
	Triggers   *[]any      `pulumi:"triggers,optional"`
	LocalPath  string      `pulumi:"localPath"`
	RemotePath string      `pulumi:"remotePath"`
}

// CopyFileOutputs is what is kept: nothing but the inputs.
type CopyFileOutputs struct{ CopyFileInputs }

// Annotate describes the resource in the schema.
func (c *CopyFile) Annotate(a infer.Annotator) {
	a.Describe(&c, "A copy of a local file on another machine.")
	a.Deprecate(&c, "Use `CopyToRemote` instead.")
}

// Create copies the file.
func (*CopyFile) Create(
	ctx context.Context, req infer.CreateRequest[CopyFileInputs],
) (infer.CreateResponse[CopyFileOutputs], error) {
	response := infer.CreateResponse[CopyFileOutputs]{Output: CopyFileOutputs{req.Inputs}}
	if req.DryRun {
		return response, nil
	}
	err := withFiles(ctx, req.Inputs.Connection, func(files *remoteFiles) error {
		return files.copyFile(req.Inputs.LocalPath, req.Inputs.RemotePath)
	})
	if err == nil {
		response.ID, err = resource.NewUniqueHex("", idDigits, 0)
	}
	return response, err
}
