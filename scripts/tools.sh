#!/usr/bin/env bash
# Makes sure that the programs a build needs are there: cargo, a C++ compiler, and CMake for the trajectory library.
# What is missing is installed from the system's packages where that is allowed (root, or sudo without a password), CMake
# else into .cmake/ here; where nothing helps, the command to type is printed.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:$HOME/.cargo/bin:$PWD/.cmake/bin"

has() { command -v "$1" >/dev/null 2>&1; }

if ! has cargo; then
    echo "error: cargo is missing. Install Rust:  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2
    exit 1
fi

packages=()
has gcc || packages+=(gcc)
has g++ || packages+=(g++)
has cmake || packages+=(cmake)
if [ ${#packages[@]} -eq 0 ]; then
    exit 0
fi

root=
if [ "$(id -u)" -ne 0 ]; then
    root=sudo
fi
command="${root:+$root }apt-get install -y ${packages[*]}"

if has apt-get && { [ -z "$root" ] || { has sudo && sudo -n true 2>/dev/null; }; }; then
    echo "installing: ${packages[*]}" >&2
    # The list of packages may be old or empty; without it the installation itself tells what is wrong.
    $root apt-get update -qq >&2 || true
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2 || true
fi

if ! has cmake && has python3; then
    echo "installing CMake into .cmake/" >&2
    if ! { python3 -m venv .cmake && .cmake/bin/python -m pip install --quiet 'cmake>=3.20'; } >&2; then
        rm -rf .cmake
    fi
fi

missing=()
for program in gcc g++ cmake; do
    has "$program" || missing+=("$program")
done
if [ ${#missing[@]} -ne 0 ]; then
    echo "error: missing: ${missing[*]}. On Debian or Ubuntu type:  $command" >&2
    exit 1
fi
