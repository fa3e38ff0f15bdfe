package dashboard

import (
	"fmt"

	h "audiences/html"
	"audiences/status"
)

func (p Parked) html() h.Node {
	return h.Section(h.ID("parked"), h.Aria("labelledby", "parked-title"), refreshed(Path+"/parked", "5s"), h.Lines(
		h.Div(h.Class("title"), h.H2(h.ID("parked-title"), h.Text("Parked "), quiet(h.Text(status.Number(p.Matching)))), twin("/admin/api/v1/parked")),
		p.list(),
	))
}

func (p Parked) list() h.Node {
	if len(p.Rows) == 0 {
		return h.P(h.Class("empty"), h.Text("Nothing is parked."))
	}
	return h.Lines(
		h.Ul(h.Class("reasons"), h.Map(p.Reasons, func(r Reason) h.Node {
			return h.Li(h.B(h.Text(words(r.Reason))), h.Text(fmt.Sprintf(" %s segment%s, %s key%s", status.Number(r.Segments), plural(r.Segments), status.Number(r.Keys), plural(r.Keys))))
		})),
		h.Ul(h.Class("list"), h.Map(p.Rows, func(row Row) h.Node {
			return h.Li(h.ID("parked-"+row.ID()), h.Span(row.opener(), h.Text(" of "+status.Title(row.Tenant, row.Name)+": "+row.Sentence)),
				h.If(p.CanAct, h.Group(h.Text(" "), p.Remedies(row).buttons())))
		})),
		h.If(p.Matching > len(p.Rows), h.P(h.Class("quiet"), h.Text(fmt.Sprintf("The first %d of %s, those with most parked keys.", len(p.Rows), status.Number(p.Matching))))),
	)
}

func (e Events) html() h.Node {
	list := h.P(h.Class("empty"), h.Text("Nothing yet."))
	if len(e.Rows) > 0 {
		list = h.Ol(h.Class("list"), h.Switch("reversed"), h.Map(e.Rows, func(event status.Event) h.Node {
			return h.Li(h.ID(fmt.Sprint("event-", event.Number)), h.Time(h.DateTime(date(event.At)), h.Text(clock(event.At, e.At))), h.Text(" "+event.Sentence))
		}))
	}
	return h.Section(h.ID("events"), h.Aria("labelledby", "events-title"), refreshed(Path+"/events", "5s"), h.Lines(
		h.Div(h.Class("title"), h.H2(h.ID("events-title"), h.Text("What happened")), twin("/admin/api/v1/events")),
		list,
	))
}
