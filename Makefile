# RocketBridge. `make help` lists what there is.
#
# Two set-up commands: `make demo` runs the main job, `make test` passes the tests.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

target := $(or $(CARGO_TARGET_DIR),target)
tools := $(CURDIR)/.tools
# protox compiles .proto files in pure Rust; the build script of etcd-client asks for a protoc.
export PROTOC ?= $(tools)/bin/protox
export ETCD_KIT := $(CURDIR)/tests/etcd/etcd.sh
export ROCKETMQ_KIT := $(CURDIR)/tests/rocketmq-java/rocketmq.sh

.PHONY: help
help: ## This list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: toolchain
toolchain:
	@command -v cargo >/dev/null || { echo "missing: Rust 1.95 or newer (https://rustup.rs)" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "missing: a C compiler (on Debian: apt-get install build-essential)" >&2; exit 1; }

$(tools)/bin/protox:
	cargo install --quiet --debug --locked --root $(tools) --target-dir $(target)/tools --features bin --version 0.10.0 protox

.PHONY: prepare
prepare: toolchain $(if $(filter $(tools)/%,$(PROTOC)),$(PROTOC))

.PHONY: build
build: prepare ## Optimised binary: target/release/rocketbridge, its debug information beside it (obeys CARGO_TARGET_DIR).
	cargo build --release --locked -p rocketbridge-cli
	@# Backtraces find the .debug file beside the binary. Cargo keeps the whole binary in deps/, so a later build starts from that again.
	@if command -v objcopy >/dev/null; then \
	    cd $(target)/release && rm -f rocketbridge.debug && \
	    objcopy --only-keep-debug --compress-debug-sections rocketbridge rocketbridge.debug && \
	    objcopy --strip-all --add-gnu-debuglink=rocketbridge.debug rocketbridge rocketbridge.stripped && \
	    mv -f rocketbridge.stripped rocketbridge; \
	fi

.PHONY: demo
demo: prepare ## Two embedded RocketMQ clusters, a stream between them, 100,000 orders, a table. KEEP=1 keeps it running.
	cargo build --locked -p rocketbridge-cli
	$(target)/debug/rocketbridge demo $(if $(KEEP),--keep)

.PHONY: test
test: prepare ## Every test, on a real etcd and real RocketMQ brokers (Go, Java and Maven needed; says what it skips without).
	tests/run

.PHONY: check
check: prepare ## Formatting, lints, protocol, dependencies, structure, spelling.
	tests/check

.PHONY: advisories
advisories: toolchain ## Known vulnerabilities of dependencies (fetches the database of RustSec).
	tests/check advisories

.PHONY: release-schema
release-schema: ## Makes today's proto/ the schema that later changes must not break (see proto/README.md).
	tests/check release-schema

.PHONY: bench
bench: bench-engine build ## Figures, as ratios in one run: of the filter engine, then of streams.
	tests/bench

.PHONY: bench-engine
bench-engine: toolchain ## Those of the filter engine alone, beside other engines. BENCH_EVENTS (200000), BENCH_RULES (1000000).
	cargo run --release --quiet --locked --manifest-path tests/engine/Cargo.toml --target-dir $(target)/engine

.PHONY: fmt
fmt: ## Formats the code.
	cargo fmt --all
