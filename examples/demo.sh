#!/usr/bin/env bash
# Trains a Boltzmann generator on 10,000 frames of alanine dipeptide by the default recipe (likelihood, then a polish with the
# energy), draws weighted samples, and compares them with the frames in a report.
# Everything it writes is in demo/ at the top of the repository.
set -euo pipefail
cd "$(dirname "$0")/.."

bg_sample=${BG_SAMPLE:-target/release/bg-sample}
data=examples/data/alanine-dipeptide
out=demo
model=$out/model.safetensors
mkdir -p "$out"
echo "report: $PWD/$out/report.html (in about five minutes)"

run() {
    echo "\$ bg-sample $*" >&2
    "$bg_sample" "$@"
}

# A demo that was interrupted goes on where it was.
resume=()
if [ -e "$out/model.checkpoint" ]; then resume=(--resume); fi
run train --trajectory "$data/trajectory.dcd" --topology "$data/topology.pdb" --energy "$data/system.xml" --temperature 300 \
    --recipe default --time-limit 200 --seed 1 --out "$model" "${resume[@]}"
run sample --model "$model" --energy "$data/system.xml" -n 20000 --seed 1 --out "$out/samples.dcd"
run evaluate --model "$model" --energy "$data/system.xml" --reference "$data/trajectory.dcd" --topology "$data/topology.pdb" \
    --seed 1 --report "$out/report.html" | tee "$out/evaluation.txt"

figure() { sed -n "s/^$1   *\(.*\)/\1/p" "$out/evaluation.txt"; }
echo
echo "report: $PWD/$out/report.html"
echo "alanine dipeptide, 10,000 samples: ESS/N $(figure 'ess per n' | cut -d ' ' -f 1)," \
    "k-hat $(figure 'k hat' | cut -d ' ' -f 1), log Z $(figure 'log z'); $SECONDS s"
