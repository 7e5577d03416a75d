"""Backbone torsions and box populations of alanine dipeptide: python3 reference.py REFERENCE, a folder with aldp/topology.pdb
and aldp/trajectory.dcd. Needs MDTraj."""

import pathlib
import sys

import mdtraj
import numpy

folder = pathlib.Path(sys.argv[1]) / "aldp"
here = pathlib.Path(__file__).parent
frames = mdtraj.load(str(folder / "trajectory.dcd"), top=str(folder / "topology.pdb"), stride=200)
phi, psi = mdtraj.compute_phi(frames)[1][:, 0], mdtraj.compute_psi(frames)[1][:, 0]
rows = [f"{a:.5f},{b:.5f}" for a, b in zip(phi, psi)]
(here / "torsions.csv").write_text("# phi, psi (rad)\n" + "\n".join(rows) + "\n")

phi, psi = numpy.degrees(numpy.loadtxt(here / "torsions.csv", delimiter=",").T)
left = (phi < 0) | (phi >= 180)
alpha = (psi >= -110) & (psi < 80)
lines = ["# basin, population, standard error from ten blocks of time"]
for name, inside in [("alpha", left & alpha), ("beta", left & ~alpha), ("phi>0", ~left)]:
    blocks = inside.reshape(10, -1).mean(axis=1)
    lines.append(f"{name},{float(inside.mean())!r},{float(blocks.std(ddof=1) / 10**0.5)!r}")
(here / "populations.csv").write_text("\n".join(lines) + "\n")
