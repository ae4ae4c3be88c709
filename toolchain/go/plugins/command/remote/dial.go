package remote

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	provider "github.com/pulumi/pulumi-go-provider"
	"golang.org/x/crypto/ssh"
)

// Pauses between dials: the first, the factor from one to the next, and the longest.
const (
	firstPause  = 100 * time.Millisecond
	pauseFactor = 1.5
	longestWait = 5 * time.Second
)

// dialFunc opens a network connection, directly or from a machine in between.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dial connects to the machine, through its proxy if it has one. The caller closes the client.
func (c *Connection) Dial(ctx context.Context) (*ssh.Client, error) {
	if c.Proxy == nil {
		return dial(ctx, "Dial", &c.endpoint, new(net.Dialer).DialContext)
	}
	proxy, err := dial(ctx, "Dial proxy", &c.Proxy.endpoint, new(net.Dialer).DialContext)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	client, err := dial(ctx, "Dial from proxy", &c.endpoint, proxy.DialContext)
	if err != nil {
		_ = proxy.Close()
		return nil, err
	}
	go func() { // the way through the proxy lives as long as what it carries
		_ = client.Wait()
		_ = proxy.Close()
	}()
	return client, nil
}

// dial tries until the machine answers, the limit of failed dials is passed, or the context ends.
func dial(ctx context.Context, what string, e *endpoint, open dialFunc) (*ssh.Client, error) {
	config, err := e.clientConfig()
	if err != nil {
		return nil, err
	}
	pause := firstPause
	for failed := 0; ; failed++ {
		client, err := dialOnce(ctx, e.address(), config, open)
		if err == nil {
			return client, nil
		}
		if limit := e.dialLimit(); limit > unlimitedDials && failed >= limit {
			return nil, fmt.Errorf("after %d failed attempts: %s: %w", failed, e.address(), err)
		}
		provider.GetLogger(ctx).InfoStatusf("%s %d/%s failed: retrying", what, failed+1, limitText(e.dialLimit()))
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(time.Duration(float64(pause)*pauseFactor), longestWait)
	}
}

// dialOnce connects and authenticates. The time limit covers both: a server that accepts and says nothing fails, too.
func dialOnce(ctx context.Context, address string, config *ssh.ClientConfig, open dialFunc) (*ssh.Client, error) {
	if config.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, config.Timeout)
		defer cancel()
	}
	conn, err := open(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	sshConn, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("no SSH session within the time limit: %w", ctx.Err())
		}
		return nil, err
	}
	return ssh.NewClient(sshConn, channels, requests), nil
}

func limitText(limit int) string {
	if limit == unlimitedDials {
		return "inf"
	}
	return strconv.Itoa(limit)
}

// sleep waits, or returns the reason why the context ended first.
func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
