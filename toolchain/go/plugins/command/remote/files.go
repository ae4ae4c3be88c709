package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pkg/sftp"
)

// remoteFiles writes files on a connected machine.
type remoteFiles struct{ *sftp.Client }

// withFiles connects, calls use and hangs up; the end of the context hangs up at once.
func withFiles(ctx context.Context, connection *Connection, use func(*remoteFiles) error) error {
	client, err := connection.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	defer context.AfterFunc(ctx, func() { _ = client.Close() })()
	files, err := sftp.NewClient(client, sftp.UseConcurrentWrites(true))
	if err != nil {
		return fmt.Errorf("opening SFTP: %w", err)
	}
	defer func() { _ = files.Close() }()
	return use(&remoteFiles{files})
}

// copyPath copies a file or a directory. As with cp, an existing directory as target takes the source into it;
// a source directory with a slash at its end gives its content only.
func (f *remoteFiles) copyPath(source, target string) error {
	local, err := os.Stat(source)
	if err != nil {
		return err
	}
	there, err := f.statIfThere(target)
	if err != nil {
		return err
	}
	if local.IsDir() {
		if !strings.HasSuffix(source, "/") {
			target = path.Join(target, filepath.Base(source))
		}
		return f.copyTree(source, target)
	}
	if there != nil && there.IsDir() {
		target = path.Join(target, filepath.Base(source))
	}
	if err := f.makeDirectory(path.Dir(target)); err != nil {
		return err
	}
	return f.copyFile(source, target)
}

func (f *remoteFiles) copyTree(source, target string) error {
	return filepath.WalkDir(source, func(local string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, local)
		if err != nil {
			return err
		}
		destination := path.Join(target, filepath.ToSlash(relative))
		if entry.IsDir() {
			return f.makeDirectory(destination)
		}
		return f.copyFile(local, destination)
	})
}

func (f *remoteFiles) copyFile(source, target string) error {
	local, err := os.Open(source)
	if err != nil {
		return err
	}
	defer func() { _ = local.Close() }()
	return f.write(local, target)
}

func (f *remoteFiles) writeText(text, target string) error {
	there, err := f.statIfThere(target)
	switch {
	case err != nil:
		return err
	case there != nil && there.IsDir():
		return fmt.Errorf("remote path %s is a directory; a text needs the path of a file", target)
	}
	if err := f.makeDirectory(path.Dir(target)); err != nil {
		return err
	}
	return f.write(strings.NewReader(text), target)
}

func (f *remoteFiles) write(content io.Reader, target string) error {
	file, err := f.Create(target)
	if err != nil {
		return fmt.Errorf("creating remote file %s: %w", target, err)
	}
	if _, err = file.ReadFrom(content); err == nil {
		err = file.Close()
	} else {
		_ = file.Close()
	}
	if err != nil {
		return fmt.Errorf("writing remote file %s: %w", target, err)
	}
	return nil
}

func (f *remoteFiles) makeDirectory(directory string) error {
	if err := f.MkdirAll(directory); err != nil {
		return fmt.Errorf("creating remote directory %s: %w", directory, err)
	}
	return nil
}

// statIfThere describes a remote file, or returns nil where there is none.
func (f *remoteFiles) statIfThere(name string) (fs.FileInfo, error) {
	info, err := f.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking at remote path %s: %w", name, err)
	}
	return info, nil
}
