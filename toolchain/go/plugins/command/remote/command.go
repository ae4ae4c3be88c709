package remote

import (
	"context"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"node-images/plugins/command/output"
)

// Names under which a command gets the outputs of the run before it.
const (
	previousStdout = "PULUMI_COMMAND_STDOUT"
	previousStderr = "PULUMI_COMMAND_STDERR"
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

// Command is a command that runs on another machine when the resource is created, updated or deleted.
type Command struct{}

// CommandInputs is what a user declares.
type CommandInputs struct {
	Triggers               *[]any            `provider:"replaceOnChanges"             pulumi:"triggers,optional"`
	Create                 *string           `pulumi:"create,optional"`
	Update                 *string           `pulumi:"update,optional"`
	Delete                 *string           `pulumi:"delete,optional"`
	Stdin                  *string           `pulumi:"stdin,optional"`
	Logging                *Logging          `pulumi:"logging,optional"`
	Connection             *Connection       `provider:"secret"                       pulumi:"connection"`
	Environment            map[string]string `pulumi:"environment,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
}

// CommandOutputs is what is kept: the inputs and what the last command wrote.
type CommandOutputs struct {
	CommandInputs
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// Annotate describes the resource in the schema.
func (c *Command) Annotate(a infer.Annotator) {
	a.Describe(&c, "A command to run on another machine over SSH.")
}

// Create runs the create command, if there is one.
func (*Command) Create(
	ctx context.Context, req infer.CreateRequest[CommandInputs],
) (infer.CreateResponse[CommandOutputs], error) {
	state := CommandOutputs{CommandInputs: req.Inputs}
	id, err := resource.NewUniqueHex(req.Name, idDigits, 0)
	if err == nil && !req.DryRun {
		err = state.run(ctx, req.Inputs.Create)
	}
	return infer.CreateResponse[CommandOutputs]{ID: id, Output: state}, err
}

// Update runs the update command, or else the create command again.
func (*Command) Update(
	ctx context.Context, req infer.UpdateRequest[CommandInputs, CommandOutputs],
) (infer.UpdateResponse[CommandOutputs], error) {
	state := CommandOutputs{CommandInputs: req.Inputs, Stdout: req.State.Stdout, Stderr: req.State.Stderr}
	command := req.Inputs.Update
	if command == nil {
		command = req.Inputs.Create
	}
	var err error
	if !req.DryRun {
		err = state.run(ctx, command)
	}
	return infer.UpdateResponse[CommandOutputs]{Output: state}, err
}

// Delete runs the delete command, if there is one.
func (*Command) Delete(ctx context.Context, req infer.DeleteRequest[CommandOutputs]) (infer.DeleteResponse, error) {
	return infer.DeleteResponse{}, req.State.run(ctx, req.State.Delete)
}

// run executes a command on the machine and keeps its outputs. No command is no error.
func (c *CommandOutputs) run(ctx context.Context, command *string) error {
	if command == nil {
		return nil
	}
	client, err := c.Connection.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	capture := output.New((*output.Logging)(c.Logging), provider.GetLogger(ctx).InfoStatus)
	execution := execution{
		command:     *command,
		stdin:       valueOr(c.Stdin, ""),
		environment: c.Environment,
		previous:    c.previousOutputs(),
		capture:     capture,
	}
	if err := execution.run(ctx, client); err != nil {
		return err
	}
	c.Stdout, c.Stderr = capture.Texts()
	return nil
}

func (c *CommandOutputs) previousOutputs() map[string]string {
	previous := map[string]string{}
	if !valueOr(c.AddPreviousOutputInEnv, true) {
		return previous
	}
	if c.Stdout != "" {
		previous[previousStdout] = c.Stdout
	}
	if c.Stderr != "" {
		previous[previousStderr] = c.Stderr
	}
	return previous
}
