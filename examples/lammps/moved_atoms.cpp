// SPDX-License-Identifier: GPL-2.0-or-later

#include "moved_atoms.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"

#include <algorithm>
#include <cmath>

using namespace LAMMPS_NS;

namespace {
const imageint HOME = (static_cast<imageint>(IMGMAX) << IMG2BITS) | (static_cast<imageint>(IMGMAX) << IMGBITS) | IMGMAX;
}

template <typename F> void MovedAtoms::for_own(F f) const
{
  for (int i = 0; i < atom->nlocal; i++) {
    if (!(atom->mask[i] & groupbit)) continue;
    const int at = index(atom->tag[i]);
    if (at >= 0) f(i, static_cast<std::size_t>(at));
  }
}

std::vector<tagint> MovedAtoms::group_ids() const
{
  std::vector<tagint> own;
  for (int i = 0; i < atom->nlocal; i++)
    if (atom->mask[i] & groupbit) own.push_back(atom->tag[i]);
  int count = static_cast<int>(own.size());
  std::vector<int> counts(comm->nprocs), starts(comm->nprocs);
  MPI_Allgather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, world);
  int total = 0;
  for (int rank = 0; rank < comm->nprocs; rank++) {
    starts[rank] = total;
    total += counts[rank];
  }
  std::vector<tagint> all(total);
  MPI_Allgatherv(own.data(), count, MPI_LMP_TAGINT, all.data(), counts.data(), starts.data(), MPI_LMP_TAGINT, world);
  std::sort(all.begin(), all.end());
  return all;
}

void MovedAtoms::set_order(const std::vector<tagint> &ids)
{
  sorted.clear();
  for (std::size_t i = 0; i < ids.size(); i++) sorted.emplace_back(ids[i], static_cast<int>(i));
  std::sort(sorted.begin(), sorted.end());
}

int MovedAtoms::index(tagint id) const
{
  const auto found = std::lower_bound(sorted.begin(), sorted.end(), std::make_pair(id, 0));
  return found != sorted.end() && found->first == id ? found->second : -1;
}

void MovedAtoms::gather()
{
  const std::size_t n = size();
  // Each place is filled by one rank: sums with zeros change no bit.
  std::vector<double> own(3 * n, 0.0);
  std::vector<imageint> own_images(n, 0);
  int count = 0;
  for_own([&](int i, std::size_t at) {
    std::copy_n(atom->x[i], 3, &own[3 * at]);
    own_images[at] = atom->image[i];
    count++;
  });
  wrapped.resize(3 * n);
  images.resize(n);
  int found = 0;
  MPI_Allreduce(&count, &found, 1, MPI_INT, MPI_SUM, world);
  MPI_Allreduce(own.data(), wrapped.data(), static_cast<int>(3 * n), MPI_DOUBLE, MPI_SUM, world);
  MPI_Allreduce(own_images.data(), images.data(), static_cast<int>(n), MPI_LMP_IMAGEINT, MPI_SUM, world);
  if (found != static_cast<int>(n))
    error->all(FLERR, "Fix regflow: {} of the {} atoms of its group are left: they were lost, deleted or regrouped", found,
               n);
  unwrapped.resize(3 * n);
  for (std::size_t i = 0; i < n; i++) domain->unmap(&wrapped[3 * i], images[i], &unwrapped[3 * i]);
}

void MovedAtoms::assign(const std::vector<double> &positions)
{
  for_own([&](int i, std::size_t at) {
    std::copy_n(&positions[3 * at], 3, atom->x[i]);
    atom->image[i] = HOME;
    domain->remap(atom->x[i], atom->image[i]);
  });
}

int MovedAtoms::hops(const std::vector<double> &from, const std::vector<double> &to) const
{
  if (comm->nprocs == 1) return 1;
  double own[3], narrowest[3];
  for (int d = 0; d < 3; d++)
    own[d] = domain->triclinic ? domain->subhi_lamda[d] - domain->sublo_lamda[d]
                               : (domain->subhi[d] - domain->sublo[d]) / domain->prd[d];
  MPI_Allreduce(own, narrowest, 3, MPI_DOUBLE, MPI_MIN, world);
  double widest = 0.0;
  for (std::size_t i = 0; i < size(); i++) {
    double start[3], end[3], a[3], b[3];
    std::copy_n(&from[3 * i], 3, start);
    std::copy_n(&to[3 * i], 3, end);
    domain->x2lamda(start, a);
    domain->x2lamda(end, b);
    for (int d = 0; d < 3; d++) {
      if (comm->layout != Comm::LAYOUT_TILED && comm->procgrid[d] <= 2) continue;
      widest = std::max(widest, std::fabs(b[d] - a[d]) / narrowest[d]);
    }
  }
  return 1 + static_cast<int>(widest);
}

// LAMMPS hands atoms over between neighbouring ranks only: a longer way is gone in hops shorter than a rank's part of the box.
void MovedAtoms::walk(const std::vector<double> &from, const std::vector<double> &to)
{
  const int n = hops(from, to);
  std::vector<double> between(from.size());
  for (int hop = 1; hop < n; hop++) {
    const double part = static_cast<double>(hop) / n;
    for (std::size_t k = 0; k < from.size(); k++) between[k] = from[k] + part * (to[k] - from[k]);
    assign(between);
    if (domain->triclinic) domain->x2lamda(atom->nlocal);
    comm->exchange();
    if (domain->triclinic) domain->lamda2x(atom->nlocal);
  }
}

void MovedAtoms::place(const std::vector<double> &to)
{
  walk(unwrapped, to);
  assign(to);
}

void MovedAtoms::restore(const std::vector<double> &from)
{
  walk(from, unwrapped);
  for_own([&](int i, std::size_t at) {
    std::copy_n(&wrapped[3 * at], 3, atom->x[i]);
    atom->image[i] = images[at];
  });
}

bool MovedAtoms::inside(const std::vector<double> &positions) const
{
  for (int d = 0; d < 3; d++) {
    for (int side = 0; side < 2; side++) {
      const int FIXED = 1;
      if (domain->boundary[d][side] != FIXED) continue;
      for (std::size_t i = 0; i < size(); i++) {
        const double x = positions[3 * i + d];
        if (side == 0 ? x < domain->boxlo[d] : x >= domain->boxhi[d]) return false;
      }
    }
  }
  return true;
}

void MovedAtoms::check_whole()
{
  gather();
  tagint cut[2] = {0, 0};
  if (atom->num_bond) {
    for_own([&](int i, std::size_t at) {
      for (int bond = 0; bond < atom->num_bond[i]; bond++) {
        const int other = index(atom->bond_atom[i][bond]);
        if (other < 0) continue;
        double start[3], end[3], a[3], b[3];
        std::copy_n(&unwrapped[3 * at], 3, start);
        std::copy_n(&unwrapped[3 * static_cast<std::size_t>(other)], 3, end);
        domain->x2lamda(start, a);
        domain->x2lamda(end, b);
        for (int d = 0; d < 3; d++) {
          if (domain->boundary[d][0] == 0 && std::fabs(b[d] - a[d]) > 0.5) {
            cut[0] = atom->tag[i];
            cut[1] = atom->bond_atom[i][bond];
          }
        }
      }
    });
  }
  tagint found[2];
  MPI_Allreduce(cut, found, 2, MPI_LMP_TAGINT, MPI_MAX, world);
  if (found[0] > 0)
    error->all(FLERR,
               "Fix regflow: unwrapped by their image flags, bonded atoms (among them ID {} and {}) are more than half a box"
               " apart: the molecule is not whole. Read a data file with image flags, or use `reset_atoms image`",
               found[0], found[1]);
}
