// SPDX-License-Identifier: GPL-2.0-or-later

#include "full_energy.h"

#include "angle.h"
#include "atom.h"
#include "bond.h"
#include "comm.h"
#include "compute.h"
#include "dihedral.h"
#include "domain.h"
#include "error.h"
#include "fix.h"
#include "force.h"
#include "improper.h"
#include "kspace.h"
#include "modify.h"
#include "neighbor.h"
#include "pair.h"
#include "update.h"

#include <cstddef>
#include <cstring>

using namespace LAMMPS_NS;

namespace {
const int ENERGY_GLOBAL = 1;
const int NO_VIRIAL = 0;
}    // namespace

// As Verlet::run() does when neighbour lists are rebuilt.
void FullEnergy::rebuild()
{
  if (domain->triclinic) domain->x2lamda(atom->nlocal);
  domain->pbc();
  if (domain->box_change) {
    domain->reset_box();
    comm->setup();
    if (neighbor->style) neighbor->setup_bins();
  }
  comm->exchange();
  comm->borders();
  if (domain->triclinic) domain->lamda2x(atom->nlocal + atom->nghost);
  if (modify->n_pre_neighbor) modify->pre_neighbor();
  neighbor->build(1);
  if (modify->n_post_neighbor) modify->post_neighbor();
}

void FullEnergy::check_atoms()
{
  bigint own = atom->nlocal, all = 0;
  MPI_Allreduce(&own, &all, 1, MPI_LMP_BIGINT, MPI_SUM, world);
  if (all != atom->natoms)
    error->all(FLERR,
               "Fix regflow: a proposed configuration lost {} atoms between ranks: use periodic or fixed boundaries instead of"
               " shrink-wrapped ones, or a single rank",
               atom->natoms - all);
}

double FullEnergy::operator()()
{
  rebuild();
  check_atoms();
  const auto atoms = static_cast<std::size_t>(atom->nlocal + atom->nghost);
  if (atoms > 0) std::memset(&atom->f[0][0], 0, 3 * atoms * sizeof(double));

  if (modify->n_pre_force) modify->pre_force(NO_VIRIAL);
  // `pair_modify compute no` and `kspace_modify compute no` are of the dynamics, too.
  if (force->pair && force->pair->compute_flag)
    force->pair->compute(ENERGY_GLOBAL, NO_VIRIAL);
  else if (force->pair)
    force->pair->compute_dummy(ENERGY_GLOBAL, NO_VIRIAL);
  if (atom->molecular != Atom::ATOMIC) {
    if (force->bond) force->bond->compute(ENERGY_GLOBAL, NO_VIRIAL);
    if (force->angle) force->angle->compute(ENERGY_GLOBAL, NO_VIRIAL);
    if (force->dihedral) force->dihedral->compute(ENERGY_GLOBAL, NO_VIRIAL);
    if (force->improper) force->improper->compute(ENERGY_GLOBAL, NO_VIRIAL);
  }
  if (force->kspace && force->kspace->compute_flag) force->kspace->compute(ENERGY_GLOBAL, NO_VIRIAL);
  if (modify->n_pre_reverse) modify->pre_reverse(ENERGY_GLOBAL, NO_VIRIAL);
  // Only of those fixes whose energy counts (`fix_modify energy yes`): others draw random numbers or keep a history.
  for (Fix *fix : modify->get_fix_list())
    if (fix->energy_global_flag && fix->thermo_energy) fix->post_force(NO_VIRIAL);

  // The step's own output must not take this value for that of the step's end.
  Compute *potential = modify->get_compute_by_id("thermo_pe");
  const bigint tallied = update->eflag_global;
  update->eflag_global = update->ntimestep;
  const double energy = potential->compute_scalar();
  update->eflag_global = tallied;
  potential->invoked_flag = 0;
  potential->invoked_scalar = -1;
  return energy;
}
