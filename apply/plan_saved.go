package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// SavedPlan is a plan that was reviewed. It holds no secret values; what it
// applies is rendered again and must be the same.
type SavedPlan struct {
	Version     int            `json:"version"`
	Environment string         `json:"environment"`
	Cluster     schema.Cluster `json:"cluster"`
	Rendered    string         `json:"rendered"`
	Changes     []SavedChange  `json:"changes"`
}

// SavedChange is a change with the version of the live object that it was
// computed from.
type SavedChange struct {
	Change
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

const savedVersion = 1

// Save is what diff --save writes.
func (p *Plan) Save() ([]byte, error) {
	s := SavedPlan{Version: savedVersion, Environment: p.Environment, Cluster: p.Cluster, Rendered: p.Rendered, Changes: []SavedChange{}}
	for _, c := range p.Changes {
		saved := SavedChange{Change: c}
		if c.live != nil {
			saved.UID, saved.ResourceVersion = string(c.live.GetUID()), c.live.GetResourceVersion()
		}
		s.Changes = append(s.Changes, saved)
	}
	return json.MarshalIndent(s, "", "  ")
}

// ReadSavedPlan reads what Save wrote.
func ReadSavedPlan(raw []byte) (*SavedPlan, error) {
	s := &SavedPlan{}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("saved plan: %w", err)
	}
	if s.Version != savedVersion {
		return nil, fmt.Errorf("saved plan: version %d, this evenkeel reads %d", s.Version, savedVersion)
	}
	return s, nil
}

// Against compares a plan that is being applied with the one that was reviewed.
// An error says that it is for something else. The changes are those of now that
// the review did not see: where there are any, the apply must be refused. A change
// that is no longer necessary needs no review.
func (s *SavedPlan) Against(now *Plan) ([]Change, error) {
	switch {
	case s.Environment != now.Environment:
		return nil, fmt.Errorf("the saved plan is for environment %s", s.Environment)
	case s.Cluster.UID != now.Cluster.UID || s.Cluster.UID == "" && s.Cluster.Server != now.Cluster.Server:
		return nil, errors.New("the saved plan is for another cluster")
	case s.Rendered != now.Rendered:
		return nil, errors.New("the environment renders to something else than when the plan was saved")
	}
	if i := slices.IndexFunc(s.Changes, func(c SavedChange) bool { return c.Action == Rejected }); i >= 0 {
		return nil, fmt.Errorf("the server refused %s when the plan was saved", s.Changes[i].Ref)
	}
	var unseen []Change
	for _, c := range now.Changes {
		if c.Action == Foreign || c.Action == CopiedLabel || c.Action == Kept {
			continue // nothing is written
		}
		if !slices.ContainsFunc(s.Changes, func(old SavedChange) bool { return old.covers(&c) }) {
			unseen = append(unseen, c)
		}
	}
	return unseen, nil
}

// covers reports whether the reviewed change is the one of now. The same version
// of the same object gives the same change; another version may still.
func (s *SavedChange) covers(now *Change) bool {
	if s.ID() != now.ID() || s.Action != now.Action {
		return false
	}
	if now.live != nil && s.UID != string(now.live.GetUID()) {
		return false
	}
	return sameChange(&s.Change, now)
}

// sameChange reports whether two plans of one object do the same to it, whoever
// wrote last.
func sameChange(a, b *Change) bool {
	if a.Action != b.Action || a.ID() != b.ID() || a.Refused != b.Refused || len(a.Fields) != len(b.Fields) {
		return false
	}
	for i := range a.Fields {
		x, y := a.Fields[i], b.Fields[i]
		if x.Path != y.Path || !managed.Equal(x.From, y.From) || !managed.Equal(x.To, y.To) {
			return false
		}
	}
	return true
}
