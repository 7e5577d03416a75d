"""Masses and bonds of the Systems of these molecules, and the RNA in other formats. Needs OpenMM 8.

    python make.py rna.pdb rna.xml dimethyl-ether.xml methanol.xml benzonitrile.xml

The Systems are those of openmmforcefields' GAFF 2 (ligands) and of OpenMM's amber14/RNA.OL3; only masses and bonds are kept:
`NAME.particles` has the masses (u) on its first line, then a bond per line: two atoms, length (nm), k (kJ/(mol nm^2)).
rna.pdb is r(UpU) as OpenMM's PDBFile writes it, rna.cif as PDBxFile does, rna.gro has its names without elements.
The MOL2 files have the types of GAFF as antechamber writes them. benzonitrile-gap.pdb lacks the serial number 9.
"""

import pathlib
import sys

from openmm import HarmonicBondForce, XmlSerializer, app, unit

pdb = app.PDBFile(sys.argv[1])
app.PDBxFile.writeFile(pdb.topology, pdb.positions, open("rna.cif", "w"))
positions = pdb.positions.value_in_unit(unit.nanometer)
atoms = list(pdb.topology.atoms())
with open("rna.gro", "w") as out:
    out.write(f"rna\n{len(atoms):5d}\n")
    for atom in atoms:
        x, y, z = positions[atom.index]
        residue = atom.residue
        out.write(f"{residue.index + 1:5d}{residue.name:5s}{atom.name:>5s}{atom.index + 1:5d}{x:8.3f}{y:8.3f}{z:8.3f}\n")
    out.write("5.0 5.0 5.0\n")

for path in map(pathlib.Path, sys.argv[2:]):
    system = XmlSerializer.deserialize(path.read_text())
    masses = [system.getParticleMass(i).value_in_unit(unit.dalton) for i in range(system.getNumParticles())]
    with open(f"{path.stem}.particles", "w") as out:
        out.write(" ".join(f"{mass:g}" for mass in masses) + "\n")
        for force in system.getForces():
            if isinstance(force, HarmonicBondForce):
                for k in range(force.getNumBonds()):
                    a, b, length, constant = force.getBondParameters(k)
                    out.write(f"{a} {b} {length._value:g} {constant._value:g}\n")
