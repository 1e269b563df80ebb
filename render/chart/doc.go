// Package chart renders Helm charts with Helm's own engine: files and values in,
// objects out. It reads the files that it is given and nothing else, has no network,
// and makes the same of the same input: what would differ from one rendering to the
// next is pinned by the caller, or refused with its place in the template.
//
// A chart may come from anybody. Archives are read into memory within limits, names
// that lead out of them and links are refused. What a template does without an end
// is for the budget of the rendering to stop.
package chart
