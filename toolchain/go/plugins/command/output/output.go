// Package output keeps what a command writes, and shows it to the user line by line while the command runs.
package output

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

// The error of a failed command quotes at most this much of the end of its output.
const maxTailBytes = 4 << 10

// Logging selects the streams that are shown while a command runs. Unset means both.
type Logging string

// What a user may choose.
const (
	Stdout Logging = "stdout"
	Stderr Logging = "stderr"
	Both   Logging = "stdoutAndStderr"
	None   Logging = "none"
)

// Capture collects the two streams of one command. Its writers may be used at the same time.
type Capture struct {
	mu             sync.Mutex
	logging        Logging
	show           func(line string)
	stdout, stderr stream
	tail           bytes.Buffer // both streams as they came, for the error of a failed command
}

// New makes a Capture that hands each finished line of the selected streams to show.
func New(logging *Logging, show func(line string)) *Capture {
	c := &Capture{logging: Both, show: show}
	if logging != nil {
		c.logging = *logging
	}
	c.stdout = stream{capture: c, shown: c.logging == Both || c.logging == Stdout}
	c.stderr = stream{capture: c, shown: c.logging == Both || c.logging == Stderr}
	return c
}

// Stdout is the writer for the command's standard output.
func (c *Capture) Stdout() io.Writer { return &c.stdout }

// Stderr is the writer for the command's standard error.
func (c *Capture) Stderr() io.Writer { return &c.stderr }

// Texts flushes unfinished lines and returns what was written, each without its last newline.
func (c *Capture) Texts() (stdout, stderr string) {
	return c.stdout.finish(), c.stderr.finish()
}

// Fail wraps the error of a command with the end of its output; with logging off the output may be secret and is left out.
func (c *Capture) Fail(err error) error {
	c.Texts()
	if c.logging == None {
		return fmt.Errorf("%w (its output is not shown: logging is %q)", err, None)
	}
	return fmt.Errorf("%w, after this output:\n%s", err, c.tailText())
}

func (c *Capture) tailText() string {
	text := c.tail.Bytes()
	if len(text) <= maxTailBytes {
		return string(text)
	}
	text = text[len(text)-maxTailBytes:]
	_, wholeLines, found := bytes.Cut(text, []byte("\n"))
	if !found {
		wholeLines = text
	}
	return "[...]\n" + string(wholeLines)
}

// stream is one of the two outputs of a command.
type stream struct {
	capture *Capture
	shown   bool
	text    bytes.Buffer
	line    bytes.Buffer // the line that has not ended yet
}

// Write takes the next piece of output, wherever it was cut.
func (s *stream) Write(piece []byte) (int, error) {
	s.capture.mu.Lock()
	defer s.capture.mu.Unlock()
	s.text.Write(piece)
	s.capture.tail.Write(piece)
	if s.shown {
		s.showLines(piece)
	}
	return len(piece), nil
}

func (s *stream) showLines(piece []byte) {
	for {
		head, rest, ended := bytes.Cut(piece, []byte("\n"))
		s.line.Write(head)
		if !ended {
			return
		}
		s.showLine()
		piece = rest
	}
}

func (s *stream) showLine() {
	s.capture.show(strings.TrimSuffix(s.line.String(), "\r"))
	s.line.Reset()
}

func (s *stream) finish() string {
	s.capture.mu.Lock()
	defer s.capture.mu.Unlock()
	if s.line.Len() > 0 {
		s.showLine()
	}
	return strings.TrimSuffix(s.text.String(), "\n")
}
