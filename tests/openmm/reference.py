"""Populations of the torsion of `solvated` (systems.py) from dynamics of `solvated-low` without moves, each frame weighted by
exp(-18 kJ/mol (1 + cos 3 phi) / kT), what the barriers differ by; errors by the jackknife over 40 blocks.

    ./simulate --system solvated-low.xml --topology solvated.pdb --torsions 9,8,7,6 --steps 20000000 --timestep 2 | python reference.py
"""

import sys

import numpy as np

KT = 8.31446261815324e-3 * 300.0
BLOCKS = 40

phi = np.loadtxt(sys.stdin, usecols=0)
weight = np.exp(-18.0 * (1 + np.cos(np.radians(3 * phi))) / KT)
for name, lower, upper in [("gauche-", -120, 0), ("gauche+", 0, 120)]:
    inside = weight * ((phi > lower) & (phi < upper))
    blocks = np.array([(one.sum(), all.sum()) for one, all in zip(np.array_split(inside, BLOCKS), np.array_split(weight, BLOCKS))])
    total = blocks.sum(axis=0)
    left_out = total - blocks
    error = np.sqrt((BLOCKS - 1) * np.var(left_out[:, 0] / left_out[:, 1]))
    print(f"{name} {total[0] / total[1]:.4f} +- {error:.4f}")
