//go:build e2e

package e2e

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// importBuilder puts a stand-in for the image that the Dockerfile builds with
// into the engine, under that image's own name: base images cannot be pulled
// where this test runs. The stand-in has what the Dockerfile uses and no more,
// for vfs copies it several times per step: the machine's Go, the modules as a
// download cache, a shell, mkdir and the CA certificates.
func (e *engine) importBuilder(t *testing.T, dockerfile string) {
	t.Helper()
	text, err := os.ReadFile(dockerfile)
	if err != nil {
		t.Fatal(err)
	}
	from := regexp.MustCompile(`(?m)^FROM (\S+) AS build$`).FindSubmatch(text)
	if from == nil {
		t.Fatalf("no build stage in %s", dockerfile)
	}
	modules := downloadModules(t, filepath.Dir(dockerfile))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := e.command(ctx, "import",
		"--change", "ENV PATH=/usr/local/go/bin:/bin GOPATH=/go GOTOOLCHAIN=local GOPROXY=off GOSUMDB=off HOME=/root",
		"-", string(from[1]))
	if _, err := pipe(cmd, func(w io.Writer) error { return writeBuilder(w, modules) }); err != nil {
		t.Fatalf("import the builder image: %v", err)
	}
}

// downloadModules fills a module cache with what the project needs, out of the
// machine's own cache, and returns its directory.
func downloadModules(t *testing.T, project string) string {
	t.Helper()
	run := func(args []string, env ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = project, append(os.Environ(), env...)
		out, err := output(cmd)
		if err != nil {
			t.Fatalf("go %s: %v", strings.Join(args, " "), err)
		}
		return strings.TrimSpace(out)
	}
	run([]string{"mod", "download"})
	machines := run([]string{"env", "GOMODCACHE"})
	cache := t.TempDir()
	run([]string{"mod", "download"}, "GOMODCACHE="+cache, "GOFLAGS=-modcacherw",
		"GOSUMDB=off", "GOPROXY=file://"+filepath.Join(machines, "cache", "download"))
	return cache
}

// writeBuilder writes the stand-in's file system as a tar.
func writeBuilder(w io.Writer, modules string) error {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("ask for GOROOT: %w", err)
	}
	image := &rootFS{tar: tar.NewWriter(w)}
	image.tree(strings.TrimSpace(string(goroot)), "usr/local/go", unneededToBuild)
	image.tree(filepath.Join(modules, "cache", "download"), "go/pkg/mod/cache/download", nil)
	image.program("/bin/sh")
	image.program("/bin/mkdir")
	image.file("/etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/ca-certificates.crt")
	image.dir("tmp")
	if image.err != nil {
		return image.err
	}
	return image.tar.Close()
}

// unneededToBuild tells the parts of a Go installation that building a program
// without cgo does not use: they are two thirds of it.
func unneededToBuild(path string) bool {
	switch top, rest, _ := strings.Cut(path, "/"); top {
	case "test", "doc", "api", "misc":
		return true
	case "src":
		return strings.HasPrefix(rest, "cmd/") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "/testdata")
	case "pkg":
		tool := filepath.Base(path)
		return strings.HasPrefix(rest, "tool/") && (tool == "vet" || tool == "fix" || tool == "cover" || tool == "cgo")
	}
	return false
}

// rootFS writes a file system; it stops at the first error and keeps it.
type rootFS struct {
	tar  *tar.Writer
	have map[string]bool
	err  error
}

// tree copies a directory without what skip tells by its relative path.
func (r *rootFS) tree(from, to string, skip func(path string) bool) {
	if r.err != nil {
		return
	}
	r.err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if skip != nil && skip(filepath.ToSlash(rel)) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.Type().IsRegular() {
			r.file(path, filepath.Join(to, rel))
		}
		return r.err
	})
}

// program copies an executable and the libraries that it is linked with.
func (r *rootFS) program(path string) {
	r.file(path, path[1:])
	libraries, err := exec.Command("ldd", path).Output()
	if err != nil {
		r.fail(fmt.Errorf("ask for the libraries of %s: %w", path, err))
	}
	for _, word := range strings.Fields(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			r.file(word, word[1:])
		}
	}
}

func (r *rootFS) dir(name string) {
	r.write(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o1777}, nil)
}

// file copies one file, as what a symbolic link leads to, once.
func (r *rootFS) file(from, to string) {
	if r.err != nil || r.have[to] {
		return
	}
	source, err := os.Open(from)
	if err != nil {
		r.fail(err)
		return
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		r.fail(err)
		return
	}
	r.write(&tar.Header{Typeflag: tar.TypeReg, Name: to, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime()}, source)
}

func (r *rootFS) write(header *tar.Header, content io.Reader) {
	if r.err != nil {
		return
	}
	if r.have == nil {
		r.have = make(map[string]bool)
	}
	r.have[header.Name] = true
	if err := r.tar.WriteHeader(header); err != nil {
		r.fail(err)
		return
	}
	if content != nil {
		_, err := io.Copy(r.tar, content)
		r.fail(err)
	}
}

func (r *rootFS) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}
