#!/usr/bin/env bash
# Compares the binary interface that include/regflow.h promises with that of the last release, tests/abi/regflow.abi.
#
#     tests/abi/check.sh             fails on a change that breaks programs built against the last release
#     tests/abi/check.sh --write     makes the present interface the one to keep; for a release
#
# The interface is read off the header: a library whose functions do nothing is compiled from its declarations. That takes no
# second build of the real one with debugging information, and holds no type of Rust's; that the header is the source's, and
# that the real library exports what it declares, are tests of their own (tests/tests/header.rs, tests/tests/c_api.rs).
set -euo pipefail
cd "$(dirname "$0")"
header=${REGFLOW_HEADER:-../../include/regflow.h}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

compile() { gcc -std=gnu99 -g -O0 -shared -fPIC -I "$(dirname "$header")" "$@" -o "$folder/libregflow.so"; }
# Paths and lines of this machine are no part of the interface.
describe() { abidw --no-corpus-path --no-comp-dir-path --no-show-locs "$folder/libregflow.so"; }

# Handles get a body, each its own: pointers to incomplete types are all the same to abidiff.
gcc -E -P -x c "$header" | tr '\n' ' ' |
    sed -E -e 's/typedef struct (regflow_[a-z_]+_t) \1 ?;/& struct \1 { char is_\1; };/g' \
        -e 's/(regflow_[a-z0-9_]+ ?\([^(){};]*\)) ?;/\1 { __builtin_trap(); }/g' >"$folder/functions.c"
compile "$folder/functions.c"

# Variables stand for what has no symbol of its own, so that it may be added to but not changed or removed: the value of each
# constant (but for the API version, which is there to change), and the type and place of each member of the structs. Those
# begin with their size, hence may grow at the end; abidiff cannot tell that from other changes (compatible.suppr).
{
    echo '#include "regflow.h"'
    sed -n 's/^#define \(REGFLOW_[A-Z0-9_]*\) [0-9].*/const enum { value_of_\1 = \1 } value_\1 = \1;/p' "$header" |
        grep -v REGFLOW_API_VERSION
    describe | awk -F "'" '
        /<class-decl name=/ { struct = $2 }
        /<var-decl name=/ && $2 !~ /^is_regflow_/ {
            member = struct "__" $2; place = "offsetof(" struct ", " $2 ")"
            print "const __typeof__(((" struct " *)0)->" $2 ") " member ";"
            print "const enum { place_of_" member " = " place " } place_" member " = " place ";"
        }'
} >"$folder/variables.c"
compile "$folder"/{functions,variables}.c
describe >"$folder/regflow.abi"

if [ "${1:-}" = --write ]; then
    cp "$folder/regflow.abi" regflow.abi
    exit 0
fi
if ! abidiff --no-added-syms --suppressions compatible.suppr regflow.abi "$folder/regflow.abi"; then
    echo 'error: include/regflow.h breaks programs that were built against the last release. Add functions, and members at' >&2
    echo 'the end of structs, and leave what is there as it is; or raise SOVERSION in ffi/build.rs and make this the' >&2
    echo 'interface to keep: tests/abi/check.sh --write' >&2
    exit 1
fi
