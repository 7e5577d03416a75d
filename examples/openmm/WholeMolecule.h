#ifndef REGFLOW_OPENMM_WHOLEMOLECULE_H
#define REGFLOW_OPENMM_WHOLEMOLECULE_H

#include <openmm/Vec3.h>
#include <openmm/internal/ContextImpl.h>

#include <utility>
#include <vector>

namespace RegFlowPlugin {

/** For each atom of a molecule, how many cells of the periodic box it is away from the image that makes the molecule whole. */
using Images = std::vector<OpenMM::Vec3>;

/** Makes a molecule whole whose atoms may be in different images of a periodic box. In a System without one it always is. */
class WholeMolecule {
public:
    WholeMolecule() = default;
    /** `atoms`: its particles. Fails if the System is periodic and no bonds connect them. */
    WholeMolecule(OpenMM::ContextImpl& context, const std::vector<int>& atoms);

    /** Images of the molecule's atoms at `x` (nm, in the order of `atoms`). */
    Images images(OpenMM::ContextImpl& context, const std::vector<OpenMM::Vec3>& x) const;

    /** Moves each atom by `sign` times its image's cells. */
    void shift(OpenMM::ContextImpl& context, const Images& images, int sign, std::vector<OpenMM::Vec3>& x) const;

private:
    /** Bonds from an atom that comes earlier to one that comes later, all atoms but the first once. Empty: not periodic. */
    std::vector<std::pair<int, int>> tree;
};

} // namespace RegFlowPlugin

#endif
