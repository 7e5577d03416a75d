"""Molecular dynamics with moves, or without (leave --model out). Prints torsions and the potential energy as the simulation goes.

    python simulate.py --system system.xml --topology topology.pdb --model model.safetensors --steps 100000 --torsions 4,6,8,14

simulate.cpp does the same in C++, and prints the same.
"""

import argparse
import math
import pathlib
import sys
import time

import numpy as np
import openmm
from openmm import app, unit


def numbers(text):
    return [int(word) for word in text.split(",")]


def torsion(x, i, j, k, l):  # noqa: E741
    """Degrees, in the IUPAC convention."""
    first, middle, last = x[j] - x[i], x[k] - x[j], x[l] - x[k]
    n1, n2 = np.cross(first, middle), np.cross(middle, last)
    return math.degrees(math.atan2(np.cross(n1, n2) @ middle / np.linalg.norm(middle), n1 @ n2))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--system", required=True, help="serialized OpenMM System")
parser.add_argument("--topology", required=True, help="PDB file: elements and first positions")
parser.add_argument("--model", help="RegFlow model of the molecule; without it, no moves")
parser.add_argument("--particles", type=numbers, help="the model's atoms in the System, i,j,k,... (default: all)")
parser.add_argument("--torsions", type=numbers, default=[], help="atoms i,j,k,l of what is printed; several one after the other")
parser.add_argument("--steps", type=int, default=10_000)
parser.add_argument("--every", type=int, default=50, help="steps between moves")
parser.add_argument("--report", type=int, default=50, help="steps between lines")
parser.add_argument("--temperature", type=float, default=300.0, help="K")
parser.add_argument("--timestep", type=float, default=1.0, help="fs")
parser.add_argument("--friction", type=float, default=1.0, help="1/ps")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--platform", default="Reference")
parser.add_argument("--placement", default="keep", choices=["keep", "random"])
options = parser.parse_args()

system = openmm.XmlSerializer.deserialize(pathlib.Path(options.system).read_text())
pdb = app.PDBFile(options.topology)
if options.model:
    import regflow_openmm

    regflow_openmm.add(system, options.model, options.temperature, options.every, particles=options.particles,
                       topology=pdb.topology, placement=options.placement, seed=options.seed)  # fmt: skip

integrator = openmm.LangevinMiddleIntegrator(options.temperature, options.friction, 1e-3 * options.timestep)
integrator.setRandomNumberSeed(options.seed)
context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(options.platform))
context.setPositions(pdb.positions)
context.setVelocitiesToTemperature(options.temperature, options.seed)

start, processor = time.perf_counter(), time.process_time()
reports = options.steps // options.report
for _ in range(reports):
    integrator.step(options.report)
    state = context.getState(positions=True, energy=True)
    x = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    torsions = [torsion(x, *options.torsions[i : i + 4]) for i in range(0, len(options.torsions), 4)]
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    print(*(f"{value:.6f}" for value in [*torsions, energy]))
rate = reports * options.report / (time.perf_counter() - start)
moves = ", attempts {}, accepted {}".format(*regflow_openmm.statistics(context)) if options.model else ""
seconds = time.process_time() - processor
print(f"{reports * options.report} steps, {rate:.0f} steps/s, {seconds:.3f} s of processor time{moves}", file=sys.stderr)
