# Heyi: two commands. `make run` sets everything up and runs the demo, `make test` sets up and passes all tests.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BUILD := build
UI := kiosk-ui
GO ?= go
TRIALS ?= 300
SEED ?=
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FONTS := $(BUILD)/fonts/NotoSansSC-Regular.ttf
CROSS := amd64 arm64 loong64
LDFLAGS := -s -w -X heyi/cmd/heyi/app.Version=$(VERSION)
UI_SOURCES := $(shell find $(UI)/src $(UI)/locales $(UI)/tiles $(UI)/public $(UI)/scripts -type f 2>/dev/null) $(wildcard $(UI)/*.html $(UI)/*.ts $(UI)/*.json)

.PHONY: help run warm fonts cross test test-cross test-signed test-go test-race test-ui test-e2e test-console test-cluster lint bench bench-store bench-console chaos chaos-handoff ui bench-call clean deps-run deps-test screens

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

run: deps-run ## set everything up and run the demo (TLS=1 for phones on the LAN, DATA=folder, FLEET=0 without simulated devices)
	@$(MAKE) --no-print-directory -j2 ui warm fonts
	@$(MAKE) --no-print-directory $(BUILD)/heyi $(BUILD)/fleetsim
	@exec tools/run.sh

warm: # compiles Go while the screens are built; the stub page stands in for them
	@CGO_ENABLED=0 $(GO) build -trimpath -o /dev/null ./cmd/heyi && CGO_ENABLED=0 $(GO) build -trimpath -o /dev/null ./cmd/fleetsim

test: deps-test lint test-cross test-ui test-go test-race test-e2e ## everything that must pass
	@echo "all tests passed"

cross: ui ## both programs for Linux on amd64, arm64 and loong64, into build/
	for arch in $(CROSS); do for program in heyi fleetsim; do \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(BUILD)/$$program-linux-$$arch ./cmd/$$program; \
	done; done

# vet where files are chosen by the processor: sizes, alignments and system calls of the other ones
test-cross: ## they compile for arm64 and loong64: 2 min of processor each the first time, then seconds
	for arch in $(filter-out amd64,$(CROSS)); do \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build -trimpath -o /dev/null ./cmd/heyi; \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build -trimpath -o /dev/null ./cmd/fleetsim; \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) vet -trimpath ./media/rtc ./cmd/fleetsim; \
	done

test-go: $(BUILD)/pg $(FONTS) ## Go tests on SQLite and on real PostgreSQL and Redis started for them
	$(BUILD)/pg -- $(GO) test -timeout 15m ./...

# the kills of TestHandoffChaos hit another process: its detector would be killed with it
test-race: $(BUILD)/pg $(FONTS) ## the concurrent packages again, with the race detector
	$(BUILD)/pg -- $(GO) test -race -timeout 20m -skip '^TestHandoffChaos$$' ./gateway/link/... ./internal/coord/... ./mediation/... ./media/sfu/... ./media/rtc/... ./store/...

test-ui: ui ## screens: types, forbidden words, budgets, unit tests
	cd $(UI) && npm run --silent check && npm run --silent test

test-e2e: ui $(BUILD)/heyi $(BUILD)/fleetsim ## browsers against the real program: calls, kills, screens
	cd $(UI) && node e2e/run.mjs

test-signed: ui $(BUILD)/heyi $(BUILD)/fleetsim ## a whole mediation in browsers: signed, on paper, refused, failed, also by the desk alone; every screen looked at
	cd $(UI) && node e2e/run.mjs signed bydesk looks

test-cluster: ui $(BUILD)/heyi $(BUILD)/fleetsim $(BUILD)/pg ## several nodes under TLS: TV on one, desk on another, the room on a third; nodes killed, drained, a whole mediation signed
	cd $(UI) && node e2e/run.mjs cluster across

test-console: ui $(BUILD)/heyi $(BUILD)/fleetsim ## the console with 100,000 devices in a browser, on a quiet machine (seeding takes a minute)
	cd $(UI) && node e2e/run.mjs console

lint: $(BUILD)/tools/golangci-lint ## static checks, zero findings
	$(GO) vet ./...
	$(BUILD)/tools/golangci-lint run --allow-parallel-runners

bench: $(BUILD)/heyi $(BUILD)/fleetsim $(BUILD)/pg ## figures: links, connects, media, durable commands; also build/bench.json
	$(BUILD)/fleetsim bench -heyi $(BUILD)/heyi -config configs/bench.yaml -json $(BUILD)/bench.json
	@$(MAKE) --no-print-directory bench-store
	@$(MAKE) --no-print-directory bench-console

bench-store: $(BUILD)/fleetsim $(BUILD)/pg # durable commands of 64 callers beside a bare insert; adds to build/bench.json
	$(BUILD)/pg -- $(GO) test ./store -run '^$$' -bench 'BenchmarkWrite/(sqlite|postgres)/^64$$/^(bare|command)$$' -benchtime 3s -count 3 -timeout 10m \
	  | $(BUILD)/fleetsim store-figures -json $(BUILD)/bench.json

bench-console: $(BUILD)/fleetsim $(BUILD)/pg # lists, windows and counts of 100,000 devices on both engines; adds to build/bench.json
	$(BUILD)/pg -- $(GO) test ./store -run '^$$' -bench '^BenchmarkFleet$$' -benchtime 20x -timeout 20m | tee -a /dev/stderr \
	  | $(BUILD)/fleetsim console-figures -json $(BUILD)/bench.json

chaos-handoff: $(BUILD)/pg $(FONTS) ## kill -9 between signature and receipt, TRIALS=300 times, on both databases (SEED= repeats a run)
	HEYI_TEST_TRIALS=$(TRIALS) HEYI_TEST_SEED=$(SEED) $(BUILD)/pg -- $(GO) test ./store -count=1 -v -run '^TestHandoffChaos$$' -timeout 90m

FAULTS ?= 200
chaos: $(BUILD)/heyi $(BUILD)/chaos $(BUILD)/heyi-clock $(BUILD)/heyi-next ## three nodes under FAULTS=200 injected faults: kills, pauses, cuts, clocks, upgrades (SEED= repeats the choices of a run)
	$(BUILD)/chaos -heyi $(BUILD)/heyi -clock $(BUILD)/heyi-clock -next $(BUILD)/heyi-next -fonts $(BUILD)/fonts -faults $(FAULTS) $(if $(SEED),-seed $(SEED)) -json $(BUILD)/chaos.json

bench-call: ui $(BUILD)/heyi ## OK on the ring to the first decoded frame, five calls in Chromium, on a quiet machine
	cd $(UI) && node e2e/run.mjs latency

screens: ui $(BUILD)/heyi $(BUILD)/fleetsim ## photograph every screen at its real size into docs/screens
	cd $(UI) && node e2e/screens.mjs

fonts: $(FONTS) ## the Chinese fonts of papers, beside the program

ui: $(BUILD)/ui.stamp ## build the screens into kiosk-ui/embed

clean: ## remove what was built (not data/)
	rm -rf $(BUILD) $(UI)/node_modules
	find $(UI)/embed -mindepth 1 ! -name .keep ! -name stub.html -delete

deps-run:
	@tools/deps.sh run

deps-test:
	@tools/deps.sh test

$(UI)/node_modules/.stamp: $(UI)/package.json $(UI)/package-lock.json
	@tools/deps.sh node
	cd $(UI) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(FONTS): tools/fonts/package.json tools/fonts/package-lock.json
	@tools/deps.sh node
	@mkdir -p $(BUILD)/fonts/npm && cp tools/fonts/package.json tools/fonts/package-lock.json $(BUILD)/fonts/npm/
	cd $(BUILD)/fonts/npm && npm ci --no-audit --no-fund --loglevel=error
	@cd $(BUILD)/fonts && from=npm/node_modules/@expo-google-fonts/noto-sans-sc && mv $$from/700Bold/NotoSansSC_700Bold.ttf NotoSansSC-Bold.ttf \
	  && mv $$from/LICENSE_FONT LICENSE-NotoSansSC && mv $$from/400Regular/NotoSansSC_400Regular.ttf NotoSansSC-Regular.ttf && rm -r npm && touch NotoSansSC-Regular.ttf

$(BUILD)/ui.stamp: $(UI)/node_modules/.stamp $(UI_SOURCES)
	cd $(UI) && npm run --silent build
	@mkdir -p $(BUILD) && touch $@

GO_SOURCES := $(shell find . -name '*.go' -not -path './$(UI)/node_modules/*' -not -path './tools/*' 2>/dev/null)

$(BUILD)/heyi: $(GO_SOURCES) go.mod $(BUILD)/ui.stamp $(wildcard store/migrations/*.sql) $(wildcard gateway/rest/openapi*) | $(FONTS)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/heyi

$(BUILD)/fleetsim: $(GO_SOURCES) go.mod
	CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./cmd/fleetsim

$(BUILD)/chaos: $(GO_SOURCES) go.mod
	CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./test/chaos

$(BUILD)/heyi-clock: $(BUILD)/heyi $(BUILD)/chaos # the same sources with a clock that can jump (docs/chaos.md)
	$(BUILD)/chaos clock ./cmd/heyi $@

$(BUILD)/heyi-next: $(BUILD)/heyi $(BUILD)/chaos # the same sources as their next release (docs/chaos.md)
	$(BUILD)/chaos next ./cmd/heyi $@

$(BUILD)/pg: $(wildcard store/storetest/pg/*.go) go.mod
	$(GO) build -o $@ ./store/storetest/pg

$(BUILD)/tools/golangci-lint: tools/go.mod tools/go.sum
	@mkdir -p $(BUILD)/tools
	cd tools && $(GO) build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
