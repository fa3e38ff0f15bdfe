package dashboard

import (
	h "audiences/html"
	"audiences/status"
)

// sortable is a column whose heading is a link that sorts by it.
func (q Query) sortable(list, prefix, by, title string, more ...h.Node) h.Node {
	return heading(h.Group(more...), h.Aria("sort", q.Sorts(prefix, by)),
		h.A(h.Href(q.Sorted("", prefix, by)), hx("get", q.Sorted("/"+list, prefix, by)), replaces("#"+list), h.Text(title)))
}

// filter is the form above a list, which sends along what the other parameters say.
func (q Query) filter(list, trigger string, without []string, fields ...h.Node) h.Node {
	return h.Form(h.Class("row"), h.Method("get"), h.Action(Path), hx("get", Path+"/"+list), hx("trigger", trigger), replaces("#"+list),
		hidden(q.Others(without...)), h.Lines(fields...), h.Lines(h.NoScript(h.Button(h.Text("Search")))))
}

func (t Tenants) html() h.Node {
	return h.Section(h.ID("tenants"), h.Aria("labelledby", "tenants-title"), refreshed(t.Query.With("/tenants"), "2s"), h.Lines(
		h.Div(h.Class("title"), h.Lines(
			h.H2(h.ID("tenants-title"), h.Text("Tenants "), quiet(h.Text(status.Number(t.Matching)))),
			t.Query.filter("tenants", "submit, input delay:300ms", []string{"tenantSearch"},
				h.Label(h.For("tenant-search"), h.Text("Search")),
				h.Input(h.ID("tenant-search"), h.Type("search"), h.Name("tenantSearch"), h.Value(t.Query.Get("tenantSearch")), h.Placeholder("name or fingerprint")),
			),
			twin("/admin/api/v1/tenants"),
		)),
		t.table(),
		t.Pager().links(),
	))
}

func (t Tenants) table() h.Node {
	if len(t.Rows) == 0 {
		said := "No tenant yet: the first post makes one."
		if t.Query.Get("tenantSearch") != "" {
			said = "No tenant matches."
		}
		return h.P(h.Class("empty"), h.Text(said))
	}
	columns := h.Lines(
		t.Query.sortable("tenants", "tenant", "name", "Tenant"),
		t.Query.sortable("tenants", "tenant", "state", "State"),
		t.Query.sortable("tenants", "tenant", "pending", "Pending", h.Class("figure")),
		t.Query.sortable("tenants", "tenant", "parked", "Parked", h.Class("figure")),
		heading(h.Text("What it is about")),
		h.If(t.CanAct, heading(h.Text("Remedies"))),
	)
	return table(h.Aria("labelledby", "tenants-title"), columns, h.Map(t.Rows, func(row status.Tenant) h.Node {
		return h.Tr(h.ID("tenant-"+row.Tenant), h.Lines(
			rowHeading("Tenant", h.A(h.Href(t.Query.With("", "tenant", row.Tenant)+"#segments"), h.TitleAttr(row.Tenant), h.Text(nameOr(row.Name, row.Tenant)))),
			cell("State", state(row.Condition)),
			figure("Pending", pending(row.Counts)),
			figure("Parked", status.Number(row.Parked)),
			cell("About", h.Class("said"), h.Text(row.Sentence)),
			h.If(t.CanAct, cell("Remedies", t.Remedies(row).buttons())),
		))
	}))
}

func (s Segments) html() h.Node {
	of := ""
	if tenant := s.Query.Get("tenant"); tenant != "" {
		of = " of " + tenant
	}
	return h.Section(h.ID("segments"), h.Aria("labelledby", "segments-title"), refreshed(s.Query.With("/segments"), "2s"), h.Lines(
		h.Div(h.Class("title"), h.Lines(
			h.H2(h.ID("segments-title"), h.Text("Segments"+of+" "), quiet(h.Text(status.Number(s.Matching)))),
			s.Query.filter("segments", "submit, change from:find select, input delay:300ms", []string{"search", "state", "tenant"}, s.fields()...),
			twin("/admin/api/v1/segments"),
		)),
		s.table(),
		s.Pager().links(),
	))
}

func (s Segments) fields() []h.Node {
	return []h.Node{
		h.Label(h.For("search"), h.Text("Search")),
		h.Input(h.ID("search"), h.Type("search"), h.Name("search"), h.Value(s.Query.Get("search")), h.Placeholder("segment or environment")),
		h.Label(h.For("of-tenant"), h.Text("Tenant")),
		h.Input(h.ID("of-tenant"), h.Name("tenant"), h.List("tenant-names"), h.Value(s.Query.Get("tenant")), h.Placeholder("all")),
		h.Label(h.For("state"), h.Text("State")),
		h.Select(h.ID("state"), h.Name("state"), h.Option(h.Value(""), h.Text("any")), h.Map(s.States, func(state status.State) h.Node {
			return choice(string(state), words(state), s.Query.Get("state"))
		})),
	}
}

func (s Segments) table() h.Node {
	if len(s.Rows) == 0 {
		said := "No segment yet: the first post makes one."
		if s.Problem != "" {
			said = "No segment matches: " + s.Problem + "."
		} else if s.Filtered() {
			said = "No segment matches."
		}
		return h.P(h.Class("empty"), h.Text(said))
	}
	columns := h.Lines(
		s.Query.sortable("segments", "", "name", "Segment"),
		heading(h.Text("Tenant")),
		s.Query.sortable("segments", "", "state", "State"),
		s.Query.sortable("segments", "", "pending", "Pending", h.Class("figure")),
		s.Query.sortable("segments", "", "parked", "Parked", h.Class("figure")),
		heading(h.Text("What it is about")),
	)
	rows := h.Map(s.Rows, func(row Row) h.Node {
		return h.Tr(h.ID(row.ID()), h.Lines(
			rowHeading("Segment", row.opener()),
			cell("Tenant", h.TitleAttr(row.Tenant), h.Text(nameOr(row.Name, row.Tenant))),
			cell("State", state(row.Condition)),
			figure("Pending", pending(row.Counts)),
			figure("Parked", status.Number(row.Parked)),
			cell("About", h.Class("said"), h.Text(row.Sentence)),
		))
	})
	return h.Lines(
		table(h.Aria("labelledby", "segments-title"), columns, rows),
		h.If(s.CanAct && s.Filtered(), h.Div(h.Class("bulk"), h.Span(h.Text("All "+status.Number(s.Matching)+" that match:")), s.Remedies().buttons())),
	)
}
