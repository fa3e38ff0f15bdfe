package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
)

// Path is where the page is; everything else of it is below.
const Path = "/admin/dashboard"

//go:embed dashboard.css dashboard.js icon.svg vendored/*.js vendored/*.css
var files embed.FS

// file is one that is served, with a sum that its URL holds: so a browser keeps it for
// good, and takes another one after an upgrade.
type file struct {
	text []byte
	kind string
	sum  string
}

// served are all files, by the last part of their names.
var served = func() map[string]file {
	kinds := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	made := map[string]file{}
	for _, folder := range []string{".", "vendored"} {
		entries, err := files.ReadDir(folder)
		if err != nil {
			panic(err) // they are in the binary
		}
		for _, entry := range entries {
			text, err := files.ReadFile(path.Join(folder, entry.Name()))
			if err != nil {
				continue // a folder
			}
			sum := sha256.Sum256(text)
			made[entry.Name()] = file{text, kinds[path.Ext(entry.Name())], hex.EncodeToString(sum[:6])}
		}
	}
	return made
}()

// fileURL is where a file is served.
func fileURL(name string) string { return Path + "/files/" + name + "?v=" + served[name].sum }

// ServeFile answers with the file that the pattern's wildcard "name" names.
func ServeFile(w http.ResponseWriter, r *http.Request) {
	found, known := served[r.PathValue("name")]
	if !known {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", found.kind)
	if r.URL.Query().Get("v") == found.sum {
		header.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	_, _ = w.Write(found.text) // fails only when the caller has gone
}
