package html

// The elements that the pages have.

// Document is a whole page.
func Document(nodes ...Node) Node { return el("html", nodes) }

func A(nodes ...Node) Node          { return el("a", nodes) }
func B(nodes ...Node) Node          { return el("b", nodes) }
func Body(nodes ...Node) Node       { return el("body", nodes) }
func Button(nodes ...Node) Node     { return el("button", nodes) }
func Code(nodes ...Node) Node       { return el("code", nodes) }
func DataList(nodes ...Node) Node   { return el("datalist", nodes) }
func Dd(nodes ...Node) Node         { return el("dd", nodes) }
func Dialog(nodes ...Node) Node     { return el("dialog", nodes) }
func Div(nodes ...Node) Node        { return el("div", nodes) }
func Dl(nodes ...Node) Node         { return el("dl", nodes) }
func Dt(nodes ...Node) Node         { return el("dt", nodes) }
func FigCaption(nodes ...Node) Node { return el("figcaption", nodes) }
func Figure(nodes ...Node) Node     { return el("figure", nodes) }
func Form(nodes ...Node) Node       { return el("form", nodes) }
func H1(nodes ...Node) Node         { return el("h1", nodes) }
func H2(nodes ...Node) Node         { return el("h2", nodes) }
func H3(nodes ...Node) Node         { return el("h3", nodes) }
func Head(nodes ...Node) Node       { return el("head", nodes) }
func Header(nodes ...Node) Node     { return el("header", nodes) }
func Input(nodes ...Node) Node      { return el("input", nodes) }
func Label(nodes ...Node) Node      { return el("label", nodes) }
func Li(nodes ...Node) Node         { return el("li", nodes) }
func Link(nodes ...Node) Node       { return el("link", nodes) }
func Main(nodes ...Node) Node       { return el("main", nodes) }
func Meta(nodes ...Node) Node       { return el("meta", nodes) }
func Nav(nodes ...Node) Node        { return el("nav", nodes) }
func NoScript(nodes ...Node) Node   { return el("noscript", nodes) }
func Ol(nodes ...Node) Node         { return el("ol", nodes) }
func Option(nodes ...Node) Node     { return el("option", nodes) }
func P(nodes ...Node) Node          { return el("p", nodes) }
func Script(nodes ...Node) Node     { return el("script", nodes) }
func Section(nodes ...Node) Node    { return el("section", nodes) }
func Select(nodes ...Node) Node     { return el("select", nodes) }
func Span(nodes ...Node) Node       { return el("span", nodes) }
func Table(nodes ...Node) Node      { return el("table", nodes) }
func TBody(nodes ...Node) Node      { return el("tbody", nodes) }
func Td(nodes ...Node) Node         { return el("td", nodes) }
func Th(nodes ...Node) Node         { return el("th", nodes) }
func THead(nodes ...Node) Node      { return el("thead", nodes) }
func Time(nodes ...Node) Node       { return el("time", nodes) }
func Title(nodes ...Node) Node      { return el("title", nodes) }
func Tr(nodes ...Node) Node         { return el("tr", nodes) }
func Ul(nodes ...Node) Node         { return el("ul", nodes) }

// Their attributes.

func Action(value string) Node       { return Attr("action", value) }
func AutoComplete(value string) Node { return Attr("autocomplete", value) }
func Charset(value string) Node      { return Attr("charset", value) }
func Class(value string) Node        { return Attr("class", value) }
func Content(value string) Node      { return Attr("content", value) }
func DateTime(value string) Node     { return Attr("datetime", value) }
func For(value string) Node          { return Attr("for", value) }
func Href(value string) Node         { return Attr("href", value) }
func ID(value string) Node           { return Attr("id", value) }
func Lang(value string) Node         { return Attr("lang", value) }
func List(value string) Node         { return Attr("list", value) }
func MaxLength(value string) Node    { return Attr("maxlength", value) }
func Method(value string) Node       { return Attr("method", value) }
func Name(value string) Node         { return Attr("name", value) }
func Placeholder(value string) Node  { return Attr("placeholder", value) }
func Rel(value string) Node          { return Attr("rel", value) }
func Role(value string) Node         { return Attr("role", value) }
func Scope(value string) Node        { return Attr("scope", value) }
func Src(value string) Node          { return Attr("src", value) }
func TabIndex(value string) Node     { return Attr("tabindex", value) }
func TitleAttr(value string) Node    { return Attr("title", value) }
func Type(value string) Node         { return Attr("type", value) }
func Value(value string) Node        { return Attr("value", value) }

// Aria and Data are families of attributes.

func Aria(name, value string) Node { return Attr("aria-"+name, value) }
func Data(name, value string) Node { return Attr("data-"+name, value) }

// Attributes without a value.

func AutoFocus() Node { return Switch("autofocus") }
func Defer() Node     { return Switch("defer") }
func Required() Node  { return Switch("required") }
func Selected() Node  { return Switch("selected") }
