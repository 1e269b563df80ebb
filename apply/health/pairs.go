package health

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// judgePairs reads what a status counts outside the names of a Deployment: how many
// are wanted beside how many are there (desiredNumber and availableNumber, 1 of 3),
// at the top or two levels deep. Fewer than wanted is progressing; all of them are
// one thing that says that an object works.
func judgePairs(s *subject) (verdict, bool) {
	root := s.status()
	return pairsBelow(root, "status", 2)
}

func pairsBelow(root map[string]any, path string, levels int) (verdict, bool) {
	out, found := pairsOf(root, path)
	for _, key := range slices.Sorted(maps.Keys(root)) {
		m, ok := root[key].(map[string]any)
		if !ok || levels == 0 || isFormer(camelWords(key)) || out.State == Progressing {
			continue
		}
		if v, ok := pairsBelow(m, path+"."+key, levels-1); ok && (!found || v.State == Progressing) {
			out, found = v, true
		}
	}
	return out, found
}

func pairsOf(of map[string]any, path string) (out verdict, found bool) {
	if wanted, ok := count(of["desiredNumberScheduled"]); ok && wanted > 0 && path != "status" {
		if n, ok := count(of["numberReady"]); ok && n < wanted {
			return progressing(path+".numberReady", fmt.Sprintf("numberReady is %d of %d", n, wanted)), true
		} else if ok {
			return healthy(path+".numberReady", ""), true
		}
	}
	fields := map[string]string{} // by their names in small letters
	for key := range of {
		fields[strings.ToLower(key)] = key
	}
	for _, key := range slices.Sorted(maps.Keys(of)) {
		if v, ok := lackingOf(key, of, fields, path); ok {
			if v.State != Healthy {
				return v, true
			}
			out, found = v, true
			continue
		}
		noun, ok := wantedOf(key, of)
		if !ok {
			continue
		}
		wanted, ok := count(of[key])
		if !ok {
			continue
		}
		for _, have := range []string{"ready", "available", "updated", "succeeded"} {
			name, ok := fields[have+noun]
			if !ok {
				continue
			}
			n, ok := count(of[name])
			switch {
			case !ok:
			case n < wanted:
				return progressing(path+"."+name, fmt.Sprintf("%s is %d of %d", name, n, wanted)), true
			case wanted > 0:
				out, found = healthy(path+"."+name, ""), true
			}
		}
	}
	return out, found
}

// allReady finds what is all ready of what there is, which may be less than is wanted
// (shards and readyShards).
func allReady(of map[string]any) (field string, ok bool) {
	for _, key := range slices.Sorted(maps.Keys(of)) {
		what, ready := strings.CutPrefix(key, "ready")
		if !ready || what == "" {
			continue
		}
		n, counted := count(of[key])
		total, known := count(of[strings.ToLower(what[:1])+what[1:]])
		if counted && known && n > 0 && n >= total {
			return "status." + key, true
		}
	}
	return "", false
}

// lackingOf reads how many are not there beside how many are (unreadyNodeNum and
// readyNodeNum).
func lackingOf(key string, of map[string]any, fields map[string]string, path string) (verdict, bool) {
	good, ok := strings.CutPrefix(strings.ToLower(key), "un")
	if !ok || !strings.HasPrefix(good, "ready") && !strings.HasPrefix(good, "available") && !strings.HasPrefix(good, "healthy") {
		return verdict{}, false
	}
	lacking, ok := count(of[key])
	there, counted := count(of[fields[good]])
	switch {
	case !ok:
	case lacking > 0:
		return progressing(path+"."+key, fmt.Sprintf("%s is %d", key, lacking)), true
	case counted && there > 0:
		return healthy(path+"."+key, ""), true
	}
	return verdict{}, false
}

// wantedOf tells the fields that count how many are wanted, and of what: not of
// addresses and bytes, of which some are always in use.
func wantedOf(key string, of map[string]any) (noun string, ok bool) {
	words := camelWords(key)
	if len(words) == 0 || len(words) > 2 || !wordIn(words[:1], "desired", "expected", "expect", "total", "all") {
		return "", false
	}
	if len(words) == 1 {
		_, counts := of["failed"]
		return "", words[0] != "total" || counts
	}
	return words[1], wordIn(words[1:], "replicas", "number", "num", "count", "pods", "instances", "instance", "workers", "worker", "nodes", "node", "members", "workloads", "machines", "hosts", "shards", "brokers", "components")
}

// count is a whole number of a status, which some controllers write as text.
func count(v any) (int64, bool) {
	switch t := v.(type) {
	case int64:
		return t, true
	case string:
		n, err := strconv.ParseInt(t, 10, 64)
		return n, err == nil
	}
	return 0, false
}
