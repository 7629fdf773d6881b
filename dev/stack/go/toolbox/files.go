package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func cat(args []string) error {
	if len(args) == 0 {
		args = []string{"-"}
	}
	for _, name := range args {
		if err := catOne(name); err != nil {
			return err
		}
	}
	return nil
}

func catOne(name string) error {
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return err
		}
		defer file.Close()
	}
	_, err := io.Copy(os.Stdout, file)
	return err
}

func ls(args []string) error {
	if len(args) == 0 {
		args = []string{"."}
	}
	for _, dir := range args {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			fmt.Println(entry.Name())
		}
	}
	return nil
}

// archive is as much of tar as kubectl cp asks for: `tar cf - PATH...` and `tar -xmf - [-C DIR]`.
func archive(args []string) error {
	if len(args) < 2 || args[1] != "-" {
		return errors.New("usage: tar cf - PATH... | tar xf - [-C DIR]")
	}
	mode, rest := args[0], args[2:]
	if len(rest) >= 2 && rest[0] == "-C" {
		if err := os.Chdir(rest[1]); err != nil {
			return err
		}
		rest = rest[2:]
	}
	if strings.Contains(mode, "x") {
		return unpack(tar.NewReader(os.Stdin))
	}
	writer := tar.NewWriter(os.Stdout)
	for _, path := range rest {
		if err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return pack(writer, path, entry)
		}); err != nil {
			return err
		}
	}
	return writer.Close()
}

func pack(writer *tar.Writer, path string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	// As tar does: names in an archive are relative.
	header.Name = strings.TrimPrefix(path, "/")
	if err := writer.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(writer, file)
	return err
}

func unpack(reader *tar.Reader) error {
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unpackOne(header, reader); err != nil {
			return err
		}
	}
}

func unpackOne(header *tar.Header, content io.Reader) error {
	if !filepath.IsLocal(header.Name) {
		return fmt.Errorf("%s leads elsewhere", header.Name)
	}
	if err := os.MkdirAll(filepath.Dir(header.Name), 0o755); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(header.Name, header.FileInfo().Mode().Perm())
	case tar.TypeSymlink:
		return os.Symlink(header.Linkname, header.Name)
	}
	file, err := os.OpenFile(header.Name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, header.FileInfo().Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}
