"""Makes the fixtures of this folder: python3 make.py REFERENCE, a folder with aldp/, al3/ and al4/, each of topology.pdb,
system.xml and trajectory.dcd. Standard library only."""

import math
import pathlib
import struct
import sys
import xml.etree.ElementTree as ElementTree

reference = pathlib.Path(sys.argv[1])
here = pathlib.Path(__file__).parent


def read_dcd(path, frames):
    """Header size, and the given frames as raw bytes, of a little-endian DCD without cell or fixed atoms."""
    with open(path, "rb") as file:
        head = file.read(92)
        (title,) = struct.unpack("<i", file.read(4))
        file.seek(92 + 4 + title + 4)
        _, atoms, _ = struct.unpack("<3i", file.read(12))
        start, size = file.tell(), 3 * (8 + 4 * atoms)
        result = []
        for frame in frames:
            file.seek(start + frame * size)
            result.append(file.read(size))
    assert head[4:8] == b"CORD"
    return atoms, result


def positions(frame, atoms):
    """Positions in nm of a raw frame."""
    columns = [struct.unpack_from(f"<{atoms}f", frame, 4 + k * (8 + 4 * atoms)) for k in range(3)]
    return [[0.1 * x for x in point] for point in zip(*columns)]


def torsion(a, b, c, d):
    """Blondel and Karplus 1996, through the projections of the outer bonds on the plane across the middle one."""
    sub = lambda u, v: [x - y for x, y in zip(u, v)]
    dot = lambda u, v: math.fsum(x * y for x, y in zip(u, v))
    axis = sub(c, b)
    length = math.sqrt(dot(axis, axis))
    axis = [x / length for x in axis]
    project = lambda u: sub(u, [dot(u, axis) * x for x in axis])
    u, v = project(sub(a, b)), project(sub(d, c))
    w = [axis[1] * u[2] - axis[2] * u[1], axis[2] * u[0] - axis[0] * u[2], axis[0] * u[1] - axis[1] * u[0]]
    return math.atan2(dot(v, w), dot(v, u))


for name in ["aldp", "al3", "al4"]:
    (here / f"{name}.pdb").write_text((reference / name / "topology.pdb").read_text())
    system = ElementTree.parse(reference / name / "system.xml")
    force = next(f for f in system.iter("Force") if f.get("type") == "HarmonicBondForce")
    bonds = {tuple(sorted((int(b.get("p1")), int(b.get("p2"))))) for b in force.iter("Bond")}
    (here / f"{name}.bonds").write_text("".join(f"{a} {b}\n" for a, b in sorted(bonds)))

atoms, frames = read_dcd(reference / "aldp" / "trajectory.dcd", range(10000, 100000, 20000))
head = struct.pack("<i4s9if10ii", 84, b"CORD", len(frames), 0, 1, *[0] * 6, 0.0, *[0] * 9, 24, 84)
head += struct.pack("<3i", 4, 0, 4) + struct.pack("<3i", 4, atoms, 4)
(here / "aldp.dcd").write_bytes(head + b"".join(frames))
rows = [positions(frame, atoms) for frame in frames]
(here / "aldp-torsions.csv").write_text(
    "# rad, of the frames of aldp.dcd, computed by make.py\nphi,psi\n"
    + "".join(f"{torsion(*(x[i] for i in (4, 6, 8, 10)))!r},{torsion(*(x[i] for i in (6, 8, 10, 16)))!r}\n" for x in rows)
)
