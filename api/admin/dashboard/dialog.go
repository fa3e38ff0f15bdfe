package dashboard

import (
	"net/url"

	h "audiences/html"
	"audiences/status"
)

// What the dialog shows, and what the form that finds a key gets for an answer.

func dialogTitle(text string) h.Node { return h.H2(h.ID("dialog-title"), h.Text(text)) }

func closeButton() h.Node {
	return h.P(h.Button(h.Type("button"), h.Data("closes", "dialog"), h.AutoFocus(), h.Text("Close")))
}

func (a Ask) html() h.Node {
	if a.Problem != "" {
		return h.Lines(dialogTitle(a.Title()), alert(a.Problem), closeButton())
	}
	fields := url.Values{}
	for name, value := range a.Fields {
		fields.Set(name, value)
	}
	danger := ""
	if a.Remedy == status.Discard {
		danger = " danger"
	}
	return h.Lines(
		dialogTitle(a.Title()),
		h.P(h.Text(a.Sentence)),
		h.Form(hx("post", Path+"/remedies/"+string(a.Remedy)), hx("target", "#dialog-content"), hx("disable", "find button"), hidden(fields), a.question(), h.Lines(
			h.P(h.Class("buttons"), h.Lines(
				h.Button(h.Class("do"+danger), h.Text(a.Title())),
				h.Button(h.Type("button"), h.Data("closes", "dialog"), h.Text("Cancel")),
			)),
		)),
	)
}

// question is what some remedies have to be told.
func (a Ask) question() h.Node {
	again := h.Group(h.AutoFocus(), hx("get", a.Again()), hx("target", "#dialog-content"))
	switch a.Remedy {
	case status.Pause:
		return h.Lines(
			h.Label(h.For("for"), h.Text("How long")),
			h.Select(h.ID("for"), h.Name("for"), again, h.Map(a.Choices(), func(c Choice) h.Node { return choice(c.Value, c.Said, a.Chosen) })),
		)
	case status.Move:
		return h.Lines(
			h.Label(h.For("to"), h.Text("To the tenant")),
			h.Select(h.ID("to"), h.Name("to"), h.Required(), again, h.Option(h.Value(""), h.Text("choose")), h.Map(a.Tenants, func(t status.Tenant) h.Node {
				return choice(t.Tenant, status.Title(t.Tenant, t.Name), a.Chosen)
			})),
		)
	}
	return h.Node{}
}

func (d Done) html() h.Node {
	title := "Done"
	if d.Problem != "" {
		title = "That could not be done"
	}
	return h.Lines(
		dialogTitle(title),
		h.If(d.Problem != "", alert(d.Problem)),
		h.If(d.Sentence != "", h.P(h.Role("status"), h.Text(d.Sentence))),
		h.If(len(d.Failed) > 0, h.Ul(h.Class("list"), h.Map(d.Failed, func(failed string) h.Node { return h.Li(h.Text(failed)) }))),
		closeButton(),
	)
}

func (k Keys) html() h.Node {
	shown := alert(k.Problem)
	if k.Problem == "" {
		shown = h.Lines(h.P(h.Class("quiet"), h.Text("That they were shown to you is an event.")), k.table())
	}
	return h.Lines(dialogTitle("Parked keys, as they are"), shown, closeButton())
}

func (f Found) html() h.Node {
	if f.Problem != "" {
		return alert(f.Problem)
	}
	return h.Lines(
		h.P(h.Text(f.Sentence)),
		h.If(len(f.Sightings) > 0, h.Ul(h.Class("list"), h.Map(f.Sightings, sighting))),
		h.If(f.Next != "", h.P(h.Class("quiet"), h.Text("There are more places: "), h.Code(h.Text("audiences where -")), h.Text(" lists them all."))),
	)
}

func sighting(s status.Sighting) h.Node {
	said := " " + s.Environment + "/" + s.Segment + " of " + status.Title(s.Tenant, s.Name) + ": " + s.Sentence
	if s.Message != "" {
		said += " " + s.Message
	}
	return h.Li(h.Span(h.Class("state key-"+string(s.State)), h.Text(words(s.State))), h.Text(said))
}
