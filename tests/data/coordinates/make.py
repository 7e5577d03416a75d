#!/usr/bin/env python3
"""Writes the fixtures NAME.json of this folder: `topology` (as serde writes system::Topology) and `positions` in nm.

    python3 make.py REFERENCE_DATA     # a folder with aldp/, al3/, al4/, each holding topology.pdb and trajectory.dcd

Frames are spread evenly over each trajectory and rounded to 1e-5 nm; bonds are guessed from the distances of the PDB.
"""
import json
import pathlib
import struct
import sys

NUMBER = {"H": 1, "C": 6, "N": 7, "O": 8}
MASS = {"H": 1.008, "C": 12.011, "N": 14.007, "O": 15.999}


def read_pdb(path):
    atoms, residues, places = [], [], []
    for line in path.read_text().splitlines():
        if not line.startswith(("ATOM", "HETATM")):
            continue
        residue = {"name": line[17:20].strip(), "id": int(line[22:26]), "chain": line[21].strip()}
        if not residues or residues[-1] != residue:
            residues.append(residue)
        element = line[76:78].strip()
        atoms.append({"name": line[12:16].strip(), "element": element, "atomic_number": NUMBER[element],
                      "mass": MASS[element], "residue": len(residues) - 1})
        places.append([float(line[k:k + 8]) for k in (30, 38, 46)])
    bonds = []
    for i, a in enumerate(places):
        for j in range(i + 1, len(places)):
            distance = sum((p - q) ** 2 for p, q in zip(a, places[j])) ** 0.5
            hydrogens = (atoms[i]["element"] == "H") + (atoms[j]["element"] == "H")
            if distance < (1.8, 1.25, 0.0)[hydrogens]:
                bonds.append([i, j])
    return {"atoms": atoms, "residues": residues, "bonds": bonds}


def read_dcd(path, n_atoms, wanted):
    """Frames `wanted` in nm. Fortran records: header, title, atom count, then (cell,) x, y, z per frame, Angstrom f32."""
    data = path.read_bytes()
    cell = struct.unpack_from("<i", data, 4 + 4 + 4 * 10)[0]
    offset, head = 0, 0
    while head < 3:
        offset += 8 + struct.unpack_from("<i", data, offset)[0]
        head += 1
    frame_bytes = 3 * (4 * n_atoms + 8) + (56 if cell else 0)
    frames = (len(data) - offset) // frame_bytes
    out = []
    for k in range(wanted):
        at = offset + (k * frames // wanted) * frame_bytes + (56 if cell else 0)
        axes = [struct.unpack_from(f"<{n_atoms}f", data, at + 4 + axis * (4 * n_atoms + 8)) for axis in range(3)]
        out += [round(0.1 * axes[axis][i], 5) for i in range(n_atoms) for axis in range(3)]
    return out


def main():
    here, source = pathlib.Path(__file__).parent, pathlib.Path(sys.argv[1])
    for name, frames in (("aldp", 120), ("al3", 150), ("al4", 180)):
        topology = read_pdb(source / name / "topology.pdb")
        positions = read_dcd(source / name / "trajectory.dcd", len(topology["atoms"]), frames)
        text = json.dumps({"topology": topology, "positions": positions}, separators=(",", ":"))
        (here / f"{name}.json").write_text(text + "\n")


main()
