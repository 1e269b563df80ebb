package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	chartutil "helm.sh/helm/v4/pkg/chart/common/util"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// Input is what a chart is rendered with.
type Input struct {
	// Release and Namespace are .Release.Name and .Release.Namespace.
	Release, Namespace string
	// Values are those that are not the chart's own.
	Values map[string]any
	// KubeVersion is that of the cluster, such as 1.37, and APIVersions what it serves,
	// as apps/v1 and apps/v1/Deployment.
	KubeVersion string
	APIVersions []string
	// Seed is what random values are made from; without it a chart whose objects depend
	// on one is refused.
	Seed string
	// Now is the time; where it is zero, a chart whose objects depend on it is refused.
	Now time.Time
	// Lookup are the objects that the function lookup finds.
	Lookup []map[string]any
}

// Output is what a chart makes.
type Output struct {
	Objects []Object
	// Warnings are what Helm says of the values, such as a table where there was none.
	Warnings []string
}

// engineMutex is held while Helm's code runs: it writes to the log of the process.
var engineMutex sync.Mutex //nolint:gochecknoglobals // guards a variable of another package

// captured catches what Helm logs, until it is called.
func captured(warnings *[]string) (restore func()) {
	engineMutex.Lock()
	var b bytes.Buffer
	flags, to := log.Flags(), log.Writer() //nolint:forbidigo // Helm logs there
	log.SetOutput(&b)                      //nolint:forbidigo // see above
	log.SetFlags(0)                        //nolint:forbidigo // see above
	return func() {
		log.SetOutput(to)   //nolint:forbidigo // see above
		log.SetFlags(flags) //nolint:forbidigo // see above
		engineMutex.Unlock()
		if warnings == nil {
			return
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "warning: ")
			if line != "" && len(*warnings) < 20 {
				*warnings = append(*warnings, line)
			}
		}
	}
}

// Refused says that a template asks for what would differ from one rendering to the
// next, or would come from elsewhere.
type Refused struct {
	Function string
	Place    string // templates/secret.yaml:5:12
}

func (e *Refused) Error() string {
	return fmt.Sprintf("%s calls %s, which gives another result each time", e.Place, e.Function)
}

// Render renders the chart.
func (c *Chart) Render(ctx context.Context, in Input) (Output, error) {
	if err := c.fits(in); err != nil {
		return Output{}, err
	}
	f := newFixed(in)
	out, err := c.once(ctx, in, f)
	if err != nil || f.calls == 0 {
		return out, err
	}
	if c.steady(ctx, in, out, everyCall) {
		return out, nil
	}
	return Output{}, c.unsteady(ctx, in, out, f.calls)
}

// steady says whether the result stays as it is with another stand-in for a call.
func (c *Chart) steady(ctx context.Context, in Input, out Output, call int) bool {
	f := newFixed(in)
	f.vary = call
	other, err := c.once(ctx, in, f)
	return err == nil && reflect.DeepEqual(out.written(), other.written())
}

// unsteady finds the call that makes the difference.
func (c *Chart) unsteady(ctx context.Context, in Input, out Output, calls int) error {
	const most = 100
	guilty := 0
	for call := range min(calls, most) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !c.steady(ctx, in, out, call) {
			guilty = call
			break
		}
	}
	f := newFixed(in)
	f.refuse = guilty
	if _, err := c.once(ctx, in, f); err != nil {
		return err
	}
	return errors.New("it gives another result each time")
}

// once renders the chart with certain stand-ins.
func (c *Chart) once(ctx context.Context, in Input, f *fixed) (out Output, err error) {
	files, err := c.execute(ctx, in, f, &out.Warnings, nil)
	if err != nil {
		return out, err
	}
	for _, crd := range c.helm.CRDObjects() {
		made, err := objectsIn(crd.Filename, string(crd.File.Data))
		if err != nil {
			return out, err
		}
		out.Objects = append(out.Objects, made...)
	}
	made, err := sortedObjects(files)
	out.Objects = append(out.Objects, made...)
	return out, err
}

// written are the objects without those that tests alone run, such as Pods with a
// random name.
func (out Output) written() []Object {
	return slices.DeleteFunc(slices.Clone(out.Objects), func(o Object) bool { return o.Hook != nil && o.Hook.Test() })
}

// execute is what helm template does between the values and the manifests. A function
// that is given sees the values, and may change them: they are not held against the schema.
func (c *Chart) execute(ctx context.Context, in Input, fixed *fixed, warnings *[]string, change func(values map[string]any)) (files map[string]string, err error) {
	restore := captured(warnings)
	defer restore()
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the engine of Helm broke down: " + contain.What(p))
		}
	}()
	if c.used { // Helm writes to what it renders
		if c.helm, err = loader.LoadFiles(cloned(c.files)); err != nil {
			return nil, err
		}
		sortDependencies(c.helm)
	}
	c.used = true
	given := floats(in.Values)
	if err := util.ProcessDependencies(c.helm, given); err != nil {
		return nil, err
	}
	version, err := common.ParseKubeVersion(in.KubeVersion)
	if err != nil {
		return nil, err
	}
	values, err := chartutil.ToRenderValuesWithSchemaValidation(c.helm, given, common.ReleaseOptions{
		Name: in.Release, Namespace: in.Namespace, Revision: 1, IsInstall: true,
	}, &common.Capabilities{
		KubeVersion: *version, APIVersions: in.APIVersions, HelmVersion: common.DefaultCapabilities.HelmVersion,
	}, true)
	if err != nil {
		return nil, err
	}
	if vals, ok := values["Values"].(common.Values); ok && change != nil {
		change(vals)
	} else if ok {
		if err := validate(c.helm, vals); err != nil {
			return nil, err
		}
	}
	files, err = engine.Engine{CustomTemplateFuncs: fixed.functions()}.RenderWithContext(ctx, c.helm, values)
	if err != nil {
		return nil, fixed.explain(err)
	}
	return files, nil
}

// fits finds what keeps a chart from being rendered at all.
func (c *Chart) fits(in Input) error {
	if c.helm.Metadata.Type == "library" {
		return errors.New("it is a library: other charts use it, and it makes nothing by itself")
	}
	if wants := c.helm.Metadata.KubeVersion; wants != "" && !util.IsCompatibleRange(wants, "v"+in.KubeVersion+".0") {
		return fmt.Errorf("it wants Kubernetes %s, and the environment's kubernetesVersion is %s", wants, in.KubeVersion)
	}
	return missingDependency(c.helm)
}

// missingDependency finds a sub-chart that Chart.yaml names and charts/ does not have.
func missingDependency(c *helmchart.Chart) error {
	has := map[string]bool{}
	for _, dep := range c.Dependencies() {
		has[dep.Name()] = true
	}
	for _, dep := range c.Metadata.Dependencies {
		if dep != nil && !has[dep.Name] {
			return fmt.Errorf("its Chart.yaml asks for the sub-chart %s %s, which is not in its directory charts (helm dependency build fetches it; evenkeel chart pull takes the archive, which has it)", dep.Name, dep.Version)
		}
	}
	return nil
}

// floats makes numbers what they are in a values file: Helm reads YAML by way of JSON,
// and templates ask for the type.
func floats(v map[string]any) map[string]any {
	out := make(map[string]any, len(v))
	for key, value := range v {
		out[key] = float(value)
	}
	return out
}

func float(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return floats(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = float(item)
		}
		return out
	case int64:
		return float64(v)
	}
	return v
}

// location matches the place of a template in an error of the engine.
var location = regexp.MustCompile(`([\w.+-]+(?:/[\w.+-]+)*\.\w+:\d+(?::\d+)?)`)

// message is an error of the engine in one line: where, and what.
func message(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, before := range []string{"execution error at (", "parse error at ("} {
		if rest, ok := strings.CutPrefix(text, before); ok {
			if place, what, ok := strings.Cut(rest, "): "); ok {
				text = place + ": " + what
				break
			}
		}
	}
	const most = 500 // one line for each include on the way
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most/4]) + " ... " + string(runes[len(runes)-most/4*3:])
	}
	return text
}
