// Package handbook writes the wiki page of environments: how requests reach them, with
// the drawing, URLs, ports, DNS records, apps and whom they call, registries,
// certificates, what others make, images, what happens when a host fails, and what to
// type. In English or Chinese, as HTML or Markdown.
//
//	render.Ways -> book (sections of paragraphs, tables, commands, drawings) -> Write
//
// All of it follows from the source: the same source gives the same bytes, so that CI
// can commit the page. The last changes are on it only where they are asked for: a page
// that is written before its commit lacks that one, and a shallow clone knows none. Values of Secrets are not read:
// what a Secret is called, and its keys, is all that is said of it.
package handbook
