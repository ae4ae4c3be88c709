package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	provider "github.com/pulumi/pulumi-go-provider"
	"golang.org/x/crypto/ssh"

	"node-images/plugins/command/output"
)

const (
	// A machine that answers none of this many questions, asked at this distance, is gone: its network says nothing of it.
	keepaliveInterval = 15 * time.Second
	keepaliveMisses   = 4
	// What stopping a cancelled command may take on the machine, before it is left to itself.
	stopLimit = 5 * time.Second
)

// stopScript ends all that a connection started: politely, and by force a second later. It goes by the variable that
// the SSH server gives to every command, as servers do not pass signals on to the commands of root.
const stopScript = `for signal in TERM KILL; do
  for process in /proc/[0-9]*; do
    [ "$process" != "/proc/$$" ] || continue
    grep -qzxF "SSH_CONNECTION=$SSH_CONNECTION" "$process/environ" 2>/dev/null || continue
    kill "-$signal" "${process#/proc/}" 2>/dev/null
  done
  [ "$signal" = KILL ] || sleep 1
done`

// errConnectionLost explains an SSH session that ended without telling how the command ended.
var errConnectionLost = errors.New("the connection was lost while the command ran")

// execution is one command with everything it gets.
type execution struct {
	command     string
	stdin       string
	environment map[string]string // must be accepted by the server
	previous    map[string]string // outputs of the run before; a server that does not accept them is only warned of
	capture     *output.Capture
}

// run executes a command on a connected machine until it ends, the connection is lost or the context ends.
func (x *execution) run(ctx context.Context, client *ssh.Client) error {
	session, err := client.NewSession()
	if err != nil {
		return fmt.Errorf("opening an SSH session: %w", err)
	}
	defer func() { _ = session.Close() }()
	if err := x.setEnvironment(ctx, session); err != nil {
		return err
	}
	session.Stdout, session.Stderr = x.capture.Stdout(), x.capture.Stderr()
	if x.stdin != "" {
		session.Stdin = strings.NewReader(x.stdin)
	}
	if err := session.Start(x.command); err != nil {
		return fmt.Errorf("starting the command: %w", err)
	}
	return x.wait(ctx, client, session)
}

func (x *execution) wait(ctx context.Context, client *ssh.Client, session *ssh.Session) error {
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	stopped := make(chan struct{})
	defer close(stopped)
	go closeWhenSilent(client, stopped)
	select {
	case err := <-ended:
		return x.explain(err)
	case <-ctx.Done():
		stop(client, ended)
		return fmt.Errorf("cancelled: %w", context.Cause(ctx))
	}
}

// explain names what a user can act on: the exit status with the output before it, or the loss of the connection.
func (x *execution) explain(err error) error {
	var missing *ssh.ExitMissingError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		return x.capture.Fail(fmt.Errorf("%w: %w", errConnectionLost, err))
	}
	return x.capture.Fail(err)
}

// stop ends the command on the machine, and hangs up.
func stop(client *ssh.Client, ended <-chan error) {
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	if err != nil {
		return
	}
	scriptEnded := make(chan error, 1)
	go func() { scriptEnded <- session.Run(stopScript) }()
	select {
	case <-ended:
	case <-scriptEnded:
	case <-time.After(stopLimit):
	}
}

// closeWhenSilent hangs up on a machine that vanished without a word, so that the command's end is noticed.
func closeWhenSilent(client *ssh.Client, stopped <-chan struct{}) {
	answers := make(chan struct{}, 1)
	ticker := time.NewTicker(keepaliveInterval)
	defer ticker.Stop()
	for missed := 0; missed < keepaliveMisses; missed++ {
		go func() {
			if _, _, err := client.SendRequest("keepalive@openssh.com", true, nil); err == nil {
				select {
				case answers <- struct{}{}:
				default:
				}
			}
		}()
		select {
		case <-stopped:
			return
		case <-ticker.C:
		}
		select {
		case <-answers:
			missed = -1
		default:
		}
	}
	_ = client.Close()
}

func (x *execution) setEnvironment(ctx context.Context, session *ssh.Session) error {
	for _, name := range slices.Sorted(maps.Keys(x.environment)) {
		if err := session.Setenv(name, x.environment[name]); err != nil {
			return fmt.Errorf("could not set environment variable %q: %w; %s", name, err, acceptEnvRemedy)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.previous)) {
		if err := session.Setenv(name, x.previous[name]); err != nil {
			provider.GetLogger(ctx).Warningf("Unable to set '%s': %s", name, acceptEnvRemedy)
		}
	}
	return nil
}

const acceptEnvRemedy = "the SSH server must name it in AcceptEnv, or the command itself can set it: VAR=value command"
