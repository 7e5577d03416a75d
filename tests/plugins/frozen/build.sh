#!/usr/bin/env bash
# Made the libraries of this folder, once, when version 1.0 of the plugin interface was frozen:
#
#     bash tests/plugins/frozen/build.sh FOLDER
#
# They are kept as they are and never made again: a library that is built today is built against today's interface. Sources:
# v1.c here with include/regflow_plugin.h, and the crate tests/plugins/stranger with plugins/sdk, as of the commit that added them.
set -euo pipefail
folder=$(realpath "$1")
cd "$(dirname "$0")/../../.."

cc -std=c11 -O2 -Wall -Wextra -Werror -fvisibility=hidden -shared -fPIC -s -I include \
    tests/plugins/frozen/v1.c -o "$folder/v1-c-x86_64-linux.so"

CARGO_PROFILE_RELEASE_OPT_LEVEL=z CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
    CARGO_PROFILE_RELEASE_STRIP=symbols RUSTFLAGS="--remap-path-prefix=$PWD=regflow --remap-path-prefix=$HOME=home" \
    cargo build --release --locked --package regflow-test-stranger --target-dir "$folder/target"
xz -9e -c "$folder/target/release/libregflow_test_stranger.so" > "$folder/v1-rust-x86_64-linux.so.xz"
rm -r "$folder/target"
