#!/bin/sh
# A pipeline for a service that can only run a container with evenkeel and git:
#
#   ci.sh check   every change: evaluate and check, no cluster
#   ci.sh diff    a branch: what it changes, as Markdown on stdout, no cluster
#   ci.sh apply   after the merge: bring the clusters level
#   ci.sh drift   on a schedule: exit 1 when a cluster differs from git
#
# EVENKEEL_BASE is the branch that is merged into, without it origin/main.
# EVENKEEL_ENVS are the environments of apply and drift, without it --all.
# apply and drift read the kubeconfig that KUBECONFIG names; keep it outside of
# the repository. diff needs the history: clone in full, not with --depth.
set -eu
base=${EVENKEEL_BASE:-origin/main}
envs=${EVENKEEL_ENVS:---all}
case ${1:-} in
check)
	evenkeel vet
	;;
diff)
	# from where the branch left: what others merged since is not its change
	evenkeel diff --all --against "$(git merge-base "$base" HEAD)" -o markdown || [ $? -eq 1 ]
	;;
apply)
	# shellcheck disable=SC2086 # several names
	evenkeel apply $envs --yes
	;;
drift)
	# shellcheck disable=SC2086
	evenkeel reconcile $envs --once
	;;
*)
	echo "usage: $0 check|diff|apply|drift" >&2
	exit 2
	;;
esac
