// Package draw writes ways and graphs for people: as text, Mermaid, DOT, SVG and
// HTML. It decides nothing and reads nothing but package way; the same model gives
// the same bytes.
package draw
