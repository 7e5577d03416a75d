// SPDX-License-Identifier: GPL-2.0-or-later
// The potential energy of the whole system after its atoms were moved.

#ifndef REGFLOW_LAMMPS_FULL_ENERGY_H
#define REGFLOW_LAMMPS_FULL_ENERGY_H

#include "pointers.h"

namespace LAMMPS_NS {

class FullEnergy : protected Pointers {
 public:
  explicit FullEnergy(LAMMPS *lmp) : Pointers(lmp) {}

  /// Energy units, all of the system. Atoms change ranks where they must; ghosts and neighbour lists are made anew. To be
  /// called from pre_exchange(), after which LAMMPS computes the forces again.
  double operator()();

 private:
  void rebuild();
  void check_atoms();
};

}    // namespace LAMMPS_NS

#endif
