"""The molecule `star` of systems.py, whose constrained bonds a model of `star-free` moves.

    python constraints.py frames FOLDER OUT.dcd      frames of star-free at 300 K
    python constraints.py check FOLDER MODEL         simulates star with moves, compares with the quadrature
"""

import math
import pathlib
import sys

import numpy as np
import openmm
from openmm import app

import regflow_openmm

TEMPERATURE = 300.0
KT = 8.31446261815324e-3 * TEMPERATURE

command, folder, path = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
name = "star-free" if command == "frames" else "star"
system = openmm.XmlSerializer.deserialize((folder / f"{name}.xml").read_text())
pdb = app.PDBFile(str(folder / f"{name}.pdb"))
integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 5.0, 0.001)
integrator.setRandomNumberSeed(1)
integrator.setConstraintTolerance(1e-8)
if command == "check":
    regflow_openmm.add(system, path, TEMPERATURE, every=2, topology=pdb.topology, seed=3)
simulation = app.Simulation(pdb.topology, system, integrator, openmm.Platform.getPlatformByName("Reference"))
simulation.context.setPositions(pdb.positions)
simulation.context.setVelocitiesToTemperature(TEMPERATURE, 1)

if command == "frames":
    simulation.reporters.append(app.DCDReporter(path, 100))
    simulation.step(400_000)
    sys.exit()

cosines, kinetic, deviation = [], [], 0.0
for _ in range(10_000):
    simulation.step(2)
    state = simulation.context.getState(positions=True, energy=True)
    x = state.getPositions(asNumpy=True)._value
    a, b = x[1] - x[0], x[2] - x[0]
    lengths = np.linalg.norm([a, b], axis=1)
    deviation = max(deviation, *abs(lengths - 0.153))
    cosines.append(a @ b / lengths.prod())
    kinetic.append(state.getKineticEnergy()._value)


def estimate(values, blocks=40):
    means = np.reshape(values, (blocks, -1)).mean(axis=1)
    return means.mean(), means.std(ddof=1) / math.sqrt(blocks)


# 2 (theta - pi/2)^2 is the energy of the angle, kJ/mol.
theta = (np.arange(100_000) + 0.5) / 100_000 * math.pi
free = np.sin(theta) * np.exp(-2.0 * (theta - math.pi / 2) ** 2 / KT)
exact = free * np.sqrt(36 - 25 * np.cos(theta) ** 2)


def mean(weights):
    return (weights * np.cos(theta) ** 2).sum() / weights.sum()


found, error = estimate(np.square(cosines))
attempts, accepted = regflow_openmm.statistics(simulation.context)
print(f"constrained bonds: <cos^2> {found:.4f} +- {error:.4f}, exact {mean(exact):.4f}, {mean(free):.4f} without the determinant; "
      f"accepted {accepted} of {attempts}")  # fmt: skip
assert abs(found - mean(exact)) < 3 * error, (found, error, mean(exact))
assert abs(mean(free) - mean(exact)) > 5 * error, "this would not tell the determinant from none"
assert deviation < 1e-7, deviation
# Ten degrees of freedom.
temperature = [2 * value / (10 * 8.31446261815324e-3) for value in estimate(kinetic)]
assert abs(temperature[0] - TEMPERATURE) < 3 * temperature[1], temperature
assert accepted > attempts / 2
