#!/usr/bin/env bash
# The demo: a real control plane on this machine, the example environments
# rendered, applied and reported healthy. Called by "make demo".
# Killed before its end it stops the cluster; at its end the cluster stays up,
# so that you can go on, and "make demo-down" stops it.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$1
state=$PWD/.cache/demo
export KUBECONFIG=$state/kubeconfig PATH=$bin:$PATH

mkdir -p "$state"
"$bin/sandbox" down --kubeconfig "$KUBECONFIG" >/dev/null 2>&1 || true
# --while-pid: the cluster ends when this process ends without having called
# "sandbox keep", even by SIGKILL.
"$bin/sandbox" up --detach --while-pid $$ --context od --kubeconfig "$KUBECONFIG"

# What runs when this process is killed is killed with it.
guard=()
if setpriv --pdeathsig KILL true 2>/dev/null; then guard=(setpriv --pdeathsig KILL); fi
run() { printf '\n$ %s\n' "$*"; "${guard[@]}" "$@"; }
# A copy of the tree, so that the demo works on one with changes: protected
# environments refuse to be applied from that.
rm -rf "$state/tree" && mkdir "$state/tree"
cp -r cue.mod schema stacks envs "$state/tree"
cd "$state/tree"
# the environments of cluster od; the cloud ones belong to another cluster
envs=(infra dev test pre prod)
run evenkeel envs
run evenkeel apply "${envs[@]}" --yes
run evenkeel status "${envs[@]}"
run evenkeel diff "${envs[@]}"
"$bin/sandbox" keep --kubeconfig "$KUBECONFIG"

cat <<TEXT

The five environments are healthy. The cluster stays up; go on with

  export KUBECONFIG=$KUBECONFIG PATH=$bin:\$PATH
  kubectl get pods -A
  kubectl -n dev scale deployment dubbo-demo-consumer --replicas 3
  evenkeel diff dev          # names the field, the value and who changed it
  evenkeel apply dev --yes

and stop it with

  make demo-down
TEXT
