/* The molecule of the examples: a flexible water molecule in vacuum, O H H, whose averages are known.
 *
 * U = k_r / 2 [(r1 - r0)^2 + (r2 - r0)^2] + k_a / 2 (a - a0)^2, with the bonds r1, r2 and the angle a. Its Boltzmann distribution
 * is a product of r^2 exp(-U_r / kT) for each bond and sin(a) exp(-U_a / kT) for the angle. nm, kJ/mol, K, rad.
 */
#ifndef WATER_H
#define WATER_H

#include <math.h>
#include <stddef.h>

#define WATER_ATOMS 3
#define WATER_R0 0.1
#define WATER_KR 2.0e5
#define WATER_A0 1.9
#define WATER_KA 300.0
#define WATER_KT (8.31446261815324e-3 * 300.0)

/* Coordinates of the molecule with the oxygen at the origin and the first hydrogen on the x axis. */
static inline void water_place(double r1, double r2, double angle, double positions[9]) {
    const double x[9] = {0.0, 0.0, 0.0, r1, 0.0, 0.0, r2 * cos(angle), r2 * sin(angle), 0.0};
    for (int k = 0; k < 9; k++) {
        positions[k] = x[k];
    }
}

static inline double water_bond_energy(double r) {
    return 0.5 * WATER_KR * (r - WATER_R0) * (r - WATER_R0);
}

static inline double water_angle_energy(double angle) {
    return 0.5 * WATER_KA * (angle - WATER_A0) * (angle - WATER_A0);
}

/* Energy of one molecule anywhere in space. */
static inline double water_energy(const double positions[9]) {
    double r[2] = {0.0, 0.0};
    double dot = 0.0;
    for (int k = 0; k < 3; k++) {
        const double a = positions[3 + k] - positions[k];
        const double b = positions[6 + k] - positions[k];
        r[0] += a * a;
        r[1] += b * b;
        dot += a * b;
    }
    r[0] = sqrt(r[0]);
    r[1] = sqrt(r[1]);
    const double cosine = fmin(fmax(dot / (r[0] * r[1]), -1.0), 1.0);
    return water_bond_energy(r[0]) + water_bond_energy(r[1]) + water_angle_energy(acos(cosine));
}

/* The energy, and minus its gradient by positions. */
static inline double water_forces(const double positions[9], double forces[9]) {
    double u[3], v[3], r[2] = {0.0, 0.0}, dot = 0.0;
    for (int k = 0; k < 3; k++) {
        u[k] = positions[3 + k] - positions[k];
        v[k] = positions[6 + k] - positions[k];
        r[0] += u[k] * u[k];
        r[1] += v[k] * v[k];
        dot += u[k] * v[k];
    }
    r[0] = sqrt(r[0]);
    r[1] = sqrt(r[1]);
    const double cosine = fmin(fmax(dot / (r[0] * r[1]), -1.0), 1.0);
    const double angle = acos(cosine), sine = fmax(sqrt(1.0 - cosine * cosine), 1e-9);
    const double bend = WATER_KA * (angle - WATER_A0) / sine;
    for (int k = 0; k < 3; k++) {
        const double e = u[k] / r[0], f = v[k] / r[1];
        forces[3 + k] = -WATER_KR * (r[0] - WATER_R0) * e + bend * (f - cosine * e) / r[0];
        forces[6 + k] = -WATER_KR * (r[1] - WATER_R0) * f + bend * (e - cosine * f) / r[1];
        forces[k] = -forces[3 + k] - forces[6 + k];
    }
    return water_bond_energy(r[0]) + water_bond_energy(r[1]) + water_angle_energy(angle);
}

/* log Z of the three internal coordinates and the mean energy, by the trapezoidal rule. */
static inline void water_exact(double *log_z, double *mean_energy) {
    const int steps = 20000;
    double bond[2] = {0.0, 0.0}, angle[2] = {0.0, 0.0};
    for (int i = 1; i < steps; i++) {
        const double r = 2.0 * WATER_R0 * i / steps, a = acos(-1.0) * i / steps;
        const double bond_weight = r * r * exp(-water_bond_energy(r) / WATER_KT) * (2.0 * WATER_R0 / steps);
        const double angle_weight = sin(a) * exp(-water_angle_energy(a) / WATER_KT) * (acos(-1.0) / steps);
        bond[0] += bond_weight;
        bond[1] += bond_weight * water_bond_energy(r);
        angle[0] += angle_weight;
        angle[1] += angle_weight * water_angle_energy(a);
    }
    *log_z = 2.0 * log(bond[0]) + log(angle[0]);
    *mean_energy = 2.0 * bond[1] / bond[0] + angle[1] / angle[0];
}

#endif
