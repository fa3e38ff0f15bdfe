package dashboard

import (
	"fmt"

	h "audiences/html"
	"audiences/status"
)

func (l Live) html() h.Node {
	return h.Lines(l.verdict(), l.tiles(), l.budgets())
}

func (l Live) verdict() h.Node {
	return h.Section(h.ID("verdict"), h.Class("verdict "+l.Tone), h.Aria("labelledby", "verdict-title"), h.Lines(
		h.H2(h.ID("verdict-title"), h.Class("unseen"), h.Text("Verdict")),
		h.P(h.Role("status"), h.Text(l.Verdict)),
		h.If(l.Ready != "ready", h.P(h.Class("unready"), h.Role("alert"), h.Text("Posts are refused: "+l.Ready+"."))),
		h.P(h.Class("quiet"), h.Text(clock(l.At, l.At)+" UTC "), twin("/admin/api/v1/summary")),
	))
}

func (l Live) tiles() h.Node {
	tile := func(id, tone, title string, nodes ...h.Node) h.Node {
		return h.Div(h.ID("tile-"+id), h.If(tone != "", h.Class(tone)), h.Dt(h.Text(title)), h.Dd(nodes...))
	}
	bold := func(text string) h.Node { return h.B(h.Text(text)) }
	known := func(id, text string) h.Node { return h.B(h.ID(id), h.Text(text)) }
	bad, warn := "", ""
	if l.Parked > 0 || l.SegmentsParked > 0 {
		bad = "bad"
	}
	if l.Now.Refused > 0 {
		warn = "warn"
	}
	fresh := h.Group(bold("\u2013"), h.Text(" nothing was delivered in five minutes"))
	if l.Now.Measured > 0 {
		fresh = h.Group(h.Text("half within "), bold(seconds(l.Now.P50)), h.Text(", 99 % within "), bold(seconds(l.Now.P99)))
	}
	return h.Dl(h.Class("tiles"), h.Lines(
		tile("flow", "", "Keys a second", known("taken", amount(l.Now.Taken)), h.Text(" in, "), known("delivered", amount(l.Now.Delivered)), h.Text(" delivered")),
		tile("pending", "", "Pending", known("pending", status.Number(l.Pending)), h.If(l.More, h.Text(" or more")), h.If(l.Pending > 0, h.Text(", the oldest for "+seconds(l.Now.Oldest)))),
		tile("fresh", "", "From accepted to delivered", fresh),
		tile("parked", bad, "Parked", known("parked-keys", status.Number(l.Parked)), h.Text(" key"+plural(l.Parked)+", "), bold(status.Number(l.SegmentsParked)), h.Text(" segment"+plural(l.SegmentsParked))),
		tile("refused", warn, "Posts refused", known("refused", amount(l.Now.Refused)), h.Text(" in five minutes")),
	))
}

func (l Live) budgets() h.Node {
	return h.Section(h.ID("budgets"), h.Aria("labelledby", "budgets-title"), h.Lines(
		h.Div(h.Class("title"), h.H2(h.ID("budgets-title"), h.Text("Limits of Split, and the backlog")), twin("/admin/api/v1/budgets")),
		h.P(h.ID("backlog-said"), h.Text(l.Backlog)),
		h.Ul(h.Class("budgets"), h.Map(l.Budgets, func(b Budget) h.Node {
			return h.Li(h.Span(h.Class("what"), h.Text(b.Title)), h.Text(" "), h.Span(h.Text(b.Said)))
		})),
		h.If(l.Others > 0, h.P(h.Class("quiet"), h.Text(fmt.Sprintf("And %s more tenant%s with calls left.", status.Number(l.Others), plural(l.Others))))),
	))
}
