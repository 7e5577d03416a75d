"""What must hold exactly: python behaviour.py CHECK SYSTEMS CHAIN MODEL, with the name of a function below, the folder that
systems.py wrote, the folder of the four-site chain, and a model of the chain."""

import json
import os
import pathlib
import sys
import tempfile

import numpy as np
import openmm
from openmm import app

import regflow_openmm

check, systems, chain, model = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
TORSION = [0, 1, 2, 3]


def chain_system(periodic=False):
    system = openmm.XmlSerializer.deserialize((chain / "system.xml").read_text())
    for force in system.getForces():
        force.setUsesPeriodicBoundaryConditions(periodic)
    return system


def chain_positions():
    return app.PDBFile(str(chain / "topology.pdb")).getPositions(asNumpy=True)._value


def start(system, positions=None, temperature=300.0, seed=1, platform="Reference"):
    integrator = openmm.LangevinMiddleIntegrator(temperature, 1.0, 0.001)
    integrator.setRandomNumberSeed(seed)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform))
    context.setPositions(chain_positions() if positions is None else positions)
    context.setVelocitiesToTemperature(temperature, seed)
    return context, integrator


def positions_of(context):
    return context.getState(positions=True).getPositions(asNumpy=True)._value


def torsion(x, atoms=TORSION):
    i, j, k, l = atoms  # noqa: E741
    first, middle, last = x[j] - x[i], x[k] - x[j], x[l] - x[k]
    n1, n2 = np.cross(first, middle), np.cross(middle, last)
    return np.arctan2(np.cross(n1, n2) @ middle / np.linalg.norm(middle), n1 @ n2)


def refused(message, function):
    """`function` fails, and the message has these words."""
    try:
        function()
    except Exception as error:
        assert message in str(error), f"expected {message!r}, found: {error}"
        print(error)
        return
    raise AssertionError(f"accepted, expected {message!r}")


def xml_round_trip():
    system = chain_system()
    regflow_openmm.add(system, model, 310.0, every=7, particles=[0, 1, 2, 3], topology=app.PDBFile(str(chain / "topology.pdb")).topology,
                       frame=[2, 1, 0], placement="random", seed=5, batch=12, name="Chain")  # fmt: skip
    xml = openmm.XmlSerializer.serialize(system)
    again = openmm.XmlSerializer.deserialize(xml)
    assert openmm.XmlSerializer.serialize(again) == xml
    for words in ['name="Chain"', 'frequency="7"', 'temperature="310"', 'placement="random"', 'randomSeed="5"', 'batchSize="12"']:
        assert words in xml, words
    ends = []
    for one in (system, again):
        context, integrator = start(one, temperature=310.0)
        integrator.step(500)
        assert regflow_openmm.statistics(context, "Chain").accepted > 0
        ends.append(positions_of(context))
    assert (ends[0] == ends[1]).all()
    head = 'type="RegFlowForce" version='
    refused("reads version 1", lambda: openmm.XmlSerializer.deserialize(xml.replace(head + '"1"', head + '"2"')))


def moved_chain(seed, batch=8):
    system = chain_system()
    regflow_openmm.add(system, model, 300.0, every=10, seed=seed, batch=batch)
    return system


def a_checkpoint_restores_the_moves():
    context, integrator = start(moved_chain(3))
    integrator.step(250)  # in the middle of the fourth batch
    checkpoint = context.createCheckpoint()
    integrator.step(250)
    expected, statistics = positions_of(context), regflow_openmm.statistics(context)
    assert statistics.attempts == 49 and statistics.accepted > 10, statistics

    # The same context, and a new one whose own seed is another.
    context.loadCheckpoint(checkpoint)
    integrator.step(250)
    assert (positions_of(context) == expected).all()
    fresh, integrator = start(moved_chain(0), seed=9)
    integrator.step(30)
    fresh.loadCheckpoint(checkpoint)
    integrator.step(250)
    assert (positions_of(fresh) == expected).all()
    assert regflow_openmm.statistics(fresh) == statistics


def a_state_keeps_the_moves_place():
    context, integrator = start(moved_chain(3))
    integrator.step(300)
    state = context.getState(positions=True, velocities=True, parameters=True)
    xml = openmm.XmlSerializer.serialize(state)
    ends = []
    for seed in (0, 3):
        fresh, integrator = start(moved_chain(seed))
        fresh.setState(openmm.XmlSerializer.deserialize(xml))
        assert regflow_openmm.statistics(fresh) == regflow_openmm.statistics(context)
        integrator.step(100)
        assert regflow_openmm.statistics(fresh).attempts == regflow_openmm.statistics(context).attempts + 10
        ends.append(positions_of(fresh))
    # The integrator of both begins with its seed.
    assert (ends[0] == ends[1]).all()
    context.reinitialize(preserveState=True)
    assert regflow_openmm.statistics(context).attempts == 29


def wrong_set_ups_are_refused():
    def context(change=lambda system: None, temperature=300.0, integrator=None, **options):
        system = chain_system()
        change(system)
        regflow_openmm.add(system, options.pop("model", model), temperature, **options)
        if integrator is not None:
            return openmm.Context(system, integrator)
        return start(system, np.zeros((system.getNumParticles(), 3)))

    custom, compound = openmm.CustomIntegrator(0.001), openmm.CompoundIntegrator()
    compound.addIntegrator(openmm.VerletIntegrator(0.001))
    compound.addIntegrator(openmm.CustomIntegrator(0.001))
    refused("CustomIntegrator", lambda: context(integrator=custom))
    refused("CustomIntegrator", lambda: context(integrator=compound))

    def site(system):
        system.addParticle(0.0)
        system.setVirtualSite(4, openmm.TwoParticleAverageSite(0, 1, 0.5, 0.5))

    water = app.Topology()
    residue = water.addResidue("X", water.addChain())
    for element in (app.element.carbon, app.element.oxygen, app.element.carbon, app.element.carbon):
        water.addAtom("X", element, residue)
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as damaged:
        damaged.write(model.read_bytes()[:5000])
        damaged.flush()
        refused("is not a usable model file", lambda: context(model=damaged.name))
    refused("missing.safetensors", lambda: context(model="missing.safetensors"))
    refused("the model has 4 atoms, the System 5 particles", lambda: context(lambda s: s.addParticle(15.0)))
    refused("3 particles are named", lambda: context(particles=[0, 1, 2]))
    refused("is named twice", lambda: context(particles=[0, 1, 2, 2]))
    refused("does not exist: the System has 4 particles", lambda: context(particles=[0, 1, 2, 4]))
    refused("does not exist", lambda: context(particles=[-1, 1, 2, 3]))
    refused("has the atomic number 8, atom 1 of the model 6", lambda: context(topology=water))
    refused("mass of 1 u", lambda: context(lambda s: s.setParticleMass(2, 1.0)))
    refused("has no mass", lambda: context(lambda s: s.setParticleMass(2, 0.0)))
    refused("is a virtual site", lambda: context(site, particles=[0, 1, 2, 4]))
    refused("both have other constraints", lambda: context(lambda s: [s.addConstraint(i, i + 1, 0.153) for i in range(3)]))
    refused("ties a moved particle to one that is not moved",
            lambda: context(lambda s: s.addConstraint(3, s.addParticle(15.0), 0.1), particles=TORSION))  # fmt: skip
    refused("the temperature must be positive", lambda: context(temperature=0.0))
    refused("the frequency must be at least 1 step, found 0", lambda: context(every=0))
    refused("the frequency must be at least 1 step, found -1", lambda: context(every=-1))
    refused("the batch size must be at least 1", lambda: context(batch=0))
    refused("frame", lambda: context(frame=[0, 1, 1]))
    refused("cuda:9", lambda: context(device="cuda:9"))
    refused("'sideways'", lambda: context(placement="sideways"))
    refused("seed: expected a number of 32 bits", lambda: context(seed=2**33 + 1))
    refused("batch: expected a number of 32 bits", lambda: context(batch=2**40))

    def unconnected(system):
        for force in range(system.getNumForces() - 1, -1, -1):
            system.removeForce(force)
        pairs = openmm.NonbondedForce()
        pairs.setNonbondedMethod(pairs.CutoffPeriodic)
        pairs.setCutoffDistance(0.5)
        for _ in range(4):
            pairs.addParticle(0.0, 0.3, 0.1)
        system.addForce(pairs)

    refused("no bonds or constraints connect", lambda: context(unconnected))


def moves_that_are_never_accepted_are_warned_of():
    """At a thousandth of the temperature no proposal is good enough."""
    told = {}
    for steps in (199, 250):
        system = chain_system()
        regflow_openmm.add(system, model, 0.3, every=1, seed=3)
        integrator = openmm.VerletIntegrator(1e-9)
        context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
        context.setPositions(chain_positions())
        openmm.LocalEnergyMinimizer.minimize(context)
        with tempfile.TemporaryFile() as file:
            kept = os.dup(2)
            os.dup2(file.fileno(), 2)
            integrator.step(steps + 1)
            os.dup2(kept, 2)
            file.seek(0)
            told[steps] = file.read().decode()
        assert regflow_openmm.statistics(context) == (steps, 0)
    assert "none of 200 moves of RegFlow was accepted" in told[250] and not told[199], told


def a_molecule_cut_by_the_box_is_moved_whole():
    whole = chain_positions() + 0.1
    cut = whole.copy()
    cut[0] += (2.0, 0, 0)  # the box is a cube of 2 nm
    cut[3] -= (0, 2.0, 2.0)
    ends = []
    for positions in (whole, cut):
        system = chain_system(periodic=True)
        regflow_openmm.add(system, model, 300.0, every=10, seed=4)
        context, integrator = start(system, positions)
        integrator.step(205)
        assert regflow_openmm.statistics(context).accepted > 10
        ends.append(positions_of(context))
    assert np.abs(ends[1] - ends[0] - (cut - whole)).max() < 1e-6


def virtual_sites_follow():
    """A spring from a virtual site between the ends, and the same energy without the site."""
    ends = []
    for with_site in (True, False):
        system, positions = chain_system(), chain_positions()
        if with_site:
            system.addParticle(0.0)
            system.setVirtualSite(4, openmm.TwoParticleAverageSite(0, 3, 0.5, 0.5))
            spring = openmm.HarmonicBondForce()
            spring.addBond(1, 4, 0.1, 3000.0)
            positions = np.vstack([positions, (positions[0] + positions[3]) / 2])
        else:
            spring = openmm.CustomCompoundBondForce(
                3, "1500*(pointdistance(x1,y1,z1,(x2+x3)/2,(y2+y3)/2,(z2+z3)/2)-0.1)^2"
            )
            spring.addBond([1, 0, 3])
        system.addForce(spring)
        regflow_openmm.add(system, model, 300.0, every=10, particles=TORSION, seed=4)
        context, integrator = start(system, positions)
        integrator.step(205)
        statistics = regflow_openmm.statistics(context)
        assert 0 < statistics.accepted < statistics.attempts, statistics
        ends.append(positions_of(context))
    assert np.abs(ends[0][4] - (ends[0][0] + ends[0][3]) / 2).max() < 1e-12
    assert np.abs(ends[0][:4] - ends[1]).max() < 1e-6


def the_temperature_is_a_parameter():
    system = moved_chain(3)
    context, integrator = start(system)
    context.setParameter("RegFlowTemperature", 330.0)
    refused("the moves are made at 330 K, but the integrator is at 300 K", lambda: integrator.step(20))

    # The populations are those of the parameter's temperature.
    hot = 450.0
    context.setParameter("RegFlowTemperature", hot)
    integrator.setTemperature(hot)
    integrator.step(100)
    seen = []
    for _ in range(12_000):
        integrator.step(10)
        seen.append(torsion(positions_of(context)))
    phi = (np.arange(36_000) + 0.5) / 18_000 * np.pi - np.pi
    terms = json.loads((chain / "reference.json").read_text())["terms"]
    energy = sum(k * (1 + np.cos(n * phi - phase)) for n, phase, k in terms)
    exact, cold = (np.exp(-energy / (8.31446261815324e-3 * kelvin)) for kelvin in (hot, 300.0))
    lower, upper = 0.0, 2 * np.pi / 3
    exact, cold = (weight[(phi > lower) & (phi < upper)].sum() / weight.sum() for weight in (exact, cold))
    blocks = np.reshape([lower < one < upper for one in seen], (20, -1)).mean(axis=1)
    error = blocks.std(ddof=1) / np.sqrt(20)
    print(f"gauche+ at {hot:.0f} K: {blocks.mean():.4f} +- {error:.4f}, exact {exact:.4f}; at 300 K {cold:.4f}")
    assert abs(blocks.mean() - exact) < 3 * error
    assert exact - cold > 3 * error
    system.addForce(openmm.AndersenThermostat(300.0, 1.0))
    context, integrator = start(system)
    integrator.step(20)
    context.setParameter("AndersenTemperature", 310.0)
    refused("AndersenTemperature is at 310 K", lambda: integrator.step(20))


def two_molecules_have_moves_of_their_own():
    def pair(second):
        system = openmm.System()
        forces = [openmm.HarmonicBondForce(), openmm.HarmonicAngleForce(), openmm.PeriodicTorsionForce()]
        single = chain_system()
        one = {type(force): force for force in single.getForces()}
        bonds, angles, torsions = forces
        for shift in (0, 4):
            for i in range(4):
                system.addParticle(15.0)
            for i in range(3):
                p1, p2, *rest = one[openmm.HarmonicBondForce].getBondParameters(i)
                bonds.addBond(p1 + shift, p2 + shift, *rest)
            for i in range(2):
                *atoms, a, k = one[openmm.HarmonicAngleForce].getAngleParameters(i)
                angles.addAngle(*[atom + shift for atom in atoms], a, k)
            for i in range(one[openmm.PeriodicTorsionForce].getNumTorsions()):
                *atoms, n, phase, k = one[openmm.PeriodicTorsionForce].getTorsionParameters(i)
                torsions.addTorsion(*[atom + shift for atom in atoms], n, phase, k)
        for force in forces:
            system.addForce(force)
        regflow_openmm.add(system, model, 300.0, every=10, particles=TORSION, seed=1, batch=1024, name="First")
        regflow_openmm.add(system, model, 300.0, every=10, particles=[4, 5, 6, 7], seed=1, batch=1024, name=second)
        return start(system, np.vstack([chain_positions(), chain_positions() + 1]))

    refused("two of them have the name First", lambda: pair("First"))
    context, integrator = pair("Second")
    seen = [[], []]
    n = 2000
    for _ in range(n):
        integrator.step(10)
        x = positions_of(context)
        for molecule, phi in enumerate(seen):
            phi.append(torsion(x[4 * molecule :]))
    for name, phi in zip(("First", "Second"), seen):
        accepted = regflow_openmm.statistics(context, name).accepted
        assert accepted > n / 2, accepted
    # The same seed, and nothing in common. Nearly every frame is a new draw: the rest of the correlation time is within the 3.
    basins = np.floor_divide(np.mod(seen, 2 * np.pi), 2 * np.pi / 3) == 1
    correlation = np.corrcoef(basins)[0, 1]
    assert abs(correlation) < 3 * 1.5 / np.sqrt(n), correlation


def velocities_are_those_of_the_integrator():
    """What leapfrog integrators keep lags by half a step: an accepted move's velocities v get half a kick, v + dt/2 f/m, and the
    positions are dt of that further. Runs of two steps dt differ by the kick, since what is drawn is the same."""

    def after_a_move(integrator):
        system = chain_system()
        regflow_openmm.add(system, model, 300.0, every=1, seed=3)
        context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
        for _ in range(100):
            context.setPositions(chain_positions())
            context.setStepCount(1)
            integrator.step(1)
            if regflow_openmm.statistics(context).accepted > 0:
                break
        velocities = context.getState(velocities=True).getVelocities(asNumpy=True)._value
        return positions_of(context), velocities

    def compound(dt):
        both = openmm.CompoundIntegrator()
        both.addIntegrator(openmm.BrownianIntegrator(300.0, 1.0, dt))
        both.addIntegrator(openmm.VerletIntegrator(dt))
        both.setCurrentIntegrator(1)
        return both

    forces, _ = start(chain_system())
    for kind in (openmm.VerletIntegrator, lambda dt: openmm.LangevinMiddleIntegrator(300.0, 0.0, dt), compound):
        (x, slow), (_, fast) = (after_a_move(kind(dt)) for dt in (0.001, 0.002))
        forces.setPositions(x - 0.001 * slow)
        kick = 0.0005 * forces.getState(forces=True).getForces(asNumpy=True)._value / 15.0
        assert np.abs(kick).max() > 0.001 * np.abs(slow).max()
        assert np.abs(fast - slow - kick).max() < 1e-9


globals()[check]()
