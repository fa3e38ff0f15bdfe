// Package html makes HTML out of Go values. A page is a tree of nodes, which [Node.HTML]
// writes down. Whatever is text or the value of an attribute is escaped; there is no way to
// write markup that this package does not know, but for [Style].
//
// It is our own because of what it leaves out: with html/template, whose reflection may call
// any method of any type, the linker has to keep all of them, and the binary is 6 MB larger.
package html

import (
	"bytes"
	"html"
)

// Node is an element, an attribute, a text, several of them, or nothing: the zero value.
// An attribute belongs to the element that it is given to, wherever it stands among the
// others, and in no element it is not written.
type Node struct{ *node }

type node struct {
	kind  kind
	name  string // of an element or attribute
	text  string // of a text, or the value of an attribute
	nodes []Node // within an element or group
}

type kind int

const (
	text kind = iota
	raw
	attribute
	switched // an attribute without a value
	element
	group
)

// The functions that make a node are not inlined: pages call them hundreds of times, and
// the binary would be half a megabyte larger.

// Text is text.
//
//go:noinline
func Text(said string) Node { return Node{&node{kind: text, text: said}} }

// Attr is an attribute. Its name is written as it is, so it must be a constant.
//
//go:noinline
func Attr(name, value string) Node { return Node{&node{kind: attribute, name: name, text: value}} }

// Switch is an attribute that has no value. Its name must be a constant.
//
//go:noinline
func Switch(name string) Node { return Node{&node{kind: switched, name: name}} }

//go:noinline
func el(name string, nodes []Node) Node { return Node{&node{kind: element, name: name, nodes: nodes}} }

// Group is several nodes.
//
//go:noinline
func Group(nodes ...Node) Node { return Node{&node{kind: group, nodes: nodes}} }

// Style is a style sheet. It is written as it is, so it must be a constant.
func Style(sheet string) Node { return el("style", []Node{{&node{kind: raw, text: sheet}}}) }

// Lines are nodes on a line each. Those which stand in a line of text keep a space between
// them in this way.
func Lines(nodes ...Node) Node {
	all := make([]Node, 0, 2*len(nodes))
	for _, node := range nodes {
		if node != (Node{}) {
			all = append(all, Text("\n"), node)
		}
	}
	return Group(all...)
}

// If is the node if something holds, and nothing otherwise.
func If(holds bool, node Node) Node {
	if holds {
		return node
	}
	return Node{}
}

// Map is a node for each of several things.
func Map[T any](things []T, node func(T) Node) Node {
	nodes := make([]Node, 0, len(things))
	for _, thing := range things {
		nodes = append(nodes, node(thing))
	}
	return Group(nodes...)
}

// HTML is the node, written down.
func (n Node) HTML() []byte {
	var to bytes.Buffer
	n.write(&to)
	return to.Bytes()
}

func (n Node) write(to *bytes.Buffer) {
	if n == (Node{}) {
		return
	}
	switch n.kind {
	case text:
		to.WriteString(html.EscapeString(n.text))
	case raw:
		to.WriteString(n.text)
	case group:
		for _, node := range n.nodes {
			node.write(to)
		}
	case element:
		if n.name == "html" {
			to.WriteString("<!DOCTYPE html>\n")
		}
		to.WriteString("<" + n.name)
		writeAttributes(to, n.nodes)
		to.WriteByte('>')
		if void[n.name] {
			return
		}
		for _, node := range n.nodes {
			node.write(to)
		}
		to.WriteString("</" + n.name + ">")
	}
}

// void are the elements that have neither content nor an end.
var void = map[string]bool{"input": true, "link": true, "meta": true}

func writeAttributes(to *bytes.Buffer, nodes []Node) {
	for _, node := range nodes {
		if node == (Node{}) {
			continue
		}
		switch node.kind {
		case attribute:
			to.WriteString(" " + node.name + `="` + html.EscapeString(node.text) + `"`)
		case switched:
			to.WriteString(" " + node.name)
		case group:
			writeAttributes(to, node.nodes)
		}
	}
}
