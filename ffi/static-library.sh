#!/usr/bin/env bash
# Makes the static library that is installed: static-library.sh SHARED ARCHIVE RESULT
#
# Cargo's archive holds every object of every crate: two copies of bzip2, which do not link with each other, and symbols of
# zlib, libstdc++'s templates and Rust's runtime, which clash with those of the program or of another library in Rust. Here
# it becomes one object with what the functions that SHARED exports need, whose other symbols are local.
set -euo pipefail
shared=$1 archive=$2 result=$3

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

mapfile -t functions < <(nm -D --defined-only "$shared" | sed -n 's/.* \(regflow_[a-z_]*\)$/\1/p')
if [ ${#functions[@]} -eq 0 ]; then
    echo "error: $shared exports no regflow_ function; build it with \`make build\`" >&2
    exit 1
fi

# The compiler's bitcode, which is for link-time optimisation in Rust, cannot be joined.
objcopy --remove-section .llvmbc --remove-section .llvmcmd "$archive" "$folder/objects.a"
# COMDAT groups become plain sections, for the linker may not replace one by the program's when its symbols are local.
ld -r --gc-sections --force-group-allocation -z muldefs "${functions[@]/#/--undefined=}" \
    "$folder/objects.a" -o "$folder/regflow.o"
printf '%s\n' "${functions[@]}" >"$folder/functions"
objcopy --keep-global-symbols="$folder/functions" "$folder/regflow.o"
rm -f "$result"
ar rcs "$result" "$folder/regflow.o"
chmod 644 "$result"
