# RegFlow. The two commands to know: `make demo` and `make test`. Everything is built in the release profile, so that
# the C++ and tensor libraries underneath are compiled once.

SHELL := /bin/bash
CARGO ?= cargo
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DESTDIR ?=

# Rust where its installer puts it, and the tools that scripts/tools.sh installs for want of system ones.
export PATH := $(PATH):$(HOME)/.cargo/bin:$(CURDIR)/.cmake/bin

TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)/release

.PHONY: help demo test build install header lint doc bench clean tools

help:
	@echo 'make demo     train on the shipped alanine dipeptide frames, sample, and print the figures'
	@echo 'make test     run all tests'
	@echo 'make build    build bg-sample and libregflow'
	@echo 'make install  the same, installed under PREFIX ($(PREFIX)); LIBDIR, INCLUDEDIR and BINDIR as in GNU packages'
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

# One after the other: together, the library would get what the program alone needs (its feature `cli`, which draws).
build: tools
	$(CARGO) build --release --locked --package regflow
	$(CARGO) build --release --locked --package regflow-ffi

# What a static link needs besides: `rustc --print native-static-libs`, less what every compiler adds by itself.
STATIC_LIBS := -lstdc++ -lutil -lrt -lpthread -lm -ldl

install: VERSION = $(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
install: SOVERSION = $(shell sed -n 's/^const SOVERSION: u32 = \([0-9]*\);/\1/p' ffi/build.rs)
# The files below the library's folder find all others from where they are, so that the installation can be moved.
install: FROM_LIBDIR = $(shell realpath --canonicalize-missing --no-symlinks --relative-to='$(LIBDIR)' '$(1)')
install: FILL = sed -e 's|@VERSION@|$(VERSION)|' -e 's|@SOVERSION@|$(SOVERSION)|' -e 's|@STATIC_LIBS@|$(STATIC_LIBS)|' \
	-e 's|@INCLUDE_FROM_LIB@|$(call FROM_LIBDIR,$(INCLUDEDIR))|' -e 's|@PREFIX_FROM_LIB@|$(call FROM_LIBDIR,$(PREFIX))|'
install: build
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(INCLUDEDIR)' '$(DESTDIR)$(LIBDIR)/cmake/regflow' '$(DESTDIR)$(LIBDIR)/pkgconfig'
	install -m 755 '$(TARGET_DIR)/bg-sample' '$(DESTDIR)$(BINDIR)/'
	install -m 644 include/regflow.h include/regflow.hpp include/regflow_plugin.h '$(DESTDIR)$(INCLUDEDIR)/'
	ffi/static-library.sh '$(TARGET_DIR)/libregflow.so' '$(TARGET_DIR)/libregflow.a' '$(DESTDIR)$(LIBDIR)/libregflow.a'
	install -m 755 '$(TARGET_DIR)/libregflow.so' '$(DESTDIR)$(LIBDIR)/libregflow.so.$(VERSION)'
	ln -sf libregflow.so.$(VERSION) '$(DESTDIR)$(LIBDIR)/libregflow.so.$(SOVERSION)'
	ln -sf libregflow.so.$(SOVERSION) '$(DESTDIR)$(LIBDIR)/libregflow.so'
	$(FILL) ffi/regflow.pc.in > '$(DESTDIR)$(LIBDIR)/pkgconfig/regflow.pc'
	$(FILL) ffi/regflow-static.pc.in > '$(DESTDIR)$(LIBDIR)/pkgconfig/regflow-static.pc'
	$(FILL) ffi/cmake/regflow-config.cmake.in > '$(DESTDIR)$(LIBDIR)/cmake/regflow/regflow-config.cmake'
	$(FILL) ffi/cmake/regflow-config-version.cmake.in > '$(DESTDIR)$(LIBDIR)/cmake/regflow/regflow-config-version.cmake'

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
	$(CARGO) build --release --locked --package regflow-ffi
	REGFLOW_LIBRARY='$(abspath $(TARGET_DIR))/libregflow.so' REGFLOW_PEERS_PYTHON='$(REGFLOW_PEERS_PYTHON)' $(CARGO) bench --locked --package regflow --bench table --bench moves -- $(ROWS)

clean:
	$(CARGO) clean
	rm -rf demo
