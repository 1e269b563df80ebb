// Package kinds is what a plan and a run must know of single kinds: in which order
// they are written, what goes with them when they are deleted, what defines them,
// and what an autoscaler has. It asks nobody: an object or an environment is all
// that it looks at.
package kinds
