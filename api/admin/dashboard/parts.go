package dashboard

import (
	"maps"
	"net/url"
	"slices"
	"time"

	h "audiences/html"
	"audiences/status"
)

// What several parts of the page have in common.

func quiet(nodes ...h.Node) h.Node { return h.Span(h.Class("quiet"), h.Group(nodes...)) }

// twin leads to the same as JSON.
func twin(path string) h.Node { return h.A(h.Class("twin"), h.Href(path), h.Text("JSON")) }

func alert(problem string) h.Node { return h.P(h.Role("alert"), h.Text(problem)) }

func hiddenInput(name, value string) h.Node {
	return h.Input(h.Type("hidden"), h.Name(name), h.Value(value))
}

// hidden are fields that a form sends along, in the order of their names.
func hidden(fields url.Values) h.Node {
	var all []h.Node
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, value := range fields[name] {
			all = append(all, hiddenInput(name, value))
		}
	}
	return h.Group(all...)
}

// choice is one of a list to choose from.
func choice(value, said, chosen string) h.Node {
	return h.Option(h.Value(value), h.If(value == chosen, h.Selected()), h.Text(said))
}

// hx is an attribute that htmx reads.
func hx(name, value string) h.Node { return h.Attr("hx-"+name, value) }

// atOnce has what somebody asks for take the place of a refresh that is under way: that
// would show the list as it was before.
func atOnce() h.Node { return hx("sync", "closest section:replace") }

// keep has a part stay as it is when it cannot be had anew.
func keep() h.Node {
	return h.Group(hx("status:4xx", "swap:none"), hx("status:5xx", "swap:none"))
}

// refreshed has a list ask for itself when there is something new, but not more often than
// this.
func refreshed(from, throttle string) h.Node {
	return h.Group(hx("get", from), hx("trigger", "tick from:body throttle:"+throttle), hx("swap", "outerMorph"), hx("sync", "this:drop"), keep())
}

// replaces has a link or a form put what it gets in place of a list.
func replaces(target string) h.Node {
	return h.Group(hx("target", target), hx("swap", "outerMorph"), atOnce())
}

func state(c status.Condition) h.Node {
	return h.Group(stateWord(c.State), h.If(c.Also != "", h.Group(h.Text(" "), stateWord(c.Also))))
}

func stateWord(s status.State) h.Node {
	return h.Span(h.Class("state "+string(s)), h.Text(words(s)))
}

func pending(c status.Counts) string {
	if c.More {
		return status.Number(c.Pending) + "+"
	}
	return status.Number(c.Pending)
}

// nameOr is what people call a tenant, or its fingerprint.
func nameOr(name, fingerprint string) string {
	if name != "" {
		return name
	}
	return fingerprint
}

// clockOr is a time of day, or a dash where there is none.
func clockOr(at, now time.Time) string {
	if at.IsZero() {
		return "\u2013"
	}
	return clock(at, now)
}

func date(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// opener is the link that opens a row.
func (r Row) opener() h.Node {
	return h.A(h.Class("opener"), h.Href(r.Page()), hx("get", r.Page()), hx("target", "#detail"), hx("swap", "innerHTML show:top"), h.Text(r.Environment+"/"+r.Segment.Segment))
}

func (r Remedies) buttons() h.Node {
	return h.Span(h.Class("remedies"), h.Map(r.Remedies, func(remedy status.Remedy) h.Node {
		return h.Button(h.Type("button"), hx("get", Path+"/remedies/"+string(remedy)+"?"+r.Target), hx("target", "#dialog-content"), h.Text(string(remedy)))
	}))
}

func (p Pager) links() h.Node {
	if p.First == nil && p.Next == nil {
		return h.Node{}
	}
	link := func(to *Link, said string) h.Node {
		if to == nil {
			return h.Node{}
		}
		return h.A(h.Href(to.Whole), hx("get", to.Part), replaces(p.Target), h.Text(said))
	}
	return h.P(h.Class("pager"), h.Lines(link(p.First, "First page"), link(p.Next, "Next page")))
}

// table is one that can be scrolled by itself, also with the keyboard.
func table(label h.Node, headings h.Node, rows h.Node) h.Node {
	return h.Div(h.Class("scroll"), h.TabIndex("0"), h.Role("region"), label,
		h.Table(h.THead(h.Tr(headings)), h.TBody(rows)))
}

func heading(nodes ...h.Node) h.Node { return h.Th(h.Scope("col"), h.Group(nodes...)) }

// headings are columns with nothing but a name.
func headings(names ...string) h.Node {
	return h.Map(names, func(name string) h.Node { return heading(h.Text(name)) })
}

func figureHeading(name string) h.Node { return heading(h.Class("figure"), h.Text(name)) }

// rowHeading and cell say on a narrow screen, where there are no columns, what they are.
func rowHeading(label string, nodes ...h.Node) h.Node {
	return h.Th(h.Scope("row"), h.Data("label", label), h.Group(nodes...))
}

func cell(label string, nodes ...h.Node) h.Node {
	return h.Td(h.Data("label", label), h.Group(nodes...))
}

func figure(label, number string) h.Node { return cell(label, h.Class("figure"), h.Text(number)) }
