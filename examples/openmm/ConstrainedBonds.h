#ifndef REGFLOW_OPENMM_CONSTRAINEDBONDS_H
#define REGFLOW_OPENMM_CONSTRAINEDBONDS_H

#include "RegFlowHandles.h"

#include <openmm/System.h>
#include <openmm/Vec3.h>

#include <random>
#include <vector>

namespace RegFlowPlugin {

/**
 * The constrained bonds of a molecule whose model has bonds that vibrate.
 *
 * The simulation samples exp(-U/kT) |Z|^(1/2) on the surface of the constraints, Z_ij = sum_k (1/m_k) grad_k s_i . grad_k s_j with
 * the constraints s_i = |x_k - x_p| - d (Fixman, Proc. Natl. Acad. Sci. USA 71, 3050 (1974)). The moves sample an extended
 * distribution, in which every constrained bond has a length r of its own, of density a(r), along its direction:
 *
 *     P(y) = exp(-U(x(y))/kT) |Z|^(1/2) prod_i a(r_i) / r_i^2
 *
 * over all coordinates y, x(y) being y with the bonds at their constrained lengths. Its marginal is the simulation's distribution,
 * since moving an atom along its bond has the volume element r^2 dr. Lengths are drawn from a, the positive part of a normal distribution with the
 * median and the width of the model's own bonds, before each proposal; whatever a is, the moves are exact.
 */
class ConstrainedBonds {
public:
    ConstrainedBonds() = default;
    /** `atoms`: the molecule's particles. Fails if a constraint is not one of a bond with a free end. */
    ConstrainedBonds(const OpenMM::System& system, const std::vector<int>& atoms);

    bool empty() const { return bonds.empty(); }

    /** Takes the lengths a(r) from samples of the model. */
    void learn(const regflow_model_t* model, size_t nAtoms);

    /** Draws lengths for the bonds of `x` (nm, in the order of the atoms). */
    void release(std::vector<OpenMM::Vec3>& x, std::mt19937_64& rng) const;

    /** Puts the bonds of `x` to their constrained lengths. */
    void constrain(std::vector<OpenMM::Vec3>& x) const;

    /** log of P(y) exp(U/kT), up to a constant. */
    double logFactor(const std::vector<OpenMM::Vec3>& y) const;

private:
    struct Bond {
        int end, centre;
        double distance, endMass, centreMass;
        double median = 0.0, width = 0.0;
    };
    /** Those with the same centre are neighbours in this list. */
    std::vector<Bond> bonds;
};

} // namespace RegFlowPlugin

#endif
