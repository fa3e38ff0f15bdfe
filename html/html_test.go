package html

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestHTML: attributes stand in their element's tag wherever they are given, nothing is
// written for nothing, and an element without content has no end.
func TestHTML(t *testing.T) {
	for _, c := range []struct {
		node Node
		want string
	}{
		{Node{}, ""},
		{Text("a"), "a"},
		{Group(Text("a"), Node{}, Text("b")), "ab"},
		{P(Text("a"), Class("c"), If(true, ID("d")), If(false, ID("e"))), `<p class="c" id="d">a</p>`},
		{P(Group(Group(Class("c"), Text("a")))), `<p class="c">a</p>`},
		{Input(Required(), Name("n"), Text("lost")), `<input required name="n">`},
		{Ul(Map([]string{"a", "b"}, func(s string) Node { return Li(Text(s)) })), `<ul><li>a</li><li>b</li></ul>`},
		{P(Lines(Text("a"), Node{}, B(Text("b")))), "<p>\na\n<b>b</b></p>"},
		{Document(Lang("en"), Title(Text("t"))), "<!DOCTYPE html>\n" + `<html lang="en"><title>t</title></html>`},
		{Style("a > b { content: '&' }"), "<style>a > b { content: '&' }</style>"},
		{Class("of no element"), ""},
	} {
		if got := string(c.node.HTML()); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// FuzzEscaping: whatever a text or a value is, a browser's parser finds one element with that
// attribute and that text.
func FuzzEscaping(f *testing.F) {
	for _, seed := range []string{"", "a", `"><script>alert(1)</script><b onclick="x" style='y'>`, "a&amp;b&", "&lt", "</p>", "'", "\u00a0\t\n", "<!--", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said string) {
		said = strings.ToValidUTF8(said, "?")
		if strings.ContainsAny(said, "\x00\r") { // which a parser takes for others
			return
		}
		written := string(Div(Attr("data-said", said), Switch("hidden"), Text(said)).HTML())
		nodes, err := html.ParseFragment(strings.NewReader(written), nil)
		if err != nil {
			t.Fatal(err)
		}
		body := nodes[0].LastChild
		div := body.FirstChild
		if div == nil || div.Data != "div" || div.NextSibling != nil || len(div.Attr) != 2 || div.Attr[0].Val != said {
			t.Fatalf("%q became %s", said, written)
		}
		if text := div.FirstChild; said == "" && text != nil || said != "" && (text == nil || text.Type != html.TextNode || text.Data != said || text.NextSibling != nil) {
			t.Fatalf("%q became %s", said, written)
		}
	})
}
