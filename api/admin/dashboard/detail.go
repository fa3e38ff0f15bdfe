package dashboard

import (
	"strconv"

	h "audiences/html"
	"audiences/status"
)

func (d Detail) html() h.Node {
	content := h.Group(alert(d.Problem))
	if d.Problem == "" {
		content = h.Lines(d.title(), d.said(), h.If(d.CanAct, h.P(d.Remedies().buttons())), d.facts(), d.planned(), d.calls(), d.parked())
	}
	return h.Section(h.Class("detail"), h.Aria("labelledby", "detail-title"), hx("get", d.Row.Page()), hx("trigger", "tick from:body throttle:2s"), hx("swap", "outerMorph"), keep(), content)
}

func (d Detail) title() h.Node {
	return h.Div(h.Class("title"), h.Lines(
		h.H2(h.ID("detail-title"), h.TabIndex("-1"), h.Text(d.Row.Environment+"/"+d.Row.Segment.Segment+" "), quiet(h.Text("of "+status.Title(d.Row.Tenant, d.Row.Name)))),
		h.A(h.Href(d.Row.Page()), h.Text("link")),
		twin(d.Row.Twin()),
		h.Button(h.Type("button"), h.Class("close"), h.Data("empties", "detail"), h.Text("Close")),
	))
}

func (d Detail) said() h.Node {
	said := " " + d.Detail.Sentence
	if d.Detail.Message != "" {
		said += " Split says: " + d.Detail.Message
	}
	return h.P(state(d.Detail.Condition), h.Text(said))
}

func (d Detail) facts() h.Node {
	fact := func(what, said string) h.Node { return h.Div(h.Dt(h.Text(what)), h.Dd(h.Text(said))) }
	return h.Dl(h.Class("facts"), h.Lines(
		fact("To add", status.Number(d.Detail.Adds)),
		fact("To delete", status.Number(d.Detail.Deletes)),
		fact("In the journal alone", status.Number(d.Detail.Stored)),
		fact("Oldest accepted", clockOr(d.Detail.Oldest, d.At)),
		fact("Next call due", clockOr(d.Detail.Due, d.At)),
		fact("Parked keys", status.Number(d.Detail.Parked)),
		fact("Workspace", d.Row.Workspace),
		fact("Traffic type", d.Row.TrafficType),
	))
}

func (d Detail) planned() h.Node {
	if len(d.Detail.Planned) == 0 {
		return h.Node{}
	}
	return h.Lines(h.H3(h.Text("What goes next")), h.Ul(h.Class("planned"), h.Map(d.Detail.Planned, func(p status.Planned) h.Node {
		return h.Li(h.Text(status.PlannedSentence(p)))
	})))
}

func (d Detail) calls() h.Node {
	title := h.H3(h.Text("The last calls"))
	if len(d.Detail.Calls) == 0 {
		return h.Lines(title, h.P(h.Class("empty"), h.Text("No call since the start.")))
	}
	columns := h.Group(headings("Call", "Sent", "Verb"), figureHeading("Keys"), figureHeading("Attempt"), headings("Answer"), figureHeading("ms"), headings("Calls left"))
	return h.Lines(title, table(h.Aria("label", "The last calls"), columns, h.Map(d.Detail.Calls, d.call)))
}

func (d Detail) call(c status.Call) h.Node {
	answer := words(c.Reason)
	if c.Status != 0 {
		answer = strconv.Itoa(c.Status) + " " + answer
	}
	left := ""
	if c.Organisation.Known {
		left = "organisation " + amount(c.Organisation.Remaining)
	}
	if c.Address.Known {
		left += " address " + amount(c.Address.Remaining)
	}
	return h.Tr(
		rowHeading("Call", h.Text(strconv.FormatUint(c.Number, 10))), cell("Sent", h.Text(clock(c.At, d.At))), cell("Verb", h.Text(c.Verb)),
		figure("Keys", status.Number(c.Keys)), figure("Attempt", strconv.Itoa(c.Attempt)),
		cell("Answer", h.Text(answer), h.If(c.Transaction != "", h.Group(h.Text(" "), quiet(h.Text(c.Transaction))))),
		figure("ms", strconv.FormatInt(c.Millis, 10)), cell("Calls left", h.Text(left)),
	)
}

func (d Detail) parked() h.Node {
	if len(d.Keys) == 0 {
		return h.Node{}
	}
	return h.Lines(
		h.H3(h.Text("Parked keys")),
		h.Div(h.ID("parked-of-segment"), Keys{Keys: d.Keys, More: d.More}.table()),
		h.If(d.CanAct, h.Button(h.Type("button"), hx("post", Path+"/reveal?"+d.Row.Target()), hx("target", "#dialog-content"), h.Text("Reveal the keys\u2026"))),
	)
}

func (k Keys) table() h.Node {
	return h.Lines(
		table(h.Aria("label", "Parked keys"), headings("Key", "Verb", "Refused", "Why"), h.Map(k.Keys, parkedKey)),
		h.If(k.More, h.P(h.Class("quiet"), h.Text("There are more: "), h.Code(h.Text("audiences parked")), h.Text(" lists them all."))),
	)
}

func parkedKey(k status.ParkedKey) h.Node {
	why := status.Answer(words(k.Reason), k.Status, k.Transaction)
	if k.Message != "" {
		why += ": " + k.Message
	}
	return h.Tr(rowHeading("Key", h.Code(h.Text(k.Shown))), cell("Verb", h.Text(k.Verb)),
		cell("Refused", h.Time(h.DateTime(date(k.At)), h.Text(date(k.At)))), cell("Why", h.Text(why)))
}
