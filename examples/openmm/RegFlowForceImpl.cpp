#include "RegFlowForceImpl.h"

#include <openmm/AndersenThermostat.h>
#include <openmm/BrownianIntegrator.h>
#include <openmm/CompoundIntegrator.h>
#include <openmm/CustomIntegrator.h>
#include <openmm/LangevinMiddleIntegrator.h>
#include <openmm/MonteCarloBarostat.h>
#include <openmm/NoseHooverIntegrator.h>
#include <openmm/System.h>
#include <openmm/VariableLangevinIntegrator.h>
#include <openmm/internal/OSRngSeed.h>

#include <cmath>
#include <iostream>
#include <limits>
#include <set>
#include <sstream>

using namespace OpenMM;

namespace RegFlowPlugin {

namespace {

/** kJ/(mol K), CODATA 2018. */
constexpr double R = 8.31446261815324e-3;

/** Attempts without an acceptance after which the user is told. */
constexpr double PATIENCE = 200;

/** Bytes of a text mixed into 64 bits (FNV-1a), the same on every machine. */
uint64_t hash(const std::string& text) {
    uint64_t mixed = 0xcbf29ce484222325;
    for (const char byte : text)
        mixed = (mixed ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    return mixed;
}

/** Random numbers of one attempt: the same after a restart, whatever came before. Forces that were given the same seed draw
 *  different ones, by their names: moves of several molecules are to be independent. */
std::mt19937_64 stream(const std::string& name, uint64_t seed, uint64_t attempt) {
    seed ^= hash(name);
    std::seed_seq sequence{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(attempt),
                           static_cast<uint32_t>(attempt >> 32)};
    return std::mt19937_64(sequence);
}

/** The integrator that makes the steps. */
Integrator& stepping(ContextImpl& context) {
    Integrator& integrator = context.getIntegrator();
    auto* compound = dynamic_cast<CompoundIntegrator*>(&integrator);
    return compound != nullptr ? compound->getIntegrator(compound->getCurrentIntegrator()) : integrator;
}

/** A CustomIntegrator sets the Context's parameters to what they were before each step, and with them the place of the moves:
 *  every attempt would draw the same. */
void checkIntegrator(Integrator& integrator) {
    if (auto* compound = dynamic_cast<CompoundIntegrator*>(&integrator))
        for (int i = 0; i < compound->getNumIntegrators(); i++)
            checkIntegrator(compound->getIntegrator(i));
    if (dynamic_cast<CustomIntegrator*>(&integrator) != nullptr)
        fail("a CustomIntegrator, which puts back the Context parameters that moves count with, cannot be used with them: take one of "
             "OpenMM's own integrators");
}

/** How far the velocities of an integrator are behind the positions, ps: half a step for those of leapfrog kind. */
double velocityTimeOffset(const Integrator& integrator) {
    struct Access : Integrator {
        static double of(const Integrator& other) { return (other.*&Access::getVelocityTimeOffset)(); }
    };
    return Access::of(integrator);
}

/** Fails where the temperature of the moves is not that of the dynamics, so far as OpenMM tells it. */
void checkTemperature(ContextImpl& context, double temperature) {
    auto compare = [&](const std::string& what, double other) {
        if (std::abs(other - temperature) > 1e-6 * temperature) {
            std::ostringstream message;
            message << "the moves are made at " << temperature << " K, but " << what << " is at " << other << " K. Set the Context "
                    << "parameter " << RegFlowForce::Temperature() << " to the temperature of the simulation";
            fail(message.str());
        }
    };
    Integrator* integrator = &stepping(context);
    if (auto* langevin = dynamic_cast<LangevinMiddleIntegrator*>(integrator))
        compare("the integrator", langevin->getTemperature());
    else if (auto* variable = dynamic_cast<VariableLangevinIntegrator*>(integrator))
        compare("the integrator", variable->getTemperature());
    else if (auto* brownian = dynamic_cast<BrownianIntegrator*>(integrator))
        compare("the integrator", brownian->getTemperature());
    else if (auto* noseHoover = dynamic_cast<NoseHooverIntegrator*>(integrator))
        for (int chain = 0; chain < noseHoover->getNumThermostats(); chain++)
            compare("the integrator", noseHoover->getTemperature(chain));
    for (const std::string& name : {AndersenThermostat::Temperature(), MonteCarloBarostat::Temperature()}) {
        auto found = context.getParameters().find(name);
        if (found != context.getParameters().end())
            compare("the Context parameter " + name, found->second);
    }
}

/** Fails if the particles cannot be the model's atoms. */
void checkAtoms(const System& system, const std::vector<int>& atoms, const std::vector<uint32_t>& numbers) {
    std::set<int> seen;
    for (size_t i = 0; i < atoms.size(); i++) {
        const std::string name = "particle " + std::to_string(atoms[i]) + " (atom " + std::to_string(i) + " of the model)";
        if (atoms[i] < 0 || atoms[i] >= system.getNumParticles())
            fail(name + " does not exist: the System has " + std::to_string(system.getNumParticles()) + " particles");
        if (!seen.insert(atoms[i]).second)
            fail(name + " is named twice");
        if (system.isVirtualSite(atoms[i]))
            fail(name + " is a virtual site: the model must leave virtual sites out, they follow the atoms that define them");
        const double mass = system.getParticleMass(atoms[i]);
        if (mass == 0.0)
            fail(name + " has no mass: OpenMM holds it in place, and it cannot be moved");
        // Masses tell hydrogens from heavier atoms, also where mass was shifted between them or hydrogens were united with their
        // carbon: hydrogens up to 4 u leave at least 3.0 u to the carbon of a methyl group.
        const bool hydrogen = numbers[i] == 1;
        if (hydrogen ? mass > 4.5 : mass < 2.5) {
            std::ostringstream message;
            message << name << " has a mass of " << mass << " u, and the model's atom is " << (hydrogen ? "a" : "no")
                    << " hydrogen: are the particles in the model's order?";
            fail(message.str());
        }
    }
}

std::vector<double> flat(const std::vector<Vec3>& x) {
    std::vector<double> numbers;
    numbers.reserve(3 * x.size());
    for (const Vec3& atom : x)
        numbers.insert(numbers.end(), {atom[0], atom[1], atom[2]});
    return numbers;
}

} // namespace

RegFlowForceImpl::RegFlowForceImpl(const RegFlowForce& owner)
    : owner(owner), settings(owner), seed(owner.getRandomNumberSeed() != 0 ? owner.getRandomNumberSeed() : osrngseed()) {
}

std::map<std::string, double> RegFlowForceImpl::getDefaultParameters() {
    return {{RegFlowForce::Temperature(), settings.getDefaultTemperature()},
            {settings.getAttemptsParameter(), 0.0},
            {settings.getAcceptedParameter(), 0.0},
            {settings.getSeedParameter(), static_cast<double>(static_cast<uint32_t>(seed))}};
}

void RegFlowForceImpl::initialize(ContextImpl& context) {
    for (const ForceImpl* force : context.getForceImpls()) {
        auto* other = dynamic_cast<const RegFlowForceImpl*>(force);
        if (other != nullptr && other != this && other->settings.getName() == settings.getName())
            fail("two of them have the name " + settings.getName() + ": give each its own with setName()");
    }
    if (!(settings.getDefaultTemperature() > 0.0))
        fail("the temperature must be positive, found " + std::to_string(settings.getDefaultTemperature()) + " K");
    if (settings.getFrequency() < 1)
        fail("the frequency must be at least 1 step, found " + std::to_string(settings.getFrequency()) +
             ": leave the Force out where no moves are wanted");
    if (settings.getBatchSize() < 1)
        fail("the batch size must be at least 1, found " + std::to_string(settings.getBatchSize()));

    checkIntegrator(context.getIntegrator());
    regflow_load_options_t options = {};
    options.struct_size = sizeof options;
    options.device = settings.getDevice().c_str();
    regflow_model_t* loaded = nullptr;
    check(regflow_model_load(settings.getModelFile().c_str(), &options, &loaded));
    model.reset(loaded);
    size_t nAtoms = 0;
    check(regflow_model_n_atoms(model.get(), &nAtoms));
    std::vector<uint32_t> numbers(nAtoms);
    check(regflow_model_atomic_numbers(model.get(), numbers.data(), nAtoms));

    const System& system = context.getSystem();
    atoms = settings.getParticles();
    if (atoms.empty()) {
        if (static_cast<size_t>(system.getNumParticles()) != nAtoms)
            fail("the model has " + std::to_string(nAtoms) + " atoms, the System " + std::to_string(system.getNumParticles()) +
                 " particles: say with setParticles() which of them the model's atoms are");
        for (int i = 0; i < system.getNumParticles(); i++)
            atoms.push_back(i);
    }
    if (atoms.size() != nAtoms)
        fail("the model has " + std::to_string(nAtoms) + " atoms, and " + std::to_string(atoms.size()) +
             " particles are named: one is needed for each, in the model's order");
    const std::vector<int>& expected = settings.getAtomicNumbers();
    if (!expected.empty() && expected.size() != nAtoms)
        fail(std::to_string(expected.size()) + " atomic numbers are given for " + std::to_string(nAtoms) + " particles");
    for (size_t i = 0; i < expected.size(); i++)
        if (expected[i] != static_cast<int>(numbers[i]))
            fail("particle " + std::to_string(atoms[i]) + " has the atomic number " + std::to_string(expected[i]) + ", atom " +
                 std::to_string(i) + " of the model " + std::to_string(numbers[i]) + ": are the particles in the model's order?");
    checkAtoms(system, atoms, numbers);

    molecule = WholeMolecule(context, atoms);
    bonds = ConstrainedBonds(system, atoms);
    bonds.learn(model.get(), nAtoms);
    startBatch(static_cast<uint32_t>(seed), 0);
}

/** The place that the Context's parameters tell. They are whole numbers unless someone set them. */
RegFlowForceImpl::Place RegFlowForceImpl::place(ContextImpl& context) const {
    auto number = [&](const std::string& name) {
        const double value = context.getParameter(name);
        if (!(value >= 0.0 && value < 9007199254740992.0 && value == std::floor(value)))
            fail("the Context parameter " + name + " must be a whole number, found " + std::to_string(value));
        return static_cast<uint64_t>(value);
    };
    return {number(settings.getSeedParameter()), number(settings.getAttemptsParameter())};
}

/** A move for the proposals of one batch. Its seed comes from those of the Force and the batch, so that the count of attempts is
 *  all that a checkpoint needs. */
void RegFlowForceImpl::startBatch(uint64_t seed, uint64_t batch) {
    std::vector<size_t> frame(settings.getFrame().begin(), settings.getFrame().end());
    regflow_move_options_t options{};
    options.struct_size = sizeof options;
    options.n_walkers = 1;
    options.temperature = settings.getDefaultTemperature();
    options.seed = stream(settings.getName(), seed, ~batch)();
    options.batch = static_cast<size_t>(settings.getBatchSize());
    options.frame = frame.empty() ? nullptr : frame.data();
    options.frame_length = frame.size();
    options.placement = settings.getPlacement() == RegFlowForce::Placement::Random ? REGFLOW_PLACEMENT_RANDOM
                                                                               : REGFLOW_PLACEMENT_KEEP;
    regflow_move_t* made = nullptr;
    check(regflow_move_new(model.get(), &options, &made));
    move.reset(made);
    next = {seed, batch * options.batch};
}

/** Goes to where the Context is: one attempt on, or anywhere after a checkpoint was loaded. */
void RegFlowForceImpl::seek(const Place& place, const std::vector<double>& current) {
    const uint64_t size = static_cast<uint64_t>(settings.getBatchSize());
    if (place == next && place.attempts % size != 0)
        return;
    startBatch(place.seed, place.attempts / size);
    // Proposals come in order: those of the batch that were used are drawn again, and left.
    std::vector<double> proposal(current.size());
    const double energy = 0.0, infinite = std::numeric_limits<double>::infinity();
    for (; next.attempts < place.attempts; next.attempts++) {
        double logRatio;
        int32_t accepted;
        check(regflow_move_propose(move.get(), current.data(), current.size(), proposal.data(), proposal.size(), &logRatio, 1));
        check(regflow_move_decide(move.get(), &energy, 1, &infinite, 1, &accepted, 1));
    }
}

void RegFlowForceImpl::updateContextState(ContextImpl& context, bool& forcesInvalid) {
    const long long step = context.getStepCount();
    if (step == 0 || step % settings.getFrequency() != 0)
        return;
    const double temperature = context.getParameter(RegFlowForce::Temperature());
    if (!(temperature > 0.0))
        fail("the Context parameter " + RegFlowForce::Temperature() + " must be positive, found " + std::to_string(temperature));
    checkTemperature(context, temperature);
    // Also after a rejection: GPU platforms overwrite the forces when they compute an energy.
    forcesInvalid = true;
    const bool accepted = attempt(context, temperature);
    const double attempts = context.getParameter(settings.getAttemptsParameter()) + 1.0;
    context.setParameter(settings.getAttemptsParameter(), attempts);
    if (accepted)
        context.setParameter(settings.getAcceptedParameter(), context.getParameter(settings.getAcceptedParameter()) + 1.0);
    if (attempts == PATIENCE && context.getParameter(settings.getAcceptedParameter()) == 0.0)
        std::cerr << "RegFlowForce: warning: none of " << attempts << " moves of " << settings.getName()
                  << " was accepted. Is the model one of this potential and temperature? Among explicit solvent moves are practically "
                     "never accepted, since proposals meet the solvent where it is\n";
}

bool RegFlowForceImpl::attempt(ContextImpl& context, double temperature) {
    const Place now = place(context);
    std::mt19937_64 rng = stream(settings.getName(), now.seed, now.attempts);
    std::vector<Vec3> before;
    context.getPositions(before);
    std::vector<Vec3> current;
    for (int atom : atoms)
        current.push_back(before[atom]);
    const Images images = molecule.images(context, current);
    molecule.shift(context, images, 1, current);
    bonds.release(current, rng);

    const std::vector<double> from = flat(current);
    std::vector<double> to(from.size());
    double logRatio;
    seek(now, from);
    check(regflow_move_propose(move.get(), from.data(), from.size(), to.data(), to.size(), &logRatio, 1));
    next.attempts++;

    double energy = 0.0, proposalEnergy = std::numeric_limits<double>::infinity();
    std::vector<Vec3> proposal;
    for (size_t i = 0; i < to.size(); i += 3)
        proposal.emplace_back(to[i], to[i + 1], to[i + 2]);
    std::vector<Vec3> after = before;
    bool moved = false;
    int32_t accepted = 0;
    try {
        if (logRatio > -std::numeric_limits<double>::infinity()) {
            const double factor = bonds.logFactor(current), proposalFactor = bonds.logFactor(proposal);
            bonds.constrain(proposal);
            molecule.shift(context, images, -1, proposal);
            // The way back must be possible: it would find these images.
            if (molecule.images(context, proposal) == images) {
                for (size_t i = 0; i < atoms.size(); i++)
                    after[atoms[i]] = proposal[i];
                const int groups = context.getIntegrator().getIntegrationForceGroups();
                energy = context.calcForcesAndEnergy(false, true, groups) - R * temperature * factor;
                moved = true;
                context.setPositions(after);
                context.computeVirtualSites();
                proposalEnergy = context.calcForcesAndEnergy(false, true, groups) - R * temperature * proposalFactor;
            }
        }
        // The move has the default temperature; what it decides by is the energy over that.
        const double scale = settings.getDefaultTemperature() / temperature;
        energy *= scale;
        proposalEnergy *= scale;
        check(regflow_move_decide(move.get(), &energy, 1, &proposalEnergy, 1, &accepted, 1));
    } catch (...) {
        if (moved)
            context.setPositions(before);
        throw;
    }
    if (accepted)
        redrawVelocities(context, temperature, rng);
    else if (moved)
        context.setPositions(before);
    return accepted != 0;
}

void RegFlowForceImpl::redrawVelocities(ContextImpl& context, double temperature, std::mt19937_64& rng) const {
    const System& system = context.getSystem();
    std::vector<Vec3> velocities;
    context.getVelocities(velocities);
    std::normal_distribution<> normal;
    for (int atom : atoms) {
        // nm/ps: kJ/mol over u is (nm/ps)^2.
        const double width = std::sqrt(R * temperature / system.getParticleMass(atom));
        for (int axis = 0; axis < 3; axis++)
            velocities[atom][axis] = width * normal(rng);
    }
    context.setVelocities(velocities);
    if (!bonds.empty())
        context.applyVelocityConstraints(context.getIntegrator().getConstraintTolerance());
    // These are velocities at the time of the positions: a leapfrog integrator wants those of half a step before.
    const double offset = velocityTimeOffset(stepping(context));
    if (offset == 0.0)
        return;
    context.calcForcesAndEnergy(true, false, context.getIntegrator().getIntegrationForceGroups());
    std::vector<Vec3> shifted;
    context.computeShiftedVelocities(-offset, shifted);
    context.getVelocities(velocities);
    for (int atom : atoms)
        velocities[atom] = shifted[atom];
    context.setVelocities(velocities);
}

} // namespace RegFlowPlugin
