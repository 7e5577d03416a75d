"""Potential energies with OpenMM's Reference platform, the fastest one for small molecules on a CPU.
usage: energies.py SYSTEM.xml FRAMES.json; one call evaluates all frames ("positions": [frames, particles, 3], nm)."""
import json
import sys

from serve import missing, serve

try:
    import numpy
    import openmm
except ImportError as error:
    missing(error)

with open(sys.argv[1]) as file:
    system = openmm.XmlSerializer.deserialize(file.read())
with open(sys.argv[2]) as file:
    frames = numpy.array(json.load(file)["positions"])
context = openmm.Context(
    system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))


def evaluate(forces):
    for x in frames:
        context.setPositions(x)
        context.getState(getEnergy=True, getForces=forces).getPotentialEnergy()


serve(f"OpenMM {openmm.__version__} Reference",
      {"energies": lambda: evaluate(False), "forces": lambda: evaluate(True)})
