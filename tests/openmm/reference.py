"""Reference for `solvated` (systems.py): populations of its torsion and its mean potential energy, from dynamics of `solvated-low`
without moves. Each frame has the weight exp(-V / kT) with V = 18 kJ/mol (1 + cos 3 phi), by which the potentials differ. Errors by
the jackknife over 40 blocks.

    ./simulate --system solvated-low.xml --topology solvated.pdb --torsions 7,6,5,4 --steps 16000000 --timestep 2 | python reference.py
"""

import sys

import numpy as np

KT = 8.31446261815324e-3 * 300.0
BLOCKS = 40

phi, energy = np.loadtxt(sys.stdin, unpack=True)
difference = 18.0 * (1 + np.cos(np.radians(3 * phi)))
weight = np.exp(-difference / KT)


def average(name, values):
    blocks = np.array([part.reshape(BLOCKS, -1).sum(axis=1) for part in (weight * values, weight)])
    total = blocks.sum(axis=1, keepdims=True)
    left_out = total - blocks
    error = np.sqrt((BLOCKS - 1) * np.var(left_out[0] / left_out[1]))
    print(f"{name} {(total[0] / total[1]).item():.4f} +- {error:.4f}")


average("gauche-", (phi > -120) & (phi < 0))
average("gauche+", (phi > 0) & (phi < 120))
average("energy", energy + difference)
