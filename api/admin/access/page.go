package access

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

var (
	//go:embed login.html
	loginText string
	//go:embed login.css
	loginStyle string

	loginPage = template.Must(template.New("login").Parse(loginText))
	// policy allows the page its own style and forms, and no script at all.
	policy = "default-src 'none'; style-src 'sha256-" + sumOf(loginStyle) + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// page is what the login shows.
type page struct {
	Who     Somebody
	Problem string // "": none
	Home    string // "": there is nowhere to go
}

// Style is known to hold nothing from outside.
func (page) Style() template.CSS { return template.CSS(loginStyle) } // #nosec G203 -- a constant

// FormField names the field of the form's token.
func (page) FormField() string { return FormField }

func showPage(w http.ResponseWriter, status int, p page) {
	var text bytes.Buffer
	if err := loginPage.Execute(&text, p); err != nil {
		answer(w, http.StatusInternalServerError, "the page cannot be made")
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", "no-store")
	// Without any referrer browsers send the form with a null origin, which is refused.
	header.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // fails only when the caller has gone
}
