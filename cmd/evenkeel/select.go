package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
)

// selection is which environments and units a command works on.
type selection struct {
	all   bool
	units []string
}

func (s *selection) addAll(flags *pflag.FlagSet) {
	flags.BoolVar(&s.all, "all", false, "all environments, in order")
}

func (s *selection) addUnits(flags *pflag.FlagSet) {
	flags.StringSliceVar(&s.units, "unit", nil, "only these units of the environment (repeatable)")
}

// names returns the environments that the arguments name, or all of them in the
// order in which they are applied.
func (s *selection) names(ctx context.Context, repo *render.Repo, args []string) ([]string, error) {
	const help = "evenkeel envs lists the environments"
	switch {
	case s.all && len(args) > 0:
		return nil, &hint.Error{Err: fmt.Errorf("--all and the name %q exclude each other", args[0]), Hint: help}
	case !s.all && len(args) == 0:
		return nil, &hint.Error{Err: errors.New("name an environment, or --all"), Hint: help}
	case !s.all:
		return args, nil
	}
	envs, err := repo.Envs(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(envs))
	for i, e := range envs {
		names[i] = e.Name
	}
	return names, nil
}

// completeEnvs offers the names of the environments to the shell.
func (g *global) completeEnvs(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	repo, err := g.repo()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	envs, err := repo.Envs(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, e := range envs {
		if strings.HasPrefix(e.Name, prefix) && !slices.Contains(args, e.Name) {
			names = append(names, e.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// named opens the repository and finds the environments that are meant.
func (g *global) named(ctx context.Context, s *selection, args []string) (*render.Repo, []string, error) {
	repo, err := g.repo()
	if err != nil {
		return nil, nil, err
	}
	names, err := s.names(ctx, repo, args)
	return repo, names, err
}
