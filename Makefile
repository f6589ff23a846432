# make demo   the Todo app on a real daprd, this component and a broker in memory
# make test   everything that must hold: format, lints, unit, integration, system
#
# Whatever is fetched or built goes to target/.

CARGO ?= cargo
# The daprds that the tests run; tests/README.md says which test runs on which.
DAPR_RELEASES := 1.16.5 1.18.3
DAPR_VERSIONS := $(DAPR_RELEASES) 1.18.4+reconstruction 1.18.5+reconstruction
BUILT_DAPRDS := $(DAPR_VERSIONS:%=target/daprd/%/daprd)
# Dapr's conformance tests, with a client that handles messages one at a time, and one that handles them concurrently.
CONFORMANCE := target/daprd/1.18.3/conformance target/daprd/1.18.4+reconstruction/conformance
# daprd's own reader of Component files.
RESOURCES := target/daprd/1.18.3/resources
DEMO_DAPRD := target/daprd/1.18.3/daprd
OLDER_KAFKA := 3.9.1
KAFKA_JARS := target/kafka/.fetched target/kafka-$(OLDER_KAFKA)/.fetched
PROMETHEUS := target/prometheus/.fetched

# A daprd that is there already serves the demo. The tests always use the built one.
DAPRD ?= $(firstword $(shell command -v daprd 2>/dev/null) $(wildcard $(HOME)/.dapr/bin/daprd))
BROKERS ?=

# One fault, one seed, one of component and built-in, one daprd; nothing is all of them.
FAULT ?=
SEED ?=
SIDE ?=
DAPRD_VERSION ?=
MINUTES ?= 30
# Another build of the component than the release, such as target/debug/dapr-rdkafka.
PROGRAM ?=
LEDGER = PROGRAM="$(PROGRAM)" FAULT="$(FAULT)" SEED="$(SEED)" SIDE="$(SIDE)" DAPRD_VERSION="$(DAPRD_VERSION)" \
	MINUTES="$(MINUTES)" target/debug/ledger

# Another build of the component, whose upgrade to this one `make load` tests; none is skipped.
OLD_COMPONENT ?=

# MUTANTS="i9 retry" takes those whose names contain one of these.
MUTANTS ?=

.PHONY: help demo test lint unit system deploy-test daprd-test mutants bench bench-core ledger soak load audit daprd kafka prometheus build clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## Run the Todo app end to end (BROKERS=host:port for a real cluster)
	@scripts/prerequisites demo "$(DAPRD)"
	$(if $(DAPRD),,$(MAKE) --no-print-directory $(DEMO_DAPRD))
	$(CARGO) build --locked --workspace --all-targets
	@DAPRD="$(or $(DAPRD),$(DEMO_DAPRD))" BROKERS="$(BROKERS)" target/debug/examples/demo

test: ## Run everything that must hold
	@scripts/prerequisites test
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory $(BUILT_DAPRDS) $(CONFORMANCE) $(RESOURCES) $(KAFKA_JARS) $(PROMETHEUS)
	$(CARGO) build --locked --workspace --all-targets
	$(CARGO) test --locked --workspace --lib
	$(CARGO) test --locked --test integration
	$(MAKE) --no-print-directory deploy-test
	$(MAKE) --no-print-directory daprd-test

lint: ## Check format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

unit: ## Run the fast tests only: no daprd, no Kafka
	$(CARGO) test --locked --workspace --lib
	$(CARGO) test --locked --test integration -- --skip system

system: $(BUILT_DAPRDS) $(CONFORMANCE) $(RESOURCES) $(KAFKA_JARS) $(PROMETHEUS) ## Run the tests with the real daprd and Kafka only
	$(CARGO) build --locked --workspace --all-targets
	$(CARGO) test --locked --test integration -- system

# Not from the cache: Go does not see that files outside tests/deploy have changed.
deploy-test: target/kafka/.fetched ## Build and check the manifests of deploy/, with Dapr's own injector (needs Go and Java)
	cd tests/deploy && go test -trimpath -count=1 ./...

daprd-test: ## Show which acknowledgements of daprd are false (docs/daprd-acks.md)
	for release in $(DAPR_RELEASES); do scripts/daprd test $$release || exit 1; done

mutants: ## Break engine and membership in each way of tests/mutants; a test must fail each time (slow)
	@CARGO="$(CARGO)" scripts/mutants $(MUTANTS)

# DAPRD_VERSION=1.18.4+reconstruction or 1.16.5 for one of the two daprds, ROUNDS=1 for a first look,
# ONLY="publish, 200 B; subscribe" for what has these in its name, PROGRAM for another binary than the
# release. Only a whole run on a daprd is written down, in the place of the last one on that daprd.
bench: build $(BUILT_DAPRDS) $(KAFKA_JARS) ## Measure against the built-in component (twenty minutes a daprd; DAPRD_VERSION= for one)
	$(CARGO) run --locked --profile measure -p benches --bin side-by-side

bench-core: build $(KAFKA_JARS) ## Measure against librdkafka alone (twenty minutes)
	$(CARGO) run --locked --profile measure -p benches --bin core

# The program builds as the tests do, so that what both need is compiled once.
.PHONY: ledger-program
ledger-program: $(if $(PROGRAM),,build) $(BUILT_DAPRDS) target/kafka/.fetched
	$(CARGO) build --locked --workspace --all-targets

ledger: ledger-program ## Run each fault and judge it, then write docs/reliability.md (hours; FAULT= SEED= SIDE= for one)
	@$(LEDGER)

soak: ledger-program ## Half an hour of random faults at 500 messages a second (MINUTES=30)
	@$(LEDGER) soak

# ONLY=memory for the heavy runs of tests/integration/load/memory.rs alone, ONLY=memory::ratio_5 for one
# of them, ONLY=simulation for the simulation alone. Another name fails.
load: $(BUILT_DAPRDS) $(KAFKA_JARS) ## Heavy runs that are not in `make test` (an hour; ONLY= SEEDS= DAPRD_VERSION= OLD_COMPONENT=)
ifneq ($(ONLY),simulation)
	$(CARGO) build --locked --workspace --all-targets
	LOAD="$(or $(ONLY),all)" DAPRD_VERSION="$(DAPRD_VERSION)" OLD_COMPONENT="$(OLD_COMPONENT)" $(CARGO) test --locked --test integration -- --test-threads=1
endif
ifneq ($(filter simulation,$(or $(ONLY),simulation)),)
	SIMULATION_SEEDS="$(or $(SEEDS),1000000)" $(CARGO) test --locked --workspace --release --lib delivery::simulation -- --nocapture
endif

audit: ## Check licences, sources and advisories of the dependencies (needs cargo-deny)
	@$(CARGO) deny --version || { echo "missing: cargo install cargo-deny --locked" >&2; exit 1; }
	$(CARGO) deny check licenses bans sources
	@if $(CARGO) deny fetch db; then \
		$(CARGO) deny check --disable-fetch advisories; \
	else \
		echo "NOT CHECKED: advisories, since their database (github.com/rustsec/advisory-db) can't be fetched here" >&2; \
	fi

build: ## Build the release binary: target/release/dapr-rdkafka
	@scripts/prerequisites build
	$(CARGO) build --locked --release

.PHONY: image-root
image-root: build ## Make the image's root filesystem in target/image (at most 30 MB)
	rm -rf target/image
	deploy/rootfs target/release/dapr-rdkafka target/image
	@du -sk target/image | awk '{ print "target/image: " $$1 " KiB"; exit $$1 > 30000 }'

daprd: $(BUILT_DAPRDS) $(CONFORMANCE) ## Build the daprds for the tests (about seven minutes on two cores, once)

kafka: $(KAFKA_JARS) ## Fetch the real Kafka for the tests

prometheus: $(PROMETHEUS) ## Fetch a real Prometheus for the tests, unless there is one

$(BUILT_DAPRDS): target/daprd/%/daprd: scripts/daprd tests/daprd/inbound.go
	@echo "Building daprd $*; up to four minutes on two cores, once."
	scripts/daprd build $*

$(RESOURCES): target/daprd/%/resources: scripts/daprd tests/daprd/resources.go
	scripts/daprd resources $*

$(CONFORMANCE): target/daprd/%/conformance: scripts/daprd tests/daprd/conformance_test.go tests/daprd/inbound.go
	scripts/daprd conformance $*

target/kafka-$(OLDER_KAFKA)/.fetched: VERSION = -Dkafka.version=$(OLDER_KAFKA)

$(KAFKA_JARS): tests/kafka/pom.xml
	@rm -rf $(@D) && mkdir -p $(@D)
	mvn -B -q -f tests/kafka/pom.xml dependency:copy-dependencies $(VERSION) \
		-DincludeScope=runtime -DoutputDirectory=$(CURDIR)/$(@D)
	@touch $@

$(PROMETHEUS): scripts/prometheus
	@scripts/prometheus $(@D)
	@touch $@

clean: ## Remove everything that was built or fetched
	rm -rf target
