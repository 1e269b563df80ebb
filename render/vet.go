package render

import "context"

// Vet checks the named environments, all of them when none is named, with the
// rules between environments. It returns the warnings, and all that is wrong as
// Findings.
func (r *Repo) Vet(ctx context.Context, names ...string) (Findings, error) {
	defer lazyGC()()
	dirs, err := r.chosen(names)
	if err != nil {
		return nil, err
	}
	all, findings, err := r.renderDirs(ctx, dirs)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if one != nil {
			findings = append(findings, one.result.Warnings...)
		}
	}
	errs, warnings := findings.split()
	if len(errs) > 0 {
		return warnings, errs
	}
	return warnings, nil
}

func (r *Repo) chosen(names []string) ([]envDir, error) {
	if len(names) == 0 {
		return r.scan()
	}
	var dirs []envDir
	for _, name := range names {
		dir, err := r.find(name)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}
