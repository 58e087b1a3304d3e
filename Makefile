# The commands of this project; `make help` lists them. Only Go and make are
# needed, except where a line says otherwise.

SHELL       := /bin/sh
GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.0.0-dev)
GOFOLDERS   := cmd internal packaging ansible
COMMANDS    := eventgen logship bucketer eventline
LDFLAGS     := -s -w -X eventline/internal/daemon.Version=$(VERSION)
PKGS        ?= ./...
# A number of executions, not a duration: until Go 1.27 the end of a duration can
# fail a target with "context deadline exceeded" and no input (go.dev/issue/75804).
FUZZTIME    ?= 100000x
BENCH       ?= .
# What `make model` does: so many histories.
MODEL ?= 10000000
# What `make torture-kafka` does.
CLUSTER     ?= single
RUNS        ?= 1
LINES       ?= 300000
# How long `make torture` takes. Below 5 each rotation style runs once; 20 runs all
# rates, writers and intervals, on disk and in memory.
MINUTES     ?= 1
# Tags of tests that need more than Go: a Kafka, to be root, python3, booted hosts,
# or time.
ALLTAGS     := kafka,root,python,host,torture
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help model build run test test-root test-python race fmt lint lint-all fuzz bench bench-faker bench-kafka torture torture-kafka kafka-test \
	package package-test ansible-test up down logs ps topic clean ci distclean

help: ## list the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the four commands into bin/
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ $(COMMANDS:%=./cmd/%)

# On a terminal the demo gets a process group of its own (sh -m), so that Ctrl-C
# reaches it and not make, which would die of it and hide the demo's exit code.
run: build ## run the whole pipeline on this machine; Ctrl-C stops it (DEMO=flags)
	@if [ -t 0 ] && [ "$$(ps -o tpgid= -p $$$$ | tr -d ' ')" = "$$(ps -o pgid= -p $$$$ | tr -d ' ')" ]; \
	then sh -mc 'bin/eventline demo $(DEMO)'; else exec bin/eventline demo $(DEMO); fi

test: ## run the tests
	$(GO) test $(PKGS)

test-root: ## run the tests that have to be root too
	$(GO) test -tags root $(PKGS)

test-python: ## hold the classic line and the answer key against python3 (needs python3)
	$(GO) test -count=1 -tags python ./internal/event
	$(GO) test -count=1 -tags python -run Python ./internal/eventgen

race: ## run the tests with the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -tags "$(TAGS)" $(PKGS)

fmt: ## format the code
	$(GO) tool gofumpt -l -w $(GOFOLDERS)

lint: ## check format, go vet and staticcheck
	@unformatted=$$($(GO) tool gofumpt -l $(GOFOLDERS)); \
	if [ -n "$$unformatted" ]; then echo "not formatted (make fmt): $$unformatted"; exit 1; fi
	$(GO) vet -tags $(ALLTAGS) $(PKGS)
	$(GO) tool staticcheck -tags $(ALLTAGS) $(PKGS)
	$(GO) mod verify >/dev/null
	$(GO) mod tidy -diff

lint-all: lint ## lint, and golangci-lint with .golangci.yml (builds it: 4 minutes once)
	$(GO) tool -modfile=.ci/tools.mod golangci-lint run --build-tags $(ALLTAGS) $(PKGS)

# An execution of package ship's is whole lives of shippers.
fuzz: ## run every fuzz target FUZZTIME, a number of executions
	@set -e; for pkg in $$($(GO) list $(PKGS)); do \
	  case $$pkg in */internal/ship) n=300x;; *) n=$(FUZZTIME);; esac; \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$target $$n"; \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $$n -fuzzminimizetime 1x $$pkg; \
	  done; \
	done

bench: ## run the benchmarks (BENCH=pattern)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(PKGS)

bench-faker: .cache/faker ## make events with Python's Faker, with go-faker for each, and as eventgen does, one after the other
	.cache/faker/bin/python internal/generate/testdata/old_producer.py 30000
	$(GO) test -run '^$$' -bench BenchmarkEvent -benchmem ./internal/generate

.cache/faker:
	python3 -m venv $@ && $@/bin/pip -q install Faker==40.63.0 || { rm -rf $@; exit 1; }

bench-kafka: ## ship files to Apache Kafka 3.6.2 (needs Java 17, Maven)
	packaging/kafka/fetch
	$(GO) test -tags kafka -run '^$$' -bench FileToKafka -benchmem ./internal/logship

torture: ## write, rotate and kill -9 the reader for MINUTES, audit every byte (TORTURE=flags)
	$(GO) test -tags torture -count=1 -v -timeout 24h -run '^TestTorture$$' ./internal/torture -minutes $(MINUTES) $(TORTURE)

# Root also takes away the power of a machine whose disk is a file (mkfs.ext4, mount).
kafka-test: ## run the tests against Apache Kafka 3.6.2 (needs Java 17, Maven, kcat, promtool)
	packaging/kafka/fetch
	$(GO) test -tags kafka$$([ "$$(id -u)" != 0 ] || echo ,root) -count=1 -timeout 30m ./internal/kafka/... ./internal/logship ./internal/e2e/...
	$(GO) test -tags kafka -count=1 -timeout 30m -run '^TestKafka$$' -v ./internal/torture -lines 60000

model: ## run MODEL histories of the model of logship's algorithm (10,000,000 take 8 minutes on one core)
	$(GO) test -count=1 -timeout 24h -v ./internal/ship/model -run 'TestHistories$$' -histories $(MODEL)

torture-kafka: ## the whole of logship on CLUSTER=single,three,kraft,kraft3: RUNS of LINES lines, all killed and frozen
	packaging/kafka/fetch
	$(GO) test -tags kafka -count=1 -v -timeout 24h -run '^TestKafka$$' ./internal/torture -cluster $(CLUSTER) -runs $(RUNS) -lines $(LINES)

package: ## build the packages, deb and rpm, into dist/packages
	@rm -rf dist/packages
	packaging/build dist/packages
	@ls -sh dist/packages

package-test: ## try the packages and units on booted hosts (root, Debian; 4 minutes)
	$(GO) test -tags host -count=1 -timeout 30m ./packaging/packagetest

ansible-test: package dist/kafka ansible/tools ## try the playbook on a booted host (root, Debian, Java, Maven; 5 minutes)
	$(GO) test -tags host -count=1 -timeout 30m ./ansible/sitetest

# The playbooks' tools, in the versions of ansible/requirements.txt.
ANSIBLE := .cache/ansible
.PHONY: ansible/tools
ansible/tools: $(ANSIBLE)/made
$(ANSIBLE)/made: ansible/requirements.txt
	python3 -m venv $(ANSIBLE)
	$(ANSIBLE)/bin/pip install --quiet --disable-pip-version-check -r ansible/requirements.txt
	touch $@

.PHONY: dist/kafka
dist/kafka:
	packaging/kafka/fetch
	packaging/kafka/archive dist/kafka

# A host to try things on: booted in a container of this machine (root, Debian).
HOST := packaging/testhost/host
IN   := $(HOST) sh server

up: package dist/kafka ansible/tools ## bring up a test host with Kafka and the pipeline, by the playbook
	$(HOST) list | grep -qx server || $(HOST) up server 10.88.0.10
	cd ansible && TESTHOST_KEY=$$(../$(HOST) key) ../$(HOST) in ../$(ANSIBLE)/bin/ansible-playbook -i inventories/testhost/hosts.yml site.yml

down: ## remove the test host
	$(HOST) clean

logs: ## follow the journals of the test host's daemons
	$(IN) journalctl --follow --lines 20 --unit eventgen --unit logship --unit 'bucketer*' --unit kafka --unit zookeeper

ps: ## show how the test host's daemons are doing
	$(IN) eventline status

topic: ## create the topic events on the test host; again is fine
	$(IN) eventline topics create

clean: ## empty the test host's log
	$(IN) truncate --size 0 /var/log/eventline/events.log

ci: ## what every change has to pass
	bash .ci/run

distclean: ## remove everything that was built or fetched, and the test hosts
	[ ! -d .cache/testhost ] || $(HOST) clean --all
	rm -rf bin dist .cache
