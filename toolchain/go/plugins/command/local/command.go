// Package local runs commands on the machine that runs Pulumi.
package local

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"node-images/plugins/command/output"
)

// Generated ids end in this many random hexadecimal digits.
const idDigits = 8

// Logging is the schema's enumeration of what is shown while a command runs.
type Logging output.Logging

// Values lists what a user may choose.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: "stdout", Value: Logging(output.Stdout), Description: "Show standard output only"},
		{Name: "stderr", Value: Logging(output.Stderr), Description: "Show standard error only"},
		{Name: "stdoutAndStderr", Value: Logging(output.Both), Description: "Show both"},
		{Name: "none", Value: Logging(output.None), Description: "Show nothing"},
	}
}

// Settings is how a command runs.
type Settings struct {
	Stdin                  *string           `pulumi:"stdin,optional"`
	Logging                *Logging          `pulumi:"logging,optional"`
	Interpreter            []string          `pulumi:"interpreter,optional"`
	Dir                    *string           `pulumi:"dir,optional"`
	Environment            map[string]string `pulumi:"environment,optional"`
	AssetPaths             *[]string         `pulumi:"assetPaths,optional"`
	ArchivePaths           *[]string         `pulumi:"archivePaths,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
}

// Annotate describes the properties in the schema.
func (s *Settings) Annotate(a infer.Annotator) {
	a.Describe(&s.Interpreter, "Program and arguments that get the command as last argument. Default: /bin/sh -c.")
	a.Describe(&s.AssetPaths, "Patterns of files to return one by one; a pattern with ! in front takes files out again.")
	a.Describe(&s.ArchivePaths, "Patterns of files to return as one archive; a pattern with ! in front takes files out again.")
}

// Results is what a command left.
type Results struct {
	Stdout  string                            `pulumi:"stdout"`
	Stderr  string                            `pulumi:"stderr"`
	Assets  *map[string]*types.AssetOrArchive `pulumi:"assets,optional"`
	Archive *resource.Archive                 `pulumi:"archive,optional"`
}

// Command is a command that runs on this machine when the resource is created, updated or deleted.
type Command struct{}

// CommandInputs is what a user declares.
type CommandInputs struct {
	Triggers *[]any  `provider:"replaceOnChanges" pulumi:"triggers,optional"`
	Create   *string `pulumi:"create,optional"`
	Update   *string `pulumi:"update,optional"`
	Delete   *string `pulumi:"delete,optional"`
	Settings
}

// CommandOutputs is what is kept: the inputs and what the last command left.
type CommandOutputs struct {
	CommandInputs
	Results
}

// Annotate describes the resource in the schema.
func (c *Command) Annotate(a infer.Annotator) { a.Describe(&c, "A command to run on this machine.") }

// Create runs the create command, if there is one.
func (*Command) Create(
	ctx context.Context, req infer.CreateRequest[CommandInputs],
) (infer.CreateResponse[CommandOutputs], error) {
	state := CommandOutputs{CommandInputs: req.Inputs}
	id, err := resource.NewUniqueHex(req.Name, idDigits, 0)
	if err == nil && !req.DryRun {
		err = run(ctx, req.Inputs.Create, state.Settings, &state.Results)
	}
	return infer.CreateResponse[CommandOutputs]{ID: id, Output: state}, err
}

// Update runs the update command, or else the create command again.
func (*Command) Update(
	ctx context.Context, req infer.UpdateRequest[CommandInputs, CommandOutputs],
) (infer.UpdateResponse[CommandOutputs], error) {
	state := CommandOutputs{CommandInputs: req.Inputs, Results: req.State.Results}
	command := req.Inputs.Update
	if command == nil {
		command = req.Inputs.Create
	}
	var err error
	if !req.DryRun {
		err = run(ctx, command, state.Settings, &state.Results)
	}
	return infer.UpdateResponse[CommandOutputs]{Output: state}, err
}

// Delete runs the delete command, if there is one.
func (*Command) Delete(ctx context.Context, req infer.DeleteRequest[CommandOutputs]) (infer.DeleteResponse, error) {
	return infer.DeleteResponse{}, run(ctx, req.State.Delete, req.State.Settings, &req.State.Results)
}

// Run is a command that runs each time the program does, in previews too.
type Run struct{}

// RunInputs is the command and how it runs.
type RunInputs struct {
	Settings
	Command string `pulumi:"command"`
}

// RunOutputs is the inputs and what the command left.
type RunOutputs struct {
	RunInputs
	Results
}

// Annotate describes the function in the schema.
func (r *Run) Annotate(a infer.Annotator) {
	a.Describe(&r, "Runs a command on this machine in each preview and update.")
}

// Invoke runs the command.
func (*Run) Invoke(ctx context.Context, req infer.FunctionRequest[RunInputs]) (infer.FunctionResponse[RunOutputs], error) {
	state := RunOutputs{RunInputs: req.Input}
	err := run(ctx, &req.Input.Command, req.Input.Settings, &state.Results)
	return infer.FunctionResponse[RunOutputs]{Output: state}, err
}
