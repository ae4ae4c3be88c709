package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gobwas/glob"
	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"node-images/plugins/command/output"
)

// What a cancelled command gets to end by itself.
const terminationGrace = 2 * time.Second

// run executes a command and keeps what it left. No command is no error.
func run(ctx context.Context, command *string, settings Settings, results *Results) error {
	if command == nil {
		return nil
	}
	capture := output.New((*output.Logging)(settings.Logging), provider.GetLogger(ctx).InfoStatus)
	process := settings.process(ctx, *command, results)
	process.Stdout, process.Stderr = capture.Stdout(), capture.Stderr()
	if err := process.Run(); err != nil {
		return capture.Fail(err)
	}
	results.Stdout, results.Stderr = capture.Texts()
	return settings.collect(results)
}

func (s Settings) process(ctx context.Context, command string, previous *Results) *exec.Cmd {
	argv := append([]string{}, s.Interpreter...)
	if len(argv) == 0 {
		argv = []string{"/bin/sh", "-c"}
	}
	argv = append(argv, command)
	process := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if s.Dir != nil {
		process.Dir = *s.Dir
	}
	if s.Stdin != nil {
		process.Stdin = strings.NewReader(*s.Stdin)
	}
	process.Env = append(os.Environ(), s.variables(previous)...)
	// A group of its own, so that cancelling reaches what the command started, too.
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process.Cancel = func() error { return terminate(process.Process.Pid) }
	process.WaitDelay = 2 * terminationGrace
	return process
}

// terminate ends a process group: politely, and by force after a while.
func terminate(group int) error {
	err := syscall.Kill(-group, syscall.SIGTERM)
	time.AfterFunc(terminationGrace, func() { _ = syscall.Kill(-group, syscall.SIGKILL) })
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

func (s Settings) variables(previous *Results) []string {
	var variables []string
	for name, value := range s.Environment {
		variables = append(variables, name+"="+value)
	}
	if s.AddPreviousOutputInEnv != nil && !*s.AddPreviousOutputInEnv {
		return variables
	}
	if previous.Stdout != "" {
		variables = append(variables, "PULUMI_COMMAND_STDOUT="+previous.Stdout)
	}
	if previous.Stderr != "" {
		variables = append(variables, "PULUMI_COMMAND_STDERR="+previous.Stderr)
	}
	return variables
}

// collect reads the files that a user wants to have.
func (s Settings) collect(results *Results) error {
	if s.AssetPaths != nil {
		assets, err := s.find(*s.AssetPaths)
		if err != nil {
			return err
		}
		results.Assets = &assets
	}
	if s.ArchivePaths == nil {
		return nil
	}
	files, err := s.find(*s.ArchivePaths)
	if err != nil {
		return err
	}
	members := map[string]any{}
	for name, file := range files {
		members[name] = file.Asset
	}
	results.Archive, err = resource.NewAssetArchive(members)
	return err
}

// rule is a pattern that takes files in, or out again.
type rule struct {
	glob.Glob
	exclude bool
}

// find returns the files under the working directory that the patterns leave, by relative path.
func (s Settings) find(patterns []string) (map[string]*types.AssetOrArchive, error) {
	rules := make([]rule, len(patterns))
	for i, pattern := range patterns {
		wanted, exclude := strings.CutPrefix(pattern, "!")
		compiled, err := glob.Compile(wanted, '/')
		if err != nil {
			return nil, err
		}
		rules[i] = rule{compiled, exclude}
	}
	directory := "."
	if s.Dir != nil {
		directory = *s.Dir
	}
	found := map[string]*types.AssetOrArchive{}
	err := fs.WalkDir(os.DirFS(directory), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !selected(rules, name) {
			return err
		}
		asset, err := resource.NewPathAsset(filepath.Join(directory, name))
		found[name] = &types.AssetOrArchive{Asset: asset}
		return err
	})
	return found, err
}

// selected applies the rules in their order: the last that matches decides.
func selected(rules []rule, name string) bool {
	chosen := false
	for _, rule := range rules {
		if rule.Match(name) {
			chosen = !rule.exclude
		}
	}
	return chosen
}
