package dashboard

import (
	"net/http"

	h "audiences/html"
)

// Policy allows the page what is served beside it and nothing else: no script, style or
// event handler within the HTML, and no other host.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// View is the page, or a part of it.
type View interface{ html() h.Node }

// Write answers with a view.
func Write(w http.ResponseWriter, code int, view View) { WriteHTML(w, code, Make(view)) }

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
func Make(view View) []byte { return view.html().HTML() }
