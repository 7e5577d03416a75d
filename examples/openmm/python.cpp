/* What regflow_openmm.py calls through ctypes. OpenMM's Python objects are its C++ objects: int(system.this) is a System*. */
#include "RegFlowForce.h"

#include <openmm/System.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>

using RegFlowPlugin::RegFlowForce;

namespace {

thread_local std::string message;

std::vector<int> list(const int32_t* values, int32_t n) {
    return n > 0 ? std::vector<int>(values, values + n) : std::vector<int>();
}

} // namespace

extern "C" {

/** Mirrored by the class _Options of regflow_openmm.py. */
struct regflow_openmm_options_t {
    const char *model, *name, *device;
    double temperature;
    int32_t frequency, random_placement, seed, batch_size;
    const int32_t *particles, *atomic_numbers, *frame;
    int32_t n_particles, n_atomic_numbers, n_frame;
};

/** The message of the last failure in this thread. */
const char* regflow_openmm_error() {
    return message.c_str();
}

/** Adds a RegFlowForce to a System, which owns it. Returns its index, or -1. */
int32_t regflow_openmm_add(void* system, const regflow_openmm_options_t* options) {
    try {
        auto force = std::make_unique<RegFlowForce>(options->model, options->temperature, options->frequency);
        force->setName(options->name);
        force->setDevice(options->device);
        force->setPlacement(options->random_placement ? RegFlowForce::Placement::Random : RegFlowForce::Placement::Keep);
        force->setRandomNumberSeed(options->seed);
        force->setBatchSize(options->batch_size);
        force->setParticles(list(options->particles, options->n_particles));
        force->setAtomicNumbers(list(options->atomic_numbers, options->n_atomic_numbers));
        force->setFrame(list(options->frame, options->n_frame));
        const int index = static_cast<OpenMM::System*>(system)->addForce(force.get());
        force.release();
        return index;
    } catch (const std::exception& error) {
        message = error.what();
    } catch (...) {
        message = "unknown exception";
    }
    return -1;
}

} // extern "C"
