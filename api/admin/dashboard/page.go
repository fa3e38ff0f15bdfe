package dashboard

import (
	h "audiences/html"
	"audiences/status"
)

func (p Page) html() h.Node {
	return document(p.Head,
		h.Main(h.ID("main"), h.TabIndex("-1"), h.Lines(
			h.H1(h.Class("unseen"), h.Text("How the relay is")),
			h.Div(h.ID("live"), hx("sse:connect", Path+"/stream"), hx("swap", "innerMorph"), p.Live.html()),
			charts(),
			p.Tenants.html(),
			p.Segments.html(),
			h.Div(h.ID("detail"), h.Aria("live", "polite")),
			finder(),
			p.Parked.html(),
			p.Events.html(),
		)),
		h.DataList(h.ID("tenant-names"), h.Map(p.Tenants.Rows, func(t status.Tenant) h.Node {
			return h.Option(h.Value(nameOr(t.Name, t.Tenant)))
		})),
	)
}

func (p SegmentPage) html() h.Node {
	return document(p.Head, h.Main(h.ID("main"), h.TabIndex("-1"), hx("sse:connect", Path+"/stream?ticks"), hx("swap", "none"), h.Lines(
		h.P(h.A(h.Href(Path), h.Text("All tenants and segments"))),
		h.H1(h.Class("unseen"), h.Text("One segment")),
		h.Div(h.ID("detail"), Detail(p).html()),
	)))
}

// document is a page with this content.
func document(of Head, content ...h.Node) h.Node {
	return h.Document(h.Lang("en"), h.Lines(
		head(),
		h.Body(hx("headers:inherited", `{"X-Form-Token":"`+of.FormToken+`"}`), h.Lines(of.banner()...), h.Lines(content...),
			h.Lines(h.Dialog(h.ID("dialog"), h.Aria("labelledby", "dialog-title"), h.Div(h.ID("dialog-content"))))),
	))
}

func head() h.Node {
	return h.Head(h.Lines(
		h.Meta(h.Charset("utf-8")),
		h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
		h.Meta(h.Name("color-scheme"), h.Content("light dark")),
		h.Meta(h.Name("htmx-config"), h.Content(`{"history":false,"includeIndicatorCSS":false,"defaultTimeout":30000}`)),
		h.Title(h.Text("Audiences relay")),
		h.Link(h.Rel("icon"), h.Type("image/svg+xml"), h.Href(fileURL("icon.svg"))),
		h.Link(h.Rel("stylesheet"), h.Href(fileURL("uPlot.min.css"))),
		h.Link(h.Rel("stylesheet"), h.Href(fileURL("dashboard.css"))),
		// Not deferred: only a script that runs while the page is loading has htmx wait for
		// those below. Otherwise it begins without the extension, where that comes late, and
		// there is no stream.
		h.Script(h.Src(fileURL("htmx.min.js"))),
		h.Script(h.Defer(), h.Src(fileURL("hx-sse.min.js"))),
		h.Script(h.Defer(), h.Src(fileURL("uPlot.iife.min.js"))),
		h.Script(h.Defer(), h.Src(fileURL("dashboard.js"))),
	))
}

func (o Head) banner() []h.Node {
	return []h.Node{
		h.A(h.Class("skip"), h.Href("#main"), h.Text("To the content")),
		h.Header(h.Class("banner"), h.Lines(
			h.P(h.Class("name"), h.A(h.Href(Path), h.Text("Audiences relay")), h.If(o.Version != "", h.Group(h.Text(" "), quiet(h.Text(o.Version))))),
			h.Nav(h.Aria("label", "Other views"), h.Lines(
				h.A(h.Href("/admin/api/v1/summary"), h.Text("JSON")),
				h.A(h.Href("/metrics"), h.Text("metrics")),
				h.A(h.Href("/readyz?verbose"), h.Text("health")),
			)),
			h.P(h.Class("who"), h.Text(o.Who+", "+o.Role)),
			h.If(o.FormToken != "", h.Form(h.Method("post"), h.Action("/logout"),
				hiddenInput("formToken", o.FormToken), h.Button(h.Text("Log out")))),
		)),
		h.P(h.ID("lost"), h.Class("lost"), h.Role("alert"), h.Switch("hidden"), h.Text("The relay does not answer since "), h.Time(), h.Text(". What is shown is of that time.")),
	}
}

// charts are empty: the script draws them.
func charts() h.Node {
	window := func(name, title, said string, pressed bool) h.Node {
		return h.Button(h.Type("button"), h.Data("window", name), h.Data("said", said), h.If(pressed, h.Aria("pressed", "true")), h.Text(title))
	}
	chart := func(id, caption, label string) h.Node {
		return h.Figure(h.FigCaption(h.Text(caption)), h.Div(h.Class("chart"), h.ID(id), h.Role("img"), h.Aria("label", label)))
	}
	return h.Section(h.Class("charts"), h.Aria("labelledby", "charts-title"), h.Lines(
		h.Div(h.Class("title"), h.Lines(
			h.H2(h.ID("charts-title"), h.Text("The last "), h.Span(h.ID("window-said"), h.Text("hour"))),
			h.Div(h.Class("choice"), h.Role("group"), h.Aria("label", "Time shown"), h.Lines(
				window("15m", "15 min", "quarter of an hour", false),
				window("1h", "1 h", "hour", true),
				window("6h", "6 h", "6 hours", false),
				window("24h", "24 h", "day", false),
			)),
			twin("/admin/api/v1/series?window=1h"),
		)),
		h.Div(h.Class("two"), h.Lines(
			chart("backlog", "Keys that are pending", "Chart of pending keys; the same figures are behind JSON"),
			chart("flow", "Keys a second: taken in and delivered; calls that were limited (429) or failed", "Chart of keys taken and delivered a second; the same figures are behind JSON"),
		)),
	))
}

// finder is the form that asks where a key is. It is posted: a key is never part of an address.
func finder() h.Node {
	return h.Section(h.Aria("labelledby", "find-title"), h.Lines(
		h.Div(h.Class("title"), h.H2(h.ID("find-title"), h.Text("Where is a key?"))),
		h.Form(h.Class("row"), hx("post", Path+"/where"), hx("target", "#found"), h.Method("post"), h.Action(Path+"/where"), h.AutoComplete("off"), h.Lines(
			h.Label(h.For("key"), h.Text("Key")),
			h.Input(h.ID("key"), h.Name("key"), h.Required(), h.MaxLength("250"), h.Attr("autocapitalize", "off"), h.Attr("spellcheck", "false")),
			h.Label(h.For("key-tenant"), h.Text("Tenant (all)")),
			h.Input(h.ID("key-tenant"), h.Name("tenant"), h.List("tenant-names")),
			h.Button(h.Text("Find")),
		)),
		h.Div(h.ID("found"), h.Role("status")),
	))
}
