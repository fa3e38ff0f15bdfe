package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filesIn returns what every file under dir contains, by its path from there.
func filesIn(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir+string(filepath.Separator))] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// holds reports whether some file has exactly that content.
func holds(files map[string]string, content string) bool {
	for _, each := range files {
		if each == content {
			return true
		}
	}
	return false
}

// kindOfFile is what a file of the journal is for.
func kindOfFile(name string) string {
	switch base := filepath.Base(name); {
	case strings.HasSuffix(base, ".log"):
		return "log"
	case strings.HasSuffix(base, ".sst"):
		return "table"
	case strings.HasPrefix(base, "marker."):
		return "marker"
	default:
		return strings.TrimRight(base, "0123456789-")
	}
}
