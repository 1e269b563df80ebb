// Package remote fetches the environments' repository from a git server: the newest
// commit of a reference, checked for its signature where that is asked for. It knows
// nothing of what is in the repository. What opens it is read anew each time, and no
// error repeats it.
package remote
