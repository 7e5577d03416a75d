# RegFlow. The two commands to know: `make demo` and `make test`. Everything is built in the release profile, so that
# the C++ and tensor libraries underneath are compiled once.

SHELL := /bin/bash
CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=

# Rust where its installer puts it, and the tools that scripts/tools.sh installs for want of system ones.
export PATH := $(PATH):$(HOME)/.cargo/bin:$(CURDIR)/.cmake/bin

TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)/release

.PHONY: help demo test build install header lint doc bench clean tools

help:
	@echo 'make demo     train on the shipped alanine dipeptide frames, sample, and print the figures'
	@echo 'make test     run all tests'
	@echo 'make build    build bg-sample and libregflow'
	@echo 'make install  the same, installed under PREFIX ($(PREFIX))'
	@echo 'make header   generate include/regflow.h from ffi/src'
	@echo 'make lint     rustfmt, clippy and rustdoc, as CI runs them'
	@echo 'make doc      documentation of the Rust library, in target/doc'
	@echo 'make bench    a table of speeds, beside the peers in REGFLOW_PEERS_PYTHON or .peers'
	@echo 'make clean    remove everything that was built'

tools:
	@scripts/tools.sh

demo: tools
	$(CARGO) build --release --locked --package regflow
	BG_SAMPLE=$(TARGET_DIR)/bg-sample examples/demo.sh

test: tools
	$(CARGO) test --release --locked --workspace

build: tools
	$(CARGO) build --release --locked --package regflow --package regflow-ffi

install: VERSION = $(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
install: SOVERSION = $(shell sed -n 's/^const SOVERSION: u32 = \([0-9]*\);/\1/p' ffi/build.rs)
install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include
	install -m 755 $(TARGET_DIR)/bg-sample $(DESTDIR)$(PREFIX)/bin/
	install -m 644 include/regflow.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 $(TARGET_DIR)/libregflow.a $(DESTDIR)$(PREFIX)/lib/
	install -m 755 $(TARGET_DIR)/libregflow.so $(DESTDIR)$(PREFIX)/lib/libregflow.so.$(VERSION)
	ln -sf libregflow.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libregflow.so.$(SOVERSION)
	ln -sf libregflow.so.$(SOVERSION) $(DESTDIR)$(PREFIX)/lib/libregflow.so

header: tools
	REGFLOW_WRITE_HEADER=1 $(CARGO) test --release --locked --package regflow-tests --test header

lint: tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --release --locked --workspace --no-deps

doc: tools
	$(CARGO) doc --release --locked --workspace --no-deps

# The peers' Python: `python3 -m venv .peers && .peers/bin/pip install torch nflows openmm POT numpy`
REGFLOW_PEERS_PYTHON ?= $(wildcard $(CURDIR)/.peers/bin/python)

bench: tools
	REGFLOW_PEERS_PYTHON='$(REGFLOW_PEERS_PYTHON)' $(CARGO) bench --locked --package regflow --bench table -- $(ROWS)

clean:
	$(CARGO) clean
	rm -rf demo
