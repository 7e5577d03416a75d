#include "ConstrainedBonds.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>

using namespace OpenMM;

namespace RegFlowPlugin {

namespace {

double length(const Vec3& x) {
    return std::sqrt(x.dot(x));
}

/** log of the determinant of a symmetric positive definite matrix, by its Cholesky factor (which replaces it). */
double logDeterminant(std::vector<std::vector<double>>& matrix) {
    double sum = 0.0;
    for (size_t i = 0; i < matrix.size(); i++) {
        for (size_t j = 0; j <= i; j++) {
            double value = matrix[i][j];
            for (size_t k = 0; k < j; k++)
                value -= matrix[i][k] * matrix[j][k];
            matrix[i][j] = i == j ? std::sqrt(value) : value / matrix[j][j];
        }
        sum += 2.0 * std::log(matrix[i][i]);
    }
    return sum;
}

} // namespace

ConstrainedBonds::ConstrainedBonds(const System& system, const std::vector<int>& atoms) {
    std::map<int, int> index, constraints;
    for (size_t i = 0; i < atoms.size(); i++)
        index[atoms[i]] = static_cast<int>(i);
    const int n = system.getNumConstraints();
    for (int i = 0; i < n; i++) {
        int particle1, particle2;
        double distance;
        system.getConstraintParameters(i, particle1, particle2, distance);
        constraints[particle1]++;
        constraints[particle2]++;
    }
    for (int i = 0; i < n; i++) {
        int end, centre;
        double distance;
        system.getConstraintParameters(i, end, centre, distance);
        if (!index.count(end) && !index.count(centre))
            continue;
        const std::string name = "the constraint of particles " + std::to_string(end) + " and " + std::to_string(centre);
        if (!index.count(end) || !index.count(centre))
            fail(name + " ties a moved particle to one that is not moved");
        const bool swap = constraints[end] > constraints[centre] ||
                          (constraints[end] == constraints[centre] &&
                           system.getParticleMass(end) > system.getParticleMass(centre));
        if (swap)
            std::swap(end, centre);
        if (constraints[end] != 1)
            fail(name + " cannot be kept: both have other constraints. Moves are possible where bonds to hydrogens are "
                 "constrained (HBonds), not with rigid rings, angles or chains of constraints (AllBonds, HAngles)");
        bonds.push_back({index[end], index[centre], distance, system.getParticleMass(end), system.getParticleMass(centre)});
    }
    std::stable_sort(bonds.begin(), bonds.end(), [](const Bond& a, const Bond& b) { return a.centre < b.centre; });
}

void ConstrainedBonds::learn(const regflow_model_t* model, size_t nAtoms) {
    if (empty())
        return;
    const size_t n = 512;
    std::vector<double> positions(n * nAtoms * 3), logQ(n);
    check(regflow_model_sample(model, n, 0, 0, positions.data(), positions.size(), logQ.data(), n));
    for (Bond& bond : bonds) {
        std::vector<double> lengths;
        for (size_t i = 0; i < n; i++) {
            const double* end = &positions[(i * nAtoms + bond.end) * 3];
            const double* centre = &positions[(i * nAtoms + bond.centre) * 3];
            const double r = length(Vec3(end[0] - centre[0], end[1] - centre[1], end[2] - centre[2]));
            if (std::isfinite(logQ[i]) && std::isfinite(r))
                lengths.push_back(r);
        }
        std::sort(lengths.begin(), lengths.end());
        const size_t quarter = lengths.size() / 4;
        if (!lengths.empty()) {
            bond.median = lengths[lengths.size() / 2];
            // Of a normal distribution, half lies within 1.349 standard deviations.
            bond.width = (lengths[lengths.size() - 1 - quarter] - lengths[quarter]) / 1.349;
        }
        if (!(bond.median > 0.0 && bond.width > 0.0))
            fail("the model has no spread of the length of the constrained bond of its atoms " + std::to_string(bond.end) +
                 " and " + std::to_string(bond.centre) + ": train it on frames of a simulation without constraints");
    }
}

void ConstrainedBonds::release(std::vector<Vec3>& x, std::mt19937_64& rng) const {
    for (const Bond& bond : bonds) {
        const Vec3 along = x[bond.end] - x[bond.centre];
        // a(r) is cut off at 0, which takes a constant from its logarithm.
        std::normal_distribution<> lengths(bond.median, bond.width);
        double r = lengths(rng);
        while (r <= 0.0)
            r = lengths(rng);
        x[bond.end] = x[bond.centre] + along * (r / length(along));
    }
}

void ConstrainedBonds::constrain(std::vector<Vec3>& x) const {
    for (const Bond& bond : bonds) {
        const Vec3 along = x[bond.end] - x[bond.centre];
        x[bond.end] = x[bond.centre] + along * (bond.distance / length(along));
    }
}

double ConstrainedBonds::logFactor(const std::vector<Vec3>& y) const {
    double sum = 0.0;
    for (size_t first = 0, last; first < bonds.size(); first = last) {
        for (last = first; last < bonds.size() && bonds[last].centre == bonds[first].centre; last++) {
        }
        std::vector<Vec3> unit;
        for (size_t i = first; i < last; i++) {
            const Bond& bond = bonds[i];
            const Vec3 along = y[bond.end] - y[bond.centre];
            const double r = length(along), deviation = (r - bond.median) / bond.width;
            sum -= 0.5 * deviation * deviation + 2.0 * std::log(r);
            unit.push_back(along / r);
        }
        // Constraints of different centres share no atom: Z has one block for each centre.
        std::vector<std::vector<double>> z(unit.size(), std::vector<double>(unit.size()));
        for (size_t i = 0; i < unit.size(); i++) {
            for (size_t j = 0; j < unit.size(); j++)
                z[i][j] = unit[i].dot(unit[j]) / bonds[first].centreMass;
            z[i][i] += 1.0 / bonds[first + i].endMass;
        }
        sum += 0.5 * logDeterminant(z);
    }
    return sum;
}

} // namespace RegFlowPlugin
