#!/usr/bin/env bash
# Trains a Boltzmann generator on 10,000 frames of alanine dipeptide, draws weighted samples from it, scores frames of the
# trajectory, and prints the figures. Everything it writes is in demo/ at the top of the repository.
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

# Likelihood training has the best figures on so few frames; --objective regression trains on optimal-transport pairs.
run train --trajectory "$data/trajectory.dcd" --topology "$data/topology.pdb" --energy "$data/system.xml" \
    --temperature 300 --coordinates internal --architecture nsf --target ot --objective likelihood --seed 1 \
    --out "$out/model.safetensors" --json >"$out/train.json"
run sample --model "$out/model.safetensors" --energy "$data/system.xml" -n 20000 --seed 1 \
    --out "$out/samples.dcd" --json >"$out/sample.json"
run score --model "$out/model.safetensors" --energy "$data/system.xml" --trajectory "$data/trajectory.dcd" \
    --out "$out/scores.npz" --json >"$out/score.json"

# The value of a key of a file with one JSON object.
value() { sed -n "s/.*\"$2\":\([^,}]*\).*/\1/p" "$out/$1.json"; }

echo "The model, the samples and their weights are in $out/ (see $out/sample.json for all figures)." >&2
echo "alanine dipeptide: ESS/N $(value sample ess_per_n), Pareto k $(value sample k_hat)," \
    "log Z $(value sample log_z) +- $(value sample log_z_error), $(value sample n) samples;" \
    "trained in $(value train seconds) s, all in $SECONDS s"
