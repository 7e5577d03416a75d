#include "WholeMolecule.h"

#include "RegFlowHandles.h"

#include <openmm/System.h>
#include <openmm/internal/ForceImpl.h>

#include <cmath>
#include <map>

using namespace OpenMM;

namespace RegFlowPlugin {

WholeMolecule::WholeMolecule(ContextImpl& context, const std::vector<int>& atoms) {
    const System& system = context.getSystem();
    if (!system.usesPeriodicBoundaryConditions())
        return;
    std::map<int, int> index;
    for (size_t i = 0; i < atoms.size(); i++)
        index[atoms[i]] = static_cast<int>(i);
    std::vector<std::vector<int>> neighbours(atoms.size());
    auto connect = [&](int particle1, int particle2) {
        auto first = index.find(particle1), second = index.find(particle2);
        if (first != index.end() && second != index.end()) {
            neighbours[first->second].push_back(second->second);
            neighbours[second->second].push_back(first->second);
        }
    };
    for (const ForceImpl* force : context.getForceImpls())
        for (const auto& bond : force->getBondedParticles())
            connect(bond.first, bond.second);
    for (int i = 0; i < system.getNumConstraints(); i++) {
        int particle1, particle2;
        double distance;
        system.getConstraintParameters(i, particle1, particle2, distance);
        connect(particle1, particle2);
    }
    std::vector<bool> reached(atoms.size());
    std::vector<int> order = {0};
    reached[0] = true;
    for (size_t i = 0; i < order.size(); i++)
        for (int neighbour : neighbours[order[i]])
            if (!reached[neighbour]) {
                reached[neighbour] = true;
                order.push_back(neighbour);
                tree.emplace_back(order[i], neighbour);
            }
    for (size_t i = 0; i < atoms.size(); i++)
        if (!reached[i])
            fail("the System is periodic, and no bonds or constraints connect particle " + std::to_string(atoms[i]) +
                 " to particle " + std::to_string(atoms[0]) + ", so that it cannot be told which of its images belongs to the "
                 "molecule. Choose the particles of one molecule");
}

Images WholeMolecule::images(ContextImpl& context, const std::vector<Vec3>& x) const {
    Images images(x.size());
    if (tree.empty())
        return images;
    Vec3 box[3];
    context.getPeriodicBoxVectors(box[0], box[1], box[2]);
    for (const auto& bond : tree) {
        Vec3 distance = x[bond.second] - x[bond.first];
        // OpenMM's boxes are lower triangular: rounding from the last vector to the first ends in the first cell.
        for (int axis : {2, 1, 0}) {
            const double cells = std::floor(distance[axis] / box[axis][axis] + 0.5);
            distance -= box[axis] * cells;
            images[bond.second][axis] = images[bond.first][axis] - cells;
        }
    }
    return images;
}

void WholeMolecule::shift(ContextImpl& context, const Images& images, int sign, std::vector<Vec3>& x) const {
    if (tree.empty())
        return;
    Vec3 box[3];
    context.getPeriodicBoxVectors(box[0], box[1], box[2]);
    for (size_t i = 0; i < x.size(); i++)
        for (int axis = 0; axis < 3; axis++)
            x[i] += box[axis] * (sign * images[i][axis]);
}

} // namespace RegFlowPlugin
