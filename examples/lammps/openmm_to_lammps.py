#!/usr/bin/env python3
"""Writes the potential of an OpenMM System XML for LAMMPS: OUT.data, and OUT.in, which sets styles and reads it.

    openmm_to_lammps.py SYSTEM.xml TOPOLOGY.pdb OUT [--units real|metal|lj] [--lj SIGMA EPSILON MASS] [--box 8] [--cutoff 3]

One molecule without constraints: HarmonicBondForce, HarmonicAngleForce, PeriodicTorsionForce, NonbondedForce without cutoff.
What LAMMPS would compute differently is refused. Positions are those of the PDB file. Standard library only.
"""

import argparse
import math
import pathlib
import xml.etree.ElementTree as xml

COULOMB = 138.93545764438198  # kJ nm/(mol e^2)
KNOWN = {"HarmonicBondForce", "HarmonicAngleForce", "PeriodicTorsionForce", "NonbondedForce", "CMMotionRemover"}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("system", type=pathlib.Path)
parser.add_argument("topology", type=pathlib.Path)
parser.add_argument("out", type=pathlib.Path, help="OUT.data and OUT.in are written")
parser.add_argument("--units", choices=["real", "metal", "lj"], default="real")
parser.add_argument("--lj", type=float, nargs=3, metavar=("SIGMA", "EPSILON", "MASS"), help="nm, kJ/mol, u: the units of lj")
parser.add_argument("--box", type=float, default=8.0, help="edge of the periodic cube, nm")
parser.add_argument("--cutoff", type=float, default=3.0, help="nm, beyond the length of the molecule")
parser.add_argument("--corner", action="store_true", help="put the first atom on the corner of the box, across which the others are cut")
options = parser.parse_args()

if (options.units == "lj") != (options.lj is not None):
    parser.error("--lj says what the units lj are, and nothing else")
if options.box < 2 * options.cutoff:
    parser.error("the box must be at least twice the cutoff, so that no atom meets an image of its own molecule")
# Parameters that other programs' files have with six digits agree to this part of them.
ROUNDING = 1e-5
# One unit of LAMMPS in nm, kJ/mol and u.
if options.units == "lj":
    length, energy, mass_unit = options.lj
    charge = math.sqrt(COULOMB / (length * energy))
else:
    length, energy, mass_unit, charge = 0.1, {"real": 4.184, "metal": 96.48533212331}[options.units], 1.0, 1.0

root = xml.parse(options.system).getroot()
forces = {force.get("type"): force for force in root.find("Forces")}
unknown = set(forces) - KNOWN
if unknown or len(forces) != len(root.find("Forces")):
    parser.error(f"{options.system}: cannot convert {', '.join(sorted(unknown)) or 'two forces of one kind'}")
if len(root.find("Constraints")):
    parser.error(f"{options.system}: constraints; RegFlow needs a system without them")
masses = [float(particle.get("mass")) for particle in root.find("Particles")]
n = len(masses)
names, positions = [], []
for line in options.topology.read_text().splitlines():
    if line.startswith(("ATOM", "HETATM")):
        names.append(line[12:16].strip())
        positions.append([float(line[at : at + 8]) / 10 for at in (30, 38, 46)])
if len(positions) != n:
    parser.error(f"{options.topology} has {len(positions)} atoms, {options.system} {n}")


def entries(kind, tag, atoms, values):
    """The terms of a force: atoms, counted from 1, and numbers."""
    if kind not in forces:
        return []
    return [
        ([int(term.get(f"p{i}")) + 1 for i in range(1, atoms + 1)], tuple(float(term.get(value)) for value in values))
        for term in forces[kind].find(tag)
    ]


def types(rows):
    """Distinct rows, numbered from 1."""
    return {row: i for i, row in enumerate(dict.fromkeys(rows), 1)}


def integer(value, what):
    if abs(value - round(value)) > 1e-6:
        parser.error(f"{what} is {value}; LAMMPS' dihedral style charmm takes whole numbers")
    return round(value)


bonds = [(at, (k / 2 / energy * length**2, d / length)) for at, (d, k) in entries("HarmonicBondForce", "Bonds", 2, "dk")]
angles = [(at, (k / 2 / energy, math.degrees(a))) for at, (a, k) in entries("HarmonicAngleForce", "Angles", 3, "ak")]
dihedrals = [
    (at, (k / energy, integer(periodicity, "a periodicity"), integer(math.degrees(phase), "a phase in degrees"), 0.0))
    for at, (k, periodicity, phase) in entries("PeriodicTorsionForce", "Torsions", 4, ("k", "periodicity", "phase"))
]

# Nonbonded terms: LAMMPS finds pairs up to three bonds apart by itself and mixes the others.
nonbonded = forces.get("NonbondedForce")
particles = [(0.0, 0.0, 1.0)] * n
special = (1.0, 1.0)
if nonbonded is not None:
    if nonbonded.get("method") != "0":
        parser.error("NonbondedForce: only the method NoCutoff can be converted")
    particles = [tuple(float(p.get(key)) for key in ("q", "eps", "sig")) for p in nonbonded.find("Particles")]
    near = [{i} for i in range(n)]
    neighbours = [set() for _ in range(n)]
    for (a, b), _ in bonds:
        neighbours[a - 1].add(b - 1)
        neighbours[b - 1].add(a - 1)
    shells = []
    for _ in range(3):
        near = [reached.union(*(neighbours[j] for j in reached)) for reached in near]
        shells.append({(i, j) for i in range(n) for j in near[i] if i < j})
    found = {tuple(sorted((int(e.get("p1")), int(e.get("p2"))))): e for e in nonbonded.find("Exceptions")}
    if set(found) != shells[2]:
        parser.error("the exceptions of the NonbondedForce are not the pairs up to three bonds apart")
    scales = {"Lennard-Jones": [], "Coulomb": []}
    for (i, j), exception in found.items():
        q, eps, sigma = (float(exception.get(key)) for key in ("q", "eps", "sig"))
        if (i, j) in shells[1]:
            if q or eps:
                parser.error(f"atoms {i + 1} and {j + 1} are one or two bonds apart, but interact")
            continue
        (qi, ei, si), (qj, ej, sj) = particles[i], particles[j]
        if eps and abs(sigma - (si + sj) / 2) > ROUNDING * sigma:
            parser.error(f"atoms {i + 1} and {j + 1}: sigma is {sigma} nm, the arithmetic mean {(si + sj) / 2} nm")
        for what, scaled, full in [("Lennard-Jones", eps, math.sqrt(ei * ej)), ("Coulomb", q, qi * qj)]:
            if full:
                scales[what].append(scaled / full)
            elif scaled:
                parser.error(f"atoms {i + 1} and {j + 1}: a {what} interaction of atoms that have none with others")
    for what, found in scales.items():
        if found and max(found) - min(found) > ROUNDING:
            parser.error(f"{what} interactions across three bonds are not all scaled alike: by {min(found)} to {max(found)}")
    # Of several with their rounding, the middle one.
    special = tuple(sorted(found)[len(found) // 2] if found else 1.0 for found in scales.values())

edge = options.box / length
centre = [0.0] * 3 if options.corner else [options.box / 2] * 3
origin = positions[0] if options.corner else [sum(p[d] for p in positions) / n for d in range(3)]
atom_rows = [(m / mass_unit, eps / energy, sigma / length) for m, (_, eps, sigma) in zip(masses, particles)]
atom_types, bond_types, angle_types, dihedral_types = (
    types(rows) for rows in (atom_rows, *([row for _, row in terms] for terms in (bonds, angles, dihedrals)))
)


def section(title, rows):
    return f"\n{title}\n\n" + "".join(" ".join(map(str, row)) + "\n" for row in rows) if rows else ""


atoms = []
for i, (position, row) in enumerate(zip(positions, atom_rows)):
    place = [(x + c - o) / length for x, c, o in zip(position, centre, origin)]
    image = [math.floor(x / edge) for x in place]
    place = [x - flag * edge for x, flag in zip(place, image)]
    atoms.append((i + 1, 1, atom_types[row], particles[i][0] * charge, *place, *image, "#", names[i]))

counts = [("atom", n, atom_types), ("bond", len(bonds), bond_types)]
counts += [("angle", len(angles), angle_types), ("dihedral", len(dihedrals), dihedral_types)]
text = f"{options.topology.stem} of {options.system.name}, units {options.units}\n\n"
text += "".join(f"{number} {what}s\n{len(kinds)} {what} types\n" for what, number, kinds in counts)
text += "".join(f"0.0 {edge} {axis}lo {axis}hi\n" for axis in "xyz")
text += section("Masses", [(i, row[0]) for row, i in atom_types.items()])
if nonbonded is not None:
    text += section("Pair Coeffs", [(i, *row[1:]) for row, i in atom_types.items()])
for title, kinds in [("Bond Coeffs", bond_types), ("Angle Coeffs", angle_types), ("Dihedral Coeffs", dihedral_types)]:
    text += section(title, [(i, *row) for row, i in kinds.items()])
text += section("Atoms # full", atoms)
for title, terms, kinds in [
    ("Bonds", bonds, bond_types),
    ("Angles", angles, angle_types),
    ("Dihedrals", dihedrals, dihedral_types),
]:
    text += section(title, [(i, kinds[row], *at) for i, (at, row) in enumerate(terms, 1)])
options.out.with_suffix(".data").write_text(text)

cutoff = options.cutoff / length
commands = [f"units {options.units}", "atom_style full", "boundary p p p", "bond_style harmonic", "angle_style harmonic"]
commands += ["dihedral_style charmm"] if dihedrals else []
if nonbonded is not None:
    # Neither shifted nor corrected: within the molecule the cutoff is never reached.
    commands += [f"pair_style lj/cut/coul/cut {cutoff}", "pair_modify mix arithmetic"]
    commands += [f"special_bonds lj 0 0 {special[0]} coul 0 0 {special[1]}"]
else:
    commands += [f"pair_style zero {cutoff}"]
commands += [f"read_data {options.out.with_suffix('.data')}"] + ([] if nonbonded is not None else ["pair_coeff * *"])
options.out.with_suffix(".in").write_text("\n".join(commands) + "\n")
