# evenkeel: every target works on a machine with Go, make, git and a module proxy.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN      := $(CURDIR)/.cache/bin
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  := -s -w -X main.version=$(VERSION)
SANDBOX_VERSION := 1.37.1
SANDBOX_LDFLAGS := -s -w \
	-X k8s.io/component-base/version.gitVersion=v$(SANDBOX_VERSION) \
	-X k8s.io/component-base/version.gitMajor=1 \
	-X k8s.io/component-base/version.gitMinor=37
LAB      := $(CURDIR)/.cache/lab/bin/lab
TOOLS    := testdata/tools
TOOL     := go tool -modfile=$(CURDIR)/$(TOOLS)/go.mod
CUE_DIRS := ./schema/... ./stacks/... ./envs/...

export EVENKEEL_SANDBOX := $(BIN)/sandbox
# One kind of binary everywhere: static, as in the image, and a fifth smaller. What
# the lab and the race detector build needs C.
export CGO_ENABLED := 0

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the command into .cache/bin/evenkeel
	@go build -ldflags '$(LDFLAGS)' -o $(BIN)/evenkeel ./cmd/evenkeel

.PHONY: build-sandbox
build-sandbox: ## build the sandbox cluster into .cache/bin/sandbox (minutes when cold)
	@[ -x $(BIN)/sandbox ] || echo "building the sandbox cluster: a Kubernetes control plane from source, some minutes the first time"
	@cd cmd/sandbox && go build -ldflags '$(SANDBOX_LDFLAGS)' -o $(BIN)/sandbox .
	@ln -sf sandbox $(BIN)/kubectl

.PHONY: demo
demo: build build-sandbox ## start a cluster, apply the example environments, show their status
	@exec testdata/demo.sh $(BIN)

.PHONY: demo-down
demo-down: ## stop the cluster that the demo left running
	@$(BIN)/sandbox down --kubeconfig $(CURDIR)/.cache/demo/kubeconfig

.PHONY: sandbox
sandbox: build-sandbox ## run the sandbox cluster alone, until Ctrl-C
	@exec $(BIN)/sandbox up --context od --kubeconfig $(CURDIR)/.cache/sandbox.kubeconfig

.PHONY: lab
lab: build build-sandbox ## bring up the od.com data centre in namespaces of this machine, as root (half an hour when cold)
	@testdata/packages.sh lab
	@go build -o $(LAB) ./cmd/lab
	@CGO_ENABLED= $(LAB) build $(LAB_BUILD)
	@exec $(LAB) up

.PHONY: test-stand
test-stand: build build-sandbox ## routes with a real nginx and Traefik, canaries with real dubbo-go and Prometheus, without containers, as root
	@testdata/packages.sh lab
	@go build -o $(LAB) ./cmd/lab
	@CGO_ENABLED= $(LAB) build traefik demo
	go test -p 1 -count=1 -tags lab -timeout 40m -v -run 'TestTraefik|TestCanary|TestPromQL' ./render/way ./cmd/lab
	cd testdata/nacos && go test -count=1 -v ./...

.PHONY: test-lab
test-lab: ## prove evenkeel on the lab that runs
	@exec $(LAB) test

.PHONY: lab-down
lab-down: ## remove the lab: every process, namespace, mount and cgroup of it
	@exec $(LAB) down

.PHONY: test
test: packages check build build-sandbox ## everything that CI checks
	go test -p 1 -timeout 40m ./...
	cd cmd/sandbox && go test -vet=off -timeout 10m ./...

.PHONY: packages
packages: ## install nginx, keepalived and Chromium for the tests, as root on Debian
	@testdata/packages.sh

.PHONY: race
race: build-sandbox ## the tests under the race detector
	CGO_ENABLED=1 go test -race -timeout 30m ./...

.PHONY: torture
torture: build-sandbox ## the long forms: every kill point, thousands of random edits; says what it counted
	@echo "the whole output goes to .cache/torture.log"
	@EVENKEEL_TORTURE=1 go test -p 1 -count=1 -v -timeout 120m ./apply/... ./cmd/evenkeel/... ./render 2>&1 | tee .cache/torture.log | \
		grep --line-buffered -E 'counted: |^ *--- FAIL|^(ok|FAIL|panic)' | sed -u 's/^ *[a-z_]*_test.go:[0-9]*: //'

.PHONY: soak
soak: build-sandbox ## half an hour of random edits against the daemon, five a second
	EVENKEEL_SOAK=$${EVENKEEL_SOAK:-30m} go test -count=1 -run TestSoak -v -timeout 60m ./apply/reconcile

.PHONY: bench
bench: build build-sandbox build-peers ## benchmarks, each with a ratio to a public tool of the same run
	EVENKEEL_BIN=$(BIN) go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./render/... ./apply/... ./cmd/evenkeel

.PHONY: build-peers
build-peers:
	@go build -modfile=$(TOOLS)/go.mod -o $(BIN)/ cuelang.org/go/cmd/cue sigs.k8s.io/kustomize/kustomize/v5

.PHONY: lint
lint: ## golangci-lint over the code, actionlint over the workflows
	@$(TOOL) golangci-lint run ./...
	@go tool -modfile=$(CURDIR)/$(TOOLS)/actionlint.mod actionlint render/scaffold/ci/github-actions.yml .github/workflows/*.yml

.PHONY: check
check: fmt-check vet tidy-check cue-check lint ## the checks that need no cluster

.PHONY: fmt
fmt: ## format Go and CUE
	@$(TOOL) gofumpt -w cmd render apply schema stacks envs internal
	@$(TOOL) cue fmt $(CUE_DIRS)

.PHONY: fmt-check
fmt-check:
	@out=$$($(TOOL) gofumpt -l cmd render apply schema stacks envs internal); [ -z "$$out" ] || { echo "not formatted (make fmt):"; echo "$$out"; exit 1; }

.PHONY: vet
vet:
	@go vet ./...
	@go vet -tags lab ./render/way

.PHONY: tidy-check
tidy-check:
	@go mod tidy -diff
	@cd cmd/sandbox && go mod tidy -diff

.PHONY: cue-check
cue-check:
	@$(TOOL) cue fmt --check $(CUE_DIRS)
	@$(TOOL) cue vet -c=false $(CUE_DIRS)

.PHONY: clean-check
clean-check: ## fails where the tests or the build left something in the tree
	@out=$$(git status --porcelain); [ -z "$$out" ] || { echo "the tree is not clean:"; echo "$$out"; exit 1; }

.PHONY: clean
clean: ## remove what was built
	@rm -rf .cache
