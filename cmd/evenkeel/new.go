package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/scaffold"
)

func newNewCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Write a new app or a new environment into the source",
		Long: `Write a new app into an environment, or a new environment beside another one.
Only the place of the addition changes: comments and layout stay. The result is
checked; what does not pass is taken back.`,
		Example: `  evenkeel new app dev shop --type WebApp --image harbor.example.com/app/shop:1.0.0
  evenkeel new env staging --from prod
  git diff`,
	}
	cmd.AddCommand(newNewAppCmd(g), newNewEnvCmd(g))
	return cmd
}

type newAppOptions struct {
	kind  string
	image string
	host  string
	set   []string
}

func newNewAppCmd(g *global) *cobra.Command {
	opts := &newAppOptions{}
	cmd := &cobra.Command{
		Use:   "app ENV NAME",
		Short: "Write a new app into an environment",
		Long: `Write a new app behind the last app of an environment. --set gives further fields
of its type; a value is a CUE literal or, failing that, a string.`,
		Example: `  evenkeel new app dev order --type DubboProvider --image harbor.example.com/app/order:1.0.0
  evenkeel new app dev web --type WebApp --image harbor.example.com/app/web:3.1 --host web-dev.example.com --set port=80
  evenkeel new app dev report --type CronJob --image harbor.example.com/app/report:7 --set schedule='30 2 * * *'`,
		Args: usageArgs(cobra.ExactArgs(2), "name the environment and the app: evenkeel new app ENV NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runNewApp(cmd.Context(), g, opts, args[0], args[1])
		},
		ValidArgsFunction: g.completeEnvs,
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.kind, "type", "", "the app's type, such as WebApp, DubboProvider, DubboConsumer, SpringService")
	flags.StringVar(&opts.image, "image", "", "the image with its tag")
	flags.StringVar(&opts.host, "host", "", "the host name under which the app is reached from outside")
	flags.StringArrayVar(&opts.set, "set", nil, "a further field as field=value, such as port=80 or resources.memory=1Gi (repeatable)")
	return cmd
}

func runNewApp(ctx context.Context, g *global, opts *newAppOptions, env, name string) error {
	if opts.kind == "" {
		types, err := scaffold.AppTypes()
		if err != nil {
			return err
		}
		return &hint.Error{Err: errors.New("missing: --type"), Hint: "the types are " + strings.Join(types, ", ")}
	}
	app := scaffold.App{Name: name, Type: opts.kind}
	for _, f := range []struct{ name, value string }{{"image", opts.image}, {"host", opts.host}} {
		if f.value != "" {
			app.Fields = append(app.Fields, scaffold.TextField(f.name, f.value))
		}
	}
	for _, pair := range opts.set {
		f, err := scaffold.ParseField(pair)
		if err != nil {
			return err
		}
		app.Fields = append(app.Fields, f)
	}
	repo, at, err := g.source(ctx, env)
	if err != nil {
		return err
	}
	res, err := repo.Render(ctx, env)
	if err != nil {
		return err
	}
	for _, u := range res.Env.Units {
		if u.Name == name {
			return &hint.Error{Err: fmt.Errorf("env %s has a unit %q already, of type %s", env, name, u.Type), Hint: "take another name"}
		}
	}
	files, err := scaffold.ReadPackage(repo.Files(), at.Dir)
	if err != nil {
		return err
	}
	file, err := scaffold.AddApp(files, app)
	if err != nil {
		return err
	}
	if _, err := g.change(ctx, repo, []scaffold.File{file}); err != nil {
		return err
	}
	fmt.Fprintf(g.err, "app %s in %s\n", name, filepath.FromSlash(file.Name))
	return nil
}

type newEnvOptions struct {
	from      string // the environment that it is made like
	namespace string
	context   string
}

func newNewEnvCmd(g *global) *cobra.Command {
	opts := &newEnvOptions{}
	cmd := &cobra.Command{
		Use:   "env NAME",
		Short: "Write a new environment like another one",
		Long: `Write a new environment like another one: its name, its namespace, its host names
and its place in the registry become its own. What was exchanged is said on stderr.

It is on the same cluster unless --context names another one; then it has no pin,
and may have the namespace of the other environment: --namespace.`,
		Example: `  evenkeel new env staging --from prod
  evenkeel new env test2 --from test && git diff
  evenkeel new env uat --from test && evenkeel render uat
  evenkeel new env prod-hz --from prod --context hz --namespace prod`,
		Args: usageArgs(cobra.ExactArgs(1), "name the environment: evenkeel new env NAME --from ENV"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runNewEnv(cmd.Context(), g, opts, args[0])
		},
	}
	cmd.Flags().StringVar(&opts.from, "from", "", "the environment that it is made like")
	cmd.Flags().StringVar(&opts.namespace, "namespace", "", "the namespace of its apps; without it the environment's name")
	cmd.Flags().StringVar(&opts.context, "context", "", "the context of its cluster in the kubeconfig; without it the cluster of the other environment")
	return cmd
}

func runNewEnv(ctx context.Context, g *global, opts *newEnvOptions, name string) error {
	if opts.from == "" {
		return &hint.Error{Err: errors.New("missing: --from"), Hint: "evenkeel envs lists the environments"}
	}
	repo, at, err := g.source(ctx, opts.from)
	if err != nil {
		return err
	}
	envs, err := repo.Envs(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(envs, func(e render.Summary) bool { return e.Name == name }) {
		return &hint.Error{Err: fmt.Errorf("there is an environment %q already", name), Hint: "take another name"}
	}
	files, err := scaffold.ReadPackage(repo.Files(), at.Dir)
	if err != nil {
		return err
	}
	copies, notes, err := scaffold.CopyEnv(files, opts.from, scaffold.Env{Name: name, Namespace: opts.namespace, Context: opts.context})
	if err != nil {
		return err
	}
	if _, err := g.change(ctx, repo, copies); err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintln(g.err, n)
	}
	fmt.Fprintf(g.err, "environment %s in %s\n", name, filepath.Join("envs", name))
	return nil
}

// source opens the repository and finds an environment in it.
func (g *global) source(ctx context.Context, env string) (*render.Repo, render.Summary, error) {
	repo, err := g.repo()
	if err != nil {
		return nil, render.Summary{}, err
	}
	if _, err := repo.Render(ctx, env); err != nil {
		return nil, render.Summary{}, err
	}
	envs, err := repo.Envs(ctx)
	if err != nil {
		return nil, render.Summary{}, err
	}
	at := slices.IndexFunc(envs, func(e render.Summary) bool { return e.Name == env })
	if at < 0 {
		return nil, render.Summary{}, render.UnknownEnv{Name: env}
	}
	return repo, envs[at], nil
}

// change writes files and checks all environments, as a change of one may break
// another. What is wrong with it, and was not wrong before, comes back as an
// error, and the change is taken back; undo takes it back later.
func (g *global) change(ctx context.Context, repo *render.Repo, files []scaffold.File) (undo func() error, err error) {
	before, err := wrong(ctx, repo)
	if err != nil {
		return nil, err
	}
	undo, err = scaffold.Change(repo.Root(), files)
	if err != nil {
		return nil, err
	}
	var after render.Findings
	changed, err := g.repo()
	if err == nil {
		after, err = wrong(ctx, changed)
	}
	after = slices.DeleteFunc(after, func(f render.Finding) bool {
		return slices.ContainsFunc(before, func(old render.Finding) bool { return same(f, old) })
	})
	if err == nil && len(after) == 0 {
		return undo, nil
	}
	if undone := undo(); undone != nil {
		return nil, errors.Join(err, undone)
	}
	if err != nil {
		return nil, err
	}
	reason := errors.New("with this the repository would not pass: nothing is changed")
	if more := len(after) - mostFindings; more > 0 {
		reason = fmt.Errorf("%w (%d findings more)", reason, more)
		after = after[:mostFindings]
	}
	return nil, errors.Join(after, reason)
}

// mostFindings are enough to see what a change meets.
const mostFindings = 10

// wrong are the findings of vet that are errors.
func wrong(ctx context.Context, repo *render.Repo) (render.Findings, error) {
	_, err := repo.Vet(ctx)
	var findings render.Findings
	if err == nil || errors.As(err, &findings) {
		return findings, nil
	}
	return nil, err
}

// same says whether two findings differ at most by their line.
func same(a, b render.Finding) bool {
	a.Line, a.Col = b.Line, b.Col
	return a.String() == b.String()
}
