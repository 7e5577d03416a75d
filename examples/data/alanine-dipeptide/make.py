"""Makes trajectory.dcd and energies.npz from a longer run: python3 make.py RUN, a folder with trajectory.dcd and energies.npz.

Every tenth frame of 100,000 is copied byte by byte under a new header. Standard library only.
"""

import io
import pathlib
import struct
import sys
import zipfile

STRIDE, FRAMES, CHECKED = 10, 10_000, 50
run = pathlib.Path(sys.argv[1])
here = pathlib.Path(__file__).parent

with open(run / "trajectory.dcd", "rb") as file:
    head = file.read(92)
    claimed, fixed, cell, fourth = (struct.unpack_from("<i", head, at)[0] for at in (8, 40, 48, 52))
    assert head[4:8] == b"CORD" and claimed == STRIDE * FRAMES and (fixed, cell, fourth) == (0, 0, 0)
    (title,) = struct.unpack("<i", file.read(4))
    file.seek(92 + 4 + title + 4)
    four, atoms, _ = struct.unpack("<3i", file.read(12))
    start, size = file.tell(), 3 * (8 + 4 * atoms)
    assert four == 4 and (run / "trajectory.dcd").stat().st_size == start + claimed * size
    frames = []
    for frame in range(FRAMES):
        file.seek(start + STRIDE * frame * size)
        frames.append(file.read(size))

head = struct.pack("<i4s9if10ii", 84, b"CORD", FRAMES, 0, 1, *[0] * 6, 0.0, *[0] * 9, 24, 84)
text = b"Alanine dipeptide at 300 K, see README.md".ljust(80)
head += struct.pack("<2i", 84, 1) + text + struct.pack("<4i", 84, 4, atoms, 4)
(here / "trajectory.dcd").write_bytes(head + b"".join(frames))


def npy(kind, numbers):
    """A one-dimensional .npy file, version 1.0."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({len(numbers)},), }}"
    header = header.ljust(127 - 10) + "\n"
    code = {"<f8": "d", "<u8": "Q"}[kind]
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(numbers)}{code}", *numbers)


with zipfile.ZipFile(run / "energies.npz") as archive:
    data = archive.read("energy.npy")
(length,) = struct.unpack_from("<H", data, 8)
assert b"'<f8'" in data[: 10 + length]
energy = struct.unpack(f"<{STRIDE * FRAMES}d", data[10 + length :])
checked = list(range(0, FRAMES, CHECKED))
with zipfile.ZipFile(here / "energies.npz", "w") as archive:
    for name, content in [
        ("frame", npy("<u8", checked)),
        ("energy", npy("<f8", [energy[STRIDE * frame] for frame in checked])),
    ]:
        archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), content)
