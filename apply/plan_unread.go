package apply

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// The objects of a definition are stored in one version and converted to the one that
// is asked for. Where a conversion webhook does not answer, or what is stored is of a
// version that the definition no longer has, no request for the kind is answered: not
// for want of a server, and no other kind has part in it.

// unconverted matches what the API server says then (apiextensions-apiserver,
// pkg/apiserver/conversion; apiserver, pkg/storage/etcd3 and cacher).
var unconverted = regexp.MustCompile(`conversion webhook for .* failed|error trying to reach service|failed to read one or more .* from the storage|no kind ".*" is registered for|request to convert CR from an invalid`)

// isUnconverted reports whether an error is that of a kind whose objects cannot be
// converted.
func isUnconverted(m *meta.RESTMapping, err error) bool {
	var status apierrors.APIStatus
	return m.GroupVersionKind.Group != "" && errors.As(err, &status) && !isDenied(err) && unconverted.MatchString(status.Status().Message)
}

// leaveUnread notes that a kind cannot be read. Nothing is deleted while that is so,
// because what there is of it is not known.
func (p *planner) leaveUnread(m *meta.RESTMapping, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	why := statusMessage(err)
	if at := strings.LastIndex(why, "conversion webhook"); at > 0 { // what stands before it says less
		why = why[at:]
	}
	p.unread[m.GroupVersionKind.GroupKind()] = inOneLine(p.cluster.known.Text(why))
	if group := m.GroupVersionKind.Group; !slices.Contains(p.plan.Incomplete, group) {
		p.plan.Incomplete = append(p.plan.Incomplete, group)
		slices.Sort(p.plan.Incomplete)
	}
}

// unreadable plans an object of a kind that cannot be read: refused, or written after
// the definition where this plan changes that.
func (p *planner) unreadable(it *item) bool {
	gk := it.obj.GroupVersionKind().GroupKind()
	why, crd := p.whyUnread(gk)
	switch {
	case why == "":
		return false
	case crd != "":
		p.unverified(it, crd)
		it.change.Action = UnverifiedChanged // whether it is there, nobody knows
	default:
		p.reject(it, "objects of its kind cannot be read: "+why,
			"bring the conversion webhook back first, or correct the conversion or the versions of its definition")
	}
	return true
}

func (p *planner) whyUnread(gk kschema.GroupKind) (why, crd string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unread[gk], p.changedCRD[gk]
}
