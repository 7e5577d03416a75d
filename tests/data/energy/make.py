"""Makes the reference data of the energy tests with OpenMM (8.6, Reference platform).

usage: make.py REFERENCE_DATA    (a folder with aldp, al3, al4, each: system.xml, trajectory.dcd, energies.npz)

Each case is NAME.xml (the System) and NAME.json: positions [frames, particles, 3] in nm, energies in kJ/mol and forces in
kJ/(mol nm) of these frames. The peptides are 20 frames of the equilibrium trajectories, rounded to 1e-5 nm; the other
cases are eight particles with random parameters at random places, among them some much closer than atoms ever are.
"""
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import openmm as mm
from openmm.app.internal.customgbforces import GBSAOBC1Force, GBSAOBC2Force

HERE = Path(__file__).parent
N = 8
rng = np.random.default_rng(7)


def read_dcd(path, frames):
    """Frames of a DCD file without unit cell, nm."""
    data = np.fromfile(path, np.uint8)
    position, records = 0, []
    while position < len(data):
        size = int(data[position:position + 4].view("<u4")[0])
        records.append(data[position + 4:position + 4 + size])
        position += 8 + size
    atoms = int(records[2].view("<i4")[0])
    records = [r for r in records[3:] if len(r) == 4 * atoms]
    return np.array([[r.view("<f4") for r in records[3 * f:3 * f + 3]] for f in frames]).swapaxes(1, 2).astype(float) / 10


def write(name, system, positions, xml=None):
    positions = np.round(positions, 5)
    platform = mm.Platform.getPlatformByName("Reference")
    context = mm.Context(system, mm.VerletIntegrator(0.001), platform)
    energies, forces = [], []
    for frame in positions:
        context.setPositions(frame)
        state = context.getState(getEnergy=True, getForces=True)
        energies.append(state.getPotentialEnergy()._value)
        forces.append(np.round(state.getForces(asNumpy=True)._value, 6).tolist())
    if xml is None:
        (HERE / f"{name}.xml").write_text(mm.XmlSerializer.serialize(system))
    else:
        shutil.copyfile(xml, HERE / f"{name}.xml")
    content = dict(positions=positions.tolist(), energies=energies, forces=forces)
    (HERE / f"{name}.json").write_text(json.dumps(content) + "\n")


def small(name, *forces, spread=0.25, closest=0.06):
    system = mm.System()
    for _ in range(N):
        system.addParticle(12)
    for force in forces:
        system.addForce(force)
    frames = []
    while len(frames) < 20:
        x = rng.normal(size=(N, 3)) * spread
        if min(np.linalg.norm(x[i] - x[j]) for i in range(N) for j in range(i)) > closest:
            frames.append(x)
    write(name, system, np.array(frames))


def nonbonded(method, cutoff=1.0, dielectric=78.3, switch=None):
    force = mm.NonbondedForce()
    force.setNonbondedMethod(method)
    force.setCutoffDistance(cutoff)
    force.setReactionFieldDielectric(dielectric)
    if switch is not None:
        force.setUseSwitchingFunction(True)
        force.setSwitchingDistance(switch)
    for _ in range(N):
        force.addParticle(rng.uniform(-0.6, 0.6), rng.uniform(0.1, 0.2), rng.uniform(0.1, 0.8))
    force.createExceptionsFromBonds([(i, i + 1) for i in range(5)], 0.8333, 0.5)
    return force


def gbsa(method, cutoff=1.0):
    force = mm.GBSAOBCForce()
    force.setNonbondedMethod(method)
    force.setCutoffDistance(cutoff)
    for _ in range(N):
        force.addParticle(rng.uniform(-0.6, 0.6), rng.uniform(0.1, 0.2), rng.uniform(0.7, 0.9))
    return force


def custom(kind, cutoff=None, **options):
    force = kind(cutoff=cutoff, **options)
    for _ in range(N):
        force.addParticle([rng.uniform(-0.6, 0.6), rng.uniform(0.1, 0.2), rng.uniform(0.7, 0.9)])
    force.finalize()
    if cutoff is not None:
        force.setNonbondedMethod(mm.CustomGBForce.CutoffNonPeriodic)
        force.setCutoffDistance(cutoff)
    return force


def bonded():
    bonds, angles = mm.HarmonicBondForce(), mm.HarmonicAngleForce()
    for i in range(N - 1):
        bonds.addBond(i, i + 1, rng.uniform(0.1, 0.2), rng.uniform(1e3, 1e5))
    for i in range(N - 2):
        angles.addAngle(i, i + 1, i + 2, rng.uniform(1.0, 2.0), rng.uniform(100, 700))
    return bonds, angles


def periodic_torsions():
    force = mm.PeriodicTorsionForce()
    for i in range(N - 3):
        for periodicity in range(1, 7):
            force.addTorsion(i, i + 1, i + 2, i + 3, periodicity, rng.uniform(-3, 3), rng.uniform(-5, 5))
        force.addTorsion(i + 3, i + 2, i + 1, i, 2, rng.uniform(-3, 3), rng.uniform(-5, 5))
    return force


def ryckaert_bellemans():
    force = mm.RBTorsionForce()
    for i in range(N - 3):
        force.addTorsion(i, i + 1, i + 2, i + 3, *rng.uniform(-10, 10, size=6))
    return force


for peptide in ["aldp", "al3", "al4"]:
    folder = Path(sys.argv[1]) / peptide
    frames = np.load(folder / "energies.npz")["force_frames"][::10]
    system = mm.XmlSerializer.deserialize((folder / "system.xml").read_text())
    write(peptide, system, read_dcd(folder / "trajectory.dcd", frames), folder / "system.xml")

plain, cutoff = mm.NonbondedForce.NoCutoff, mm.NonbondedForce.CutoffNonPeriodic
small("bonded", *bonded(), mm.CMMotionRemover())
small("periodic-torsions", periodic_torsions())
small("ryckaert-bellemans", ryckaert_bellemans())
small("no-cutoff", nonbonded(plain))
small("reaction-field", nonbonded(cutoff, 0.5))
small("switching", nonbonded(cutoff, 0.6, switch=0.3))
small("gbsa-obc", gbsa(plain))
small("gbsa-obc-cutoff", gbsa(cutoff, 0.5), nonbonded(cutoff, 0.4, 1.0))
small("gbsa-obc-engulfed", gbsa(plain), spread=0.05, closest=0.01)
small("custom-obc1", custom(GBSAOBC1Force, SA="ACE"))
small("custom-obc2", custom(GBSAOBC2Force, SA="ACE", soluteDielectric=2.0, solventDielectric=40.0))
small("custom-obc2-cutoff", custom(GBSAOBC2Force, cutoff=0.5), nonbonded(cutoff, 0.5, 1.0))
small("custom-obc1-engulfed", custom(GBSAOBC1Force, SA="ACE"), spread=0.05, closest=0.01)
