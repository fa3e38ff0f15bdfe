package main

import (
	"bytes"
	"fmt"
	"html"
)

// point is one measurement; its name stands below the axis.
type point struct {
	name  string
	value float64
}

// Sizes of the plot in pixels.
const (
	plotWidth, plotHeight  = 640, 320
	marginLeft, marginEdge = 70, 40
)

// plot draws points that are evenly spaced, from a baseline of 0, as an SVG.
func plot(title, across, up string, points []point) []byte {
	most := 0.0
	for _, p := range points {
		most = max(most, p.value)
	}
	top := most * 1.2
	x := func(i int) float64 {
		return marginLeft + (plotWidth-marginLeft-marginEdge)*(float64(i)+0.5)/float64(len(points))
	}
	y := func(v float64) float64 { return plotHeight - marginEdge - (plotHeight-2*marginEdge)*v/top }
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&out, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="22" font-size="15">%s</text>`+"\n", marginLeft, html.EscapeString(title))
	for i := range 5 {
		v := most * float64(i) / 4
		fmt.Fprintf(&out, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f</text>`+"\n", marginLeft, y(v), plotWidth-marginEdge, marginLeft-8, y(v)+4, v)
	}
	line := "M"
	for i, p := range points {
		line += fmt.Sprintf("%.1f %.1f ", x(i), y(p.value))
		fmt.Fprintf(&out, `<circle cx="%.1f" cy="%.1f" r="4" fill="#1565c0"/><text x="%.1f" y="%.1f" text-anchor="middle">%.0f</text>`+"\n", x(i), y(p.value), x(i), y(p.value)-10, p.value)
		fmt.Fprintf(&out, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(i), plotHeight-marginEdge+18, html.EscapeString(p.name))
	}
	fmt.Fprintf(&out, `<path d="%s" fill="none" stroke="#1565c0" stroke-width="2"/>`+"\n", line)
	fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", plotWidth/2, plotHeight-4, html.EscapeString(across))
	fmt.Fprintf(&out, `<text x="16" y="%d" text-anchor="middle" transform="rotate(-90 16 %d)">%s</text></svg>`+"\n", plotHeight/2, plotHeight/2, html.EscapeString(up))
	return out.Bytes()
}
