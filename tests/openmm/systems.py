"""Writes the Systems that the OpenMM tests simulate besides those of tests/data, into the folder of the first argument.

solvated   the chain of four sites of tests/data/engines/chain4 among four Lennard-Jones particles that its ends attract, in a
           periodic box
solvated-low  the same with low barriers of the torsion, which dynamics crosses
star       a light centre with two sites at constrained distances and one on a spring: the angle between the constrained bonds has
           the density sqrt(36 - 25 cos^2) sin exp(-V/kT), where the root is that of the determinant of the constraints' mass matrix
star-free  the same with springs for constraints and equal masses
"""

import math
import pathlib
import sys

import openmm
from openmm import app

BOND, BOND_K = 0.153, 150_000.0  # nm, kJ/(mol nm^2), of k/2 (r - r0)^2
ANGLE, ANGLE_K = math.radians(112), 500.0  # rad, kJ/(mol rad^2)
BARRIER, LOW_BARRIER = 20.0, 2.0  # kJ/mol, of k (1 + cos 3 phi)
N_SOLVENT, BOX, CUTOFF = 4, 1.0, 0.49  # nm
MASS = 15.0

out = pathlib.Path(sys.argv[1])


def write(name, system, positions, atoms, bonds):
    topology = app.Topology()
    residue = topology.addResidue("MOL", topology.addChain())
    added = [topology.addAtom(f"{atom}{i}", element, residue) for i, (atom, element) in enumerate(atoms)]
    for i, j in bonds:
        topology.addBond(added[i], added[j])
    with open(out / f"{name}.pdb", "w") as file:
        app.PDBFile.writeFile(topology, [openmm.Vec3(*x) * 10 for x in positions], file)
    (out / f"{name}.xml").write_text(openmm.XmlSerializer.serialize(system))


def solvated(name, barrier):
    # Sites of the chain, in its order. Moves are to find the model's atoms, wherever they are.
    chain = [N_SOLVENT + 3 - i for i in range(4)]
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors((BOX, 0, 0), (0, BOX, 0), (0, 0, BOX))
    bonds, angles, torsions = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce(), openmm.PeriodicTorsionForce()
    pairs = openmm.NonbondedForce()
    pairs.setNonbondedMethod(pairs.CutoffPeriodic)
    pairs.setCutoffDistance(CUTOFF)
    pairs.setUseSwitchingFunction(True)
    pairs.setSwitchingDistance(0.8 * CUTOFF)
    pairs.setUseDispersionCorrection(False)
    for _ in range(N_SOLVENT):
        system.addParticle(40.0)
        pairs.addParticle(0.0, 0.32, 1.0)
    for i in range(4):
        system.addParticle(MASS)
        # A particle of the solvent fits between the ends where the chain is bent.
        end = i in (0, 3)
        pairs.addParticle(0.0, 0.02 if end else 0.32, 80.0 if end else 0.1)
    for i in range(3):
        bonds.addBond(chain[i], chain[i + 1], BOND, BOND_K)
    for i in range(2):
        angles.addAngle(chain[i], chain[i + 1], chain[i + 2], ANGLE, ANGLE_K)
    for periodicity, phase, k in [(3, 0.0, barrier), (1, math.radians(40), 1.5)]:
        torsions.addTorsion(*chain, periodicity, phase, k)
    for i in range(4):
        for j in range(i):
            pairs.addException(chain[i], chain[j], 0.0, 1.0, 0.0)
    for force in (bonds, angles, torsions):
        force.setUsesPeriodicBoundaryConditions(True)
        system.addForce(force)
    system.addForce(pairs)
    x, y = BOND * math.sin(ANGLE / 2), BOND * math.cos(ANGLE / 2)
    positions = [(0.2 + 0.5 * (i % 2), 0.2 + 0.5 * (i // 2), 0.2) for i in range(N_SOLVENT)]
    positions += [(0.3 + i * x, 0.5 + (i % 2) * y, 0.7) for i in range(4)]
    atoms = [("AR", app.element.argon)] * N_SOLVENT + [("C", app.element.carbon)] * 4
    write(name, system, positions, atoms, [])


def star(constrained):
    system = openmm.System()
    bonds, angles = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    for centre in (True, False, False, False):
        system.addParticle(MASS / 5 if centre and constrained else MASS)
    for end in (1, 2):
        if constrained:
            system.addConstraint(0, end, BOND)
        else:
            bonds.addBond(0, end, BOND, BOND_K)
    bonds.addBond(0, 3, BOND, BOND_K)
    angles.addAngle(1, 0, 2, math.pi / 2, 4.0)
    angles.addAngle(1, 0, 3, math.pi / 2, 50.0)
    system.addForce(bonds)
    system.addForce(angles)
    positions = [(0, 0, 0), (BOND, 0, 0), (0, BOND, 0), (0, 0, BOND)]
    name = "star" if constrained else "star-free"
    write(name, system, positions, [("C", app.element.carbon)] * 4, [(0, 1), (0, 2), (0, 3)])


solvated("solvated", BARRIER)
solvated("solvated-low", LOW_BARRIER)
star(True)
star(False)
