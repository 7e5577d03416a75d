// SPDX-License-Identifier: GPL-2.0-or-later
// Standard atomic weights, to tell whether LAMMPS and a model mean the same atoms.

#ifndef REGFLOW_LAMMPS_ELEMENTS_H
#define REGFLOW_LAMMPS_ELEMENTS_H

#include <cstddef>

namespace regflow_lammps {

struct Element {
  const char *symbol;
  double weight;    // g/mol (IUPAC 2021, abridged)
};

/// Hydrogen to xenon, by atomic number from 1.
constexpr Element ELEMENTS[] = {
    {"H", 1.008},   {"He", 4.0026}, {"Li", 6.94},   {"Be", 9.0122}, {"B", 10.81},   {"C", 12.011},  {"N", 14.007},
    {"O", 15.999},  {"F", 18.998},  {"Ne", 20.180}, {"Na", 22.990}, {"Mg", 24.305}, {"Al", 26.982}, {"Si", 28.085},
    {"P", 30.974},  {"S", 32.06},   {"Cl", 35.45},  {"Ar", 39.95},  {"K", 39.098},  {"Ca", 40.078}, {"Sc", 44.956},
    {"Ti", 47.867}, {"V", 50.942},  {"Cr", 51.996}, {"Mn", 54.938}, {"Fe", 55.845}, {"Co", 58.933}, {"Ni", 58.693},
    {"Cu", 63.546}, {"Zn", 65.38},  {"Ga", 69.723}, {"Ge", 72.630}, {"As", 74.922}, {"Se", 78.971}, {"Br", 79.904},
    {"Kr", 83.798}, {"Rb", 85.468}, {"Sr", 87.62},  {"Y", 88.906},  {"Zr", 91.224}, {"Nb", 92.906}, {"Mo", 95.95},
    {"Tc", 97.0},   {"Ru", 101.07}, {"Rh", 102.91}, {"Pd", 106.42}, {"Ag", 107.87}, {"Cd", 112.41}, {"In", 114.82},
    {"Sn", 118.71}, {"Sb", 121.76}, {"Te", 127.60}, {"I", 126.90},  {"Xe", 131.29},
};

/// An element of the table, or a null pointer.
inline const Element *element(std::size_t atomic_number)
{
  const std::size_t known = sizeof(ELEMENTS) / sizeof(*ELEMENTS);
  return atomic_number >= 1 && atomic_number <= known ? &ELEMENTS[atomic_number - 1] : nullptr;
}

}    // namespace regflow_lammps

#endif
