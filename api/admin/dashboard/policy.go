package dashboard

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"time"

	"audiences/status"
)

// Policy allows the page what is served beside it and nothing else: no script, style or
// event handler within the HTML, and no other host.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

//go:embed templates/*.html
var templateFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"number":  status.Number,
	"amount":  amount,
	"seconds": seconds,
	"clock":   clock,
	"date":    func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
	"title":   status.Title,
	"words":   words,
	"plural":  plural,
	"planned": status.PlannedSentence,
	"answer": func(reason string, code int, transaction string) string {
		return status.Answer(words(reason), code, transaction)
	},
	"file": fileURL,
}).ParseFS(templateFiles, "templates/*.html"))

// Write answers with a view, by the template of this name. An error is one of the
// template, and nothing but a line of text is sent then.
func Write(w http.ResponseWriter, code int, name string, view any) {
	text, err := Make(name, view)
	if err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	WriteHTML(w, code, text)
}

// WriteHTML answers with what Make has made.
func WriteHTML(w http.ResponseWriter, code int, text []byte) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", Policy)
	// Without any referrer browsers send forms with a null origin, which is refused.
	header.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(code)
	_, _ = w.Write(text) // fails only when the caller has gone
}

// Make is the HTML of a view.
func Make(name string, view any) ([]byte, error) {
	var text bytes.Buffer
	err := templates.ExecuteTemplate(&text, name, view)
	return text.Bytes(), err
}
