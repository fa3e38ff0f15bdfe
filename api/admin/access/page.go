package access

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"

	h "audiences/html"
)

var (
	//go:embed login.css
	loginStyle string

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

func (p page) html() h.Node {
	return h.Document(h.Lang("en"),
		h.Meta(h.Charset("utf-8")),
		h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
		h.Title(h.Text("Audiences relay: log in")),
		h.Style(loginStyle), // its sum is in the policy
		h.H1(h.Text("Audiences relay")),
		p.content(),
	)
}

// content is who somebody is, or a form to say so.
func (p page) content() h.Node {
	if p.Who.Name == "" {
		return h.Group(
			h.If(p.Problem != "", h.P(h.Role("alert"), h.Text(p.Problem))),
			h.Form(h.Method("post"), h.Action("/login"),
				h.Label(h.For("name"), h.Text("Name")),
				h.Input(h.ID("name"), h.Name("name"), h.AutoComplete("username"), h.AutoFocus(), h.Required()),
				h.Label(h.For("password"), h.Text("Password")),
				h.Input(h.ID("password"), h.Name("password"), h.Type("password"), h.AutoComplete("current-password"), h.MaxLength("72"), h.Required()),
				h.Button(h.Text("Log in")),
			),
		)
	}
	return h.Group(
		h.P(h.Text("You are "+p.Who.Name+", with the role "+p.Who.Role.String()+".")),
		h.If(p.Home != "", h.P(h.A(h.Href(p.Home), h.Text("Go on")))),
		h.If(p.Who.FormToken != "", h.Form(h.Method("post"), h.Action("/logout"),
			h.Input(h.Type("hidden"), h.Name(FormField), h.Value(p.Who.FormToken)),
			h.Button(h.Text("Log out")),
		)),
	)
}

func showPage(w http.ResponseWriter, status int, p page) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", "no-store")
	// Without any referrer browsers send the form with a null origin, which is refused.
	header.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(p.html().HTML()) // fails only when the caller has gone
}
