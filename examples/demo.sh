#!/usr/bin/env bash
# Trains two Boltzmann generators on 10,000 frames of alanine dipeptide, by regression on optimal-transport pairs and by
# maximum likelihood, draws weighted samples from both, and compares their populations with those of the frames.
# Everything it writes is in demo/ at the top of the repository.
set -euo pipefail
cd "$(dirname "$0")/.."

bg_sample=${BG_SAMPLE:-target/release/bg-sample}
data=examples/data/alanine-dipeptide
out=demo
mkdir -p "$out"

run() {
    echo "\$ bg-sample $*" >&2
    "$bg_sample" "$@"
}

# A small flow and a little noise: 9,000 frames are soon memorised.
for objective in regression likelihood; do
    echo "== $objective" >&2
    run train --trajectory "$data/trajectory.dcd" --topology "$data/topology.pdb" --energy "$data/system.xml" \
        --temperature 300 --coordinates internal --architecture nsf --target ot --objective "$objective" \
        --architecture-config '{"couplings": 6, "hidden": 64}' --target-noise 0.05 --steps 1200 --seed 1 \
        --out "$out/$objective.safetensors"
    run sample --model "$out/$objective.safetensors" --energy "$data/system.xml" -n 20000 --seed 1 \
        --out "$out/$objective.dcd" | tee "$out/$objective.txt"
done
run score --model "$out/likelihood.safetensors" --energy "$data/system.xml" --trajectory "$data/trajectory.dcd" \
    --out "$out/frames.npz" | tee "$out/frames.txt"

# The figures of a line of a table.
figure() { sed -n "s/^$2   *\(.*\)/\1/p" "$out/$1.txt"; }
number() { figure "$@" | cut -d ' ' -f 1; }

echo
echo "Models, samples and weights are in $out/. Populations of the samples of the likelihood model and of the frames:"
echo "  $(figure likelihood populations)"
echo "  $(figure frames populations)"
echo "alanine dipeptide, 20,000 samples: likelihood ESS/N $(number likelihood 'ess per n') k-hat" \
    "$(number likelihood 'k hat') log Z $(figure likelihood 'log z'); regression ESS/N" \
    "$(number regression 'ess per n') k-hat $(number regression 'k hat'); $SECONDS s"
