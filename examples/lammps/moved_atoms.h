// SPDX-License-Identifier: GPL-2.0-or-later
// The atoms of a group in the order of a model, wherever the ranks hold them.

#ifndef REGFLOW_LAMMPS_MOVED_ATOMS_H
#define REGFLOW_LAMMPS_MOVED_ATOMS_H

#include "lmptype.h"
#include "pointers.h"

#include <cstddef>
#include <utility>
#include <vector>

namespace LAMMPS_NS {

class MovedAtoms : protected Pointers {
 public:
  MovedAtoms(LAMMPS *lmp, int groupbit) : Pointers(lmp), groupbit(groupbit) {}

  /// The atom IDs of the group, ascending. All ranks must call it, as everything below.
  std::vector<tagint> group_ids() const;

  /// Fixes the order: ids[i] is the i-th atom.
  void set_order(const std::vector<tagint> &ids);

  /// Place of an atom in the order, or -1.
  int index(tagint id) const;

  std::size_t size() const { return sorted.size(); }

  /// Collects the positions; fails if an atom of the order is gone.
  void gather();

  /// Positions of the last gather(), unwrapped by the image flags: [size][3], distance units.
  const std::vector<double> &positions() const { return unwrapped; }

  /// Moves the atoms from the gathered positions to others, folded back into a periodic box.
  void place(const std::vector<double> &to);

  /// Moves them back after place(): the same coordinates and image flags, to the last bit.
  void restore(const std::vector<double> &from);

  /// Whether positions lie within the box along dimensions with fixed boundaries, beyond which atoms are lost.
  bool inside(const std::vector<double> &positions) const;

  /// Fails if a bond between two of the atoms is cut by the box: their image flags then do not make a whole molecule.
  void check_whole();

 private:
  /// Calls f(local index, place in the order) for the atoms of this rank.
  template <typename F> void for_own(F f) const;
  void walk(const std::vector<double> &from, const std::vector<double> &to);
  int hops(const std::vector<double> &from, const std::vector<double> &to) const;
  void assign(const std::vector<double> &positions);

  int groupbit;
  std::vector<std::pair<tagint, int>> sorted;    // ID and place in the order, by ID
  std::vector<double> wrapped, unwrapped;        // of the last gather()
  std::vector<imageint> images;
};

}    // namespace LAMMPS_NS

#endif
