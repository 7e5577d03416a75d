"""Monte Carlo moves with a RegFlow model in OpenMM simulations.

    import regflow_openmm
    regflow_openmm.add(system, "model.safetensors", temperature=300, every=50)
    simulation = app.Simulation(topology, system, integrator)
    ...
    print(regflow_openmm.statistics(simulation.context))

Importing it loads the plug-in, so that `XmlSerializer.deserialize` knows its Force. The library is beside this file, or where
the environment variable REGFLOW_OPENMM names it.
"""

import collections
import ctypes
import os
import pathlib

import openmm  # its library must be there before the plug-in

_int32 = ctypes.c_int32
_list = ctypes.POINTER(_int32)


class _Options(ctypes.Structure):
    """`regflow_openmm_options_t` of python.cpp."""

    _fields_ = [
        ("model", ctypes.c_char_p), ("name", ctypes.c_char_p), ("device", ctypes.c_char_p),
        ("temperature", ctypes.c_double),
        ("frequency", _int32), ("random_placement", _int32), ("seed", _int32), ("batch_size", _int32),
        ("particles", _list), ("atomic_numbers", _list), ("frame", _list),
        ("n_particles", _int32), ("n_atomic_numbers", _int32), ("n_frame", _int32),
    ]  # fmt: skip


_library = ctypes.CDLL(os.environ.get("REGFLOW_OPENMM", pathlib.Path(__file__).resolve().parent / "libRegFlowOpenMM.so"))
_library.regflow_openmm_error.restype = ctypes.c_char_p
_library.regflow_openmm_add.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Options)]

Statistics = collections.namedtuple("Statistics", ["attempts", "accepted"])


def add(system, model, temperature, every=50, *, particles=None, topology=None, frame=None, placement="keep", seed=0, batch=256,
        device="cpu", name="RegFlow"):  # fmt: skip
    """Adds moves of the molecule of `model` (a file) to `system`; returns the index of the Force. A Context that is made
    afterwards makes the moves.

    temperature  of the simulation (K, or a Quantity)
    every        steps from one move to the next
    particles    indices of the particles that are the model's atoms, in its order; by default the whole System
    topology     of the System: elements are compared with the model's (without it, only what masses tell)
    frame        three of the model's atoms whose frame (origin, axis, plane) the molecule keeps; by default the model's choice
    placement    "keep" the frame, or give it a "random" orientation: seldom accepted where the energy changes with it
    seed         of the random numbers, which the name changes as well; 0: a new one for each Context
    batch        proposals drawn at a time
    name         of the Force, and first part of its Context parameters
    """
    if placement not in ("keep", "random"):
        raise ValueError(f"placement: expected 'keep' or 'random', found {placement!r}")
    if openmm.unit.is_quantity(temperature):
        temperature = temperature.value_in_unit(openmm.unit.kelvin)
    particles = [] if particles is None else [int(i) for i in particles]
    elements = []
    if topology is not None:
        atoms = list(topology.atoms())
        moved = [atoms[i] for i in particles] if particles else atoms
        elements = [atom.element.atomic_number if atom.element else 0 for atom in moved]
    frame = [] if frame is None else [int(i) for i in frame]
    for what, values in {"every": [every], "seed": [seed], "batch": [batch], "particles": particles, "frame": frame}.items():
        for value in values:
            if not -(2**31) <= value < 2**31:
                raise ValueError(f"{what}: expected a number of 32 bits, found {value}")

    def array(values):
        return (_int32 * len(values))(*values), len(values)

    (p, n_p), (e, n_e), (f, n_f) = array(particles), array(elements), array(frame)
    options = _Options(
        os.fsencode(model), name.encode(), device.encode(), temperature, every, placement == "random", seed, batch,
        ctypes.cast(p, _list), ctypes.cast(e, _list), ctypes.cast(f, _list), n_p, n_e, n_f,
    )  # fmt: skip
    index = _library.regflow_openmm_add(int(system.this), ctypes.byref(options))
    if index < 0:
        raise openmm.OpenMMException(_library.regflow_openmm_error().decode())
    return index


def statistics(context, name="RegFlow"):
    """Moves attempted and accepted so far."""
    return Statistics(int(context.getParameter(name + ".attempts")), int(context.getParameter(name + ".accepted")))
