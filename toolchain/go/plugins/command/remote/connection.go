// Package remote runs commands and copies files over SSH.
package remote

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/pulumi/pulumi-go-provider/infer"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const (
	defaultUser           = "root"
	defaultPort           = 22
	defaultDialErrorLimit = 10
	defaultPerDialTimeout = 15 // seconds
	unlimitedDials        = -1
	agentSocketVariable   = "SSH_AUTH_SOCK"
)

// Connection says how to reach a machine, directly or through another.
type Connection struct {
	endpoint
	Proxy *ProxyConnection `pulumi:"proxy,optional"`
}

// ProxyConnection says how to reach the machine in between.
type ProxyConnection struct{ endpoint }

// endpoint is one machine with an SSH server: address, identity to expect, and credentials.
type endpoint struct {
	User               *string  `pulumi:"user,optional"`
	Password           *string  `provider:"secret"                   pulumi:"password,optional"`
	Host               *string  `pulumi:"host"`
	Port               *float64 `pulumi:"port,optional"`
	PrivateKey         *string  `provider:"secret"                   pulumi:"privateKey,optional"`
	PrivateKeyPassword *string  `provider:"secret"                   pulumi:"privateKeyPassword,optional"`
	AgentSocketPath    *string  `pulumi:"agentSocketPath,optional"`
	DialErrorLimit     *int     `pulumi:"dialErrorLimit,optional"`
	PerDialTimeout     *int     `pulumi:"perDialTimeout,optional"` // seconds; 0 means no limit
	HostKey            *string  `pulumi:"hostKey,optional"`
}

// Annotate gives the defaults and descriptions of the schema.
func (c *Connection) Annotate(a infer.Annotator) {
	a.Describe(&c, "How to reach the machine over SSH.")
	a.Describe(&c.Proxy, "A machine to go through.")
	c.annotate(a)
}

// Annotate gives the defaults and descriptions of the schema.
func (c *ProxyConnection) Annotate(a infer.Annotator) {
	a.Describe(&c, "How to reach the machine that lies in between.")
	c.annotate(a)
}

func (e *endpoint) annotate(a infer.Annotator) {
	a.SetDefault(&e.User, defaultUser)
	a.SetDefault(&e.Port, defaultPort)
	a.SetDefault(&e.DialErrorLimit, defaultDialErrorLimit)
	a.SetDefault(&e.PerDialTimeout, defaultPerDialTimeout)
	a.Describe(&e.Host, "Address or name of the machine.")
	a.Describe(&e.PrivateKey, "Private SSH key in OpenSSH or PEM form. Tried before the password.")
	a.Describe(&e.PrivateKeyPassword, "Passphrase of the private key.")
	a.Describe(&e.AgentSocketPath, "Socket of an SSH agent. Default: $"+agentSocketVariable+".")
	a.Describe(&e.DialErrorLimit, "How many failed dials are forgiven; -1 means any number.")
	a.Describe(&e.PerDialTimeout, "Seconds that one dial may take; 0 means no limit.")
	a.Describe(&e.HostKey, "The host key to expect, as a line of authorized_keys. If not provided, any is accepted.")
}

func (e *endpoint) address() string {
	return net.JoinHostPort(valueOr(e.Host, ""), strconv.Itoa(int(valueOr(e.Port, defaultPort))))
}

func (e *endpoint) dialTimeout() time.Duration {
	return time.Duration(valueOr(e.PerDialTimeout, defaultPerDialTimeout)) * time.Second
}

func (e *endpoint) dialLimit() int { return valueOr(e.DialErrorLimit, defaultDialErrorLimit) }

// clientConfig turns the settings into those of an SSH client.
func (e *endpoint) clientConfig() (*ssh.ClientConfig, error) {
	config := &ssh.ClientConfig{
		User:            valueOr(e.User, defaultUser),
		Timeout:         e.dialTimeout(),
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), //nolint:gosec // as documented: without a host key, any is accepted
	}
	if e.HostKey != nil {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*e.HostKey))
		if err != nil {
			return nil, fmt.Errorf("hostKey is not a public key as in authorized_keys: %w", err)
		}
		config.HostKeyCallback = ssh.FixedHostKey(key)
		config.HostKeyAlgorithms = algorithmsOf(key)
	}
	var err error
	config.Auth, err = e.authMethods()
	return config, err
}

// algorithmsOf lists the signature algorithms to offer so that the server answers with this key and no other.
func algorithmsOf(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	return []string{key.Type()}
}

// authMethods lists the credentials in the order they are tried: key, password, agent.
func (e *endpoint) authMethods() ([]ssh.AuthMethod, error) {
	var methods []ssh.AuthMethod
	if e.PrivateKey != nil {
		signer, err := e.signer()
		if err != nil {
			return nil, fmt.Errorf("privateKey: %w", err)
		}
		methods = append(methods, ssh.PublicKeys(signer))
	}
	if e.Password != nil {
		methods = append(methods, ssh.Password(*e.Password), ssh.KeyboardInteractive(e.answerAll))
	}
	signers, err := e.agentSigners()
	if err != nil {
		return nil, err
	}
	if signers != nil {
		methods = append(methods, ssh.PublicKeysCallback(signers))
	}
	return methods, nil
}

func (e *endpoint) signer() (ssh.Signer, error) {
	if e.PrivateKeyPassword != nil {
		return ssh.ParsePrivateKeyWithPassphrase([]byte(*e.PrivateKey), []byte(*e.PrivateKeyPassword))
	}
	return ssh.ParsePrivateKey([]byte(*e.PrivateKey))
}

// answerAll answers each question of a server, which are all for the password.
func (e *endpoint) answerAll(_, _ string, questions []string, _ []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i := range answers {
		answers[i] = *e.Password
	}
	return answers, nil
}

// agentSigners reaches the SSH agent. An agent of the environment that does not answer is left out: nobody asked for it.
func (e *endpoint) agentSigners() (func() ([]ssh.Signer, error), error) {
	socket := valueOr(e.AgentSocketPath, os.Getenv(agentSocketVariable))
	if socket == "" {
		return nil, nil
	}
	conn, err := net.Dial("unix", socket)
	switch {
	case err == nil:
		return agent.NewClient(conn).Signers, nil
	case e.AgentSocketPath == nil:
		return nil, nil
	}
	return nil, fmt.Errorf("agentSocketPath: %w", err)
}

func valueOr[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}
