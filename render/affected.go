package render

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render/budget"
)

// Affected names the environments that render differently than they did at a git
// reference, or that one of the two does not render; new ones count, removed ones
// are not there to name. Changes that have not been committed are seen. It renders
// both trees: no import, embedded file or base can be missed.
func (r *Repo) Affected(ctx context.Context, ref string) ([]string, error) {
	old, err := OpenGit(r.dir, ref)
	if err != nil {
		return nil, err
	}
	old.Budget = r.Budget
	before, err := old.fingerprints(ctx)
	if err != nil {
		return nil, err
	}
	now, err := r.fingerprints(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for name, print := range now {
		if was, ok := before[name]; !ok || print == "" || was != print {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// fingerprints are digests of all that environments evaluate to, by name; empty
// for one that is wrong.
func (r *Repo) fingerprints(ctx context.Context) (map[string]string, error) {
	return budget.Within(ctx, r.Budget, &r.Renderings, r.takeFingerprints)
}

func (r *Repo) takeFingerprints(ctx context.Context) (map[string]string, error) {
	dirs, err := r.scan()
	if err != nil {
		return nil, err
	}
	all, err := r.renderDirs(ctx, dirs, false)
	if err != nil {
		return nil, err
	}
	prints := map[string]string{}
	for _, one := range all {
		prints[one.name] = ""
		if one.result == nil {
			continue
		}
		sum := sha256.New()
		enc := json.NewEncoder(sum)
		if err := enc.Encode([]any{one.header, one.result.Notices}); err != nil {
			return nil, err
		}
		for _, u := range one.result.Env.Units {
			if err := enc.Encode(u); err != nil {
				return nil, err
			}
		}
		for _, u := range one.units {
			if err := enc.Encode(u.data.fields); err != nil {
				return nil, err
			}
		}
		prints[one.name] = hex.EncodeToString(sum.Sum(nil))
	}
	return prints, nil
}
