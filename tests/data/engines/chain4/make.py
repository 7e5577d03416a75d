"""Makes the files of this folder from the numbers below. Standard library only."""

import json
import math
import pathlib
import sys

MASS = 15.0
BOND, BOND_K = 0.153, 150_000.0  # nm, kJ/(mol nm^2), of k/2 (r - r0)^2
ANGLE, ANGLE_K = math.radians(112), 500.0  # rad, kJ/(mol rad^2)
TORSION = [(3, 0, 20.0), (1, 40, 1.5)]  # periodicity n, phase (degrees), k (kJ/mol) of k (1 + cos(n phi - phase))
TEMPERATURE = 300.0
BASINS = [("gauche-", -120, 0), ("gauche+", 0, 120), ("trans", 120, -120)]  # degrees

here = pathlib.Path(__file__).parent
kt = 8.31446261815324e-3 * TEMPERATURE


def energy(phi):
    return sum(k * (1 + math.cos(n * phi - math.radians(phase))) for n, phase, k in TORSION)


def weight(lower, upper, points=20_000):
    """Integral of the Boltzmann factor between two angles, by the midpoint rule, which is exact to rounding on a period."""
    width = (upper - lower) % 360
    angles = (math.radians(lower + (i + 0.5) * width / points) for i in range(points))
    return width / points * sum(math.exp(-energy(phi) / kt) for phi in angles)


def element(tag, **attributes):
    return f"<{tag} " + " ".join(f'{key}="{value!r}"' for key, value in attributes.items()) + "/>"


bonds = [element("Bond", d=BOND, k=BOND_K, p1=i, p2=i + 1) for i in range(3)]
angles = [element("Angle", a=ANGLE, k=ANGLE_K, p1=i, p2=i + 1, p3=i + 2) for i in range(2)]
torsions = [
    element("Torsion", k=k, p1=0, p2=1, p3=2, p4=3, periodicity=n, phase=math.radians(phase)) for n, phase, k in TORSION
]


def force(kind, version, tag, lines):
    head = f'\t\t<Force forceGroup="0" name="{kind}" type="{kind}" usesPeriodic="0" version="{version}">\n\t\t\t<{tag}>\n'
    return head + "".join(f"\t\t\t\t{line}\n" for line in lines) + f"\t\t\t</{tag}>\n\t\t</Force>\n"


(here / "system.xml").write_text(
    '<?xml version="1.0" ?>\n<System openmmVersion="8.6.1" type="System" version="1">\n'
    '\t<PeriodicBoxVectors>\n\t\t<A x="2" y="0" z="0"/>\n\t\t<B x="0" y="2" z="0"/>\n\t\t<C x="0" y="0" z="2"/>\n'
    "\t</PeriodicBoxVectors>\n\t<Particles>\n"
    + f'\t\t<Particle mass="{MASS}"/>\n' * 4
    + "\t</Particles>\n\t<Constraints/>\n\t<Forces>\n"
    + force("HarmonicBondForce", 2, "Bonds", bonds)
    + force("HarmonicAngleForce", 2, "Angles", angles)
    + force("PeriodicTorsionForce", 2, "Torsions", torsions)
    + "\t</Forces>\n</System>\n"
)

# All trans: phi = 180 degrees.
x, y = BOND * math.sin(ANGLE / 2), BOND * math.cos(ANGLE / 2)
positions = [(i * x, (i % 2) * y, 0.0) for i in range(4)]
atoms = [
    f"HETATM{i + 1:5}  C{i + 1}  CHN A   1    {10 * p[0]:8.3f}{10 * p[1]:8.3f}{10 * p[2]:8.3f}  1.00  0.00           C  \n"
    for i, p in enumerate(positions)
]
connections = [
    "CONECT" + "".join(f"{j + 1:5}" for j in [i] + [j for j in (i - 1, i + 1) if 0 <= j < 4]) + "\n" for i in range(4)
]
(here / "topology.pdb").write_text("".join(atoms) + "TER       5      CHN A   1\n" + "".join(connections) + "END\n")

weights = [weight(lower, upper) for _, lower, upper in BASINS]
populations = {name: w / sum(weights) for (name, _, _), w in zip(BASINS, weights)}
grid = [energy(math.radians(degree)) for degree in range(-180, 180)]
reference = {
    "temperature": TEMPERATURE,
    "torsion": [0, 1, 2, 3],
    "bond": [BOND, BOND_K],
    "angle": [ANGLE, ANGLE_K],
    "terms": [[n, math.radians(phase), k] for n, phase, k in TORSION],
    "basins": {name: [lower, upper] for name, lower, upper in BASINS},
    "populations": populations,
}
(here / "reference.json").write_text(json.dumps(reference) + "\n")
print(populations, "barriers / kJ/mol:", max(grid) - min(grid), file=sys.stderr)
