#ifndef REGFLOW_OPENMM_REGFLOWFORCEIMPL_H
#define REGFLOW_OPENMM_REGFLOWFORCEIMPL_H

#include "ConstrainedBonds.h"
#include "RegFlowForce.h"
#include "RegFlowHandles.h"
#include "WholeMolecule.h"

#include <openmm/internal/ContextImpl.h>
#include <openmm/internal/ForceImpl.h>

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace RegFlowPlugin {

/** The moves of a RegFlowForce in one Context. */
class RegFlowForceImpl : public OpenMM::ForceImpl {
public:
    explicit RegFlowForceImpl(const RegFlowForce& owner);

    void initialize(OpenMM::ContextImpl& context) override;
    const RegFlowForce& getOwner() const override { return owner; }
    using ForceImpl::updateContextState;
    void updateContextState(OpenMM::ContextImpl& context, bool& forcesInvalid) override;
    double calcForcesAndEnergy(OpenMM::ContextImpl&, bool, bool, int) override { return 0.0; }
    std::map<std::string, double> getDefaultParameters() override;
    std::vector<std::string> getKernelNames() override { return {}; }

private:
    /** Where the random numbers are. The Context holds it; this object only follows. */
    struct Place {
        uint64_t seed;
        uint64_t attempts;
        bool operator==(const Place& other) const { return seed == other.seed && attempts == other.attempts; }
    };

    Place place(OpenMM::ContextImpl& context) const;
    void startBatch(uint64_t seed, uint64_t batch);
    void seek(const Place& place, const std::vector<double>& current);
    bool attempt(OpenMM::ContextImpl& context, double temperature);
    void redrawVelocities(OpenMM::ContextImpl& context, double temperature, std::mt19937_64& rng) const;

    const RegFlowForce& owner;
    /** As the Force was when the Context was made: what is set later waits for Context.reinitialize(). */
    const RegFlowForce settings;
    const int seed;
    ModelHandle model;
    /** Makes the proposals of one batch; what comes next is at `next`. */
    MoveHandle move;
    Place next{0, 0};
    /** The moved particles, in the model's order. */
    std::vector<int> atoms;
    WholeMolecule molecule;
    ConstrainedBonds bonds;
};

} // namespace RegFlowPlugin

#endif
