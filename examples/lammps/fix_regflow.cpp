// SPDX-License-Identifier: GPL-2.0-or-later

#include "fix_regflow.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "elements.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "lammps.h"
#include "modify.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace LAMMPS_NS;
using namespace FixConst;
using regflow_lammps::failure;

namespace {
// Attempts without an acceptance after which the user is told.
constexpr bigint PATIENCE = 200;

// Bytes of a text mixed into 64 bits (FNV-1a), the same on every machine.
std::uint64_t hash(const std::string &text)
{
  std::uint64_t mixed = 0xcbf29ce484222325;
  for (const char byte : text) mixed = (mixed ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return mixed;
}
}    // namespace

FixRegflow::FixRegflow(LAMMPS *lmp, int narg, char **arg) :
    Fix(lmp, narg, arg), moved(lmp, groupbit), energy(lmp)
{
  restart_global = 1;
  force_reneighbor = 1;
  pre_exchange_migrate = 1;
  restart_pbc = 1;
  scalar_flag = vector_flag = 1;
  size_vector = 2;
  extscalar = extvector = 0;
  global_freq = 1;

  if (!atom->tag_enable) error->all(FLERR, "Fix regflow needs atom IDs: remove `atom_modify id no`");
  if (lmp->kokkos) error->all(FLERR, "Fix regflow does not run with the KOKKOS package: start LAMMPS without `-k on`");
  if (domain->dimension == 2) error->all(FLERR, "Fix regflow needs a three-dimensional system");
  if (group->dynamic[igroup])
    error->all(FLERR, "Fix regflow: group {} is dynamic; the model needs one whose atoms stay", group->names[igroup]);
  parse(narg, arg);
  // Fixes that were given the same seed must not draw the same numbers: moves of several molecules are to be independent.
  seed ^= hash(id);
  // The model lives on rank 0 and is given back once the moves have what they need of it.
  agree(comm->me == 0 ? load() : std::string());
  MPI_Bcast(&n_atoms, 1, MPI_INT, 0, world);
  atomic_numbers.resize(n_atoms);
  MPI_Bcast(atomic_numbers.data(), n_atoms, MPI_UINT32_T, 0, world);
  choose_order();
  agree(comm->me == 0 ? start_moves(model.get()) : std::string());
  model.reset();
  proposal.resize(3 * static_cast<std::size_t>(n_atoms) + 1);
  next_reneighbor = (update->ntimestep / nevery + 1) * nevery;
  if (comm->me == 0)
    utils::logmesg(lmp, "Fix regflow: a model of {} atoms at temperature {:.6g}, moves at temperature {:.6g} every {} steps\n",
                   n_atoms, model_temperature, temperature, nevery);
}

void FixRegflow::parse(int narg, char **arg)
{
  const char *usage = "Fix regflow: expected `fix ID group regflow MODEL every N temperature T seed S [keyword value ...]`";
  if (narg < 4) error->all(FLERR, usage);
  path = arg[3];
  nevery = 0;
  bool seeded = false;
  for (int at = 4; at < narg;) {
    seeded = seeded || std::strcmp(arg[at], "seed") == 0;
    parse_keyword(narg, arg, at);
  }
  if (nevery <= 0) error->all(FLERR, "{}: `every` is missing, a number of steps above 0", usage);
  if (!(temperature > 0.0)) error->all(FLERR, "{}: `temperature` is missing, a number above 0", usage);
  if (!seeded) error->all(FLERR, "{}: `seed` is missing", usage);
  if (utils::strmatch(update->unit_style, "^lj$") != (sigma > 0.0))
    error->all(FLERR, "Fix regflow: `lj SIGMA EPSILON` (nm, kJ/mol) says what units lj are; it is needed there and nowhere else");
}

// Reads one keyword with its values and moves `at` behind them.
void FixRegflow::parse_keyword(int narg, char **arg, int &at)
{
  const std::string keyword = arg[at++];
  const auto values = [&](int count) {
    if (at + count > narg)
      error->all(FLERR, "Fix regflow: {} wants {} value{}, found {}", keyword, count, count == 1 ? "" : "s", narg - at);
    at += count;
    return arg + at - count;
  };
  const auto id = [&](char *text) { return utils::tnumeric(FLERR, text, false, lmp); };
  if (keyword == "every") {
    nevery = utils::inumeric(FLERR, *values(1), false, lmp);
  } else if (keyword == "temperature") {
    temperature = utils::numeric(FLERR, *values(1), false, lmp);
  } else if (keyword == "seed") {
    const bigint given = utils::bnumeric(FLERR, *values(1), false, lmp);
    if (given < 0) error->all(FLERR, "Fix regflow: seed is {}, expected 0 or more", given);
    seed = static_cast<std::uint64_t>(given);
  } else if (keyword == "batch") {
    const int given = utils::inumeric(FLERR, *values(1), false, lmp);
    if (given <= 0) error->all(FLERR, "Fix regflow: batch is {}, expected 1 or more", given);
    batch = static_cast<std::size_t>(given);
  } else if (keyword == "threads") {
    threads = utils::inumeric(FLERR, *values(1), false, lmp);
    if (threads <= 0) error->all(FLERR, "Fix regflow: threads is {}, expected 1 or more", threads);
  } else if (keyword == "device") {
    device = *values(1);
  } else if (keyword == "elements") {
    elements = utils::logical(FLERR, *values(1), false, lmp) != 0;
  } else if (keyword == "placement") {
    const std::string given = *values(1);
    if (given != "keep" && given != "random")
      error->all(FLERR, "Fix regflow: placement is {}, expected keep or random", given);
    random_placement = given == "random";
  } else if (keyword == "frame") {
    char **given = values(3);
    frame = {id(given[0]), id(given[1]), id(given[2])};
  } else if (keyword == "atoms") {
    const auto count = static_cast<int>(group->count(igroup));
    char **given = values(count);
    for (int i = 0; i < count; i++) atoms.push_back(id(given[i]));
  } else if (keyword == "lj") {
    char **given = values(2);
    sigma = utils::numeric(FLERR, given[0], false, lmp);
    epsilon = utils::numeric(FLERR, given[1], false, lmp);
    if (!(sigma > 0.0 && epsilon > 0.0))
      error->all(FLERR, "Fix regflow: lj is {} {}, expected SIGMA (nm) and EPSILON (kJ/mol) above 0", given[0], given[1]);
  } else {
    error->all(FLERR,
               "Fix regflow: there is no keyword {}; there are every, temperature, seed, atoms, batch, threads, device, elements, frame,"
               " lj, placement",
               keyword);
  }
}

// Lets all ranks end with the reason that rank 0 has, if it has one.
void FixRegflow::agree(const std::string &reason)
{
  int length = static_cast<int>(reason.size());
  MPI_Bcast(&length, 1, MPI_INT, 0, world);
  if (length == 0) return;
  std::vector<char> text(reason.begin(), reason.end());
  text.resize(length);
  MPI_Bcast(text.data(), length, MPI_CHAR, 0, world);
  error->all(FLERR, "Fix regflow: {}", std::string(text.begin(), text.end()));
}

std::string FixRegflow::load()
{
  std::string reason = open_model();
  return reason.empty() ? set_units(model.get()) : reason;
}

std::string FixRegflow::open_model()
{
  // Beside other ranks, which wait meanwhile on processors of their own, no more than LAMMPS itself would take here.
  if (threads == 0 && comm->nprocs > 1) threads = comm->nthreads;
  if (threads > 0) {
    const std::string refused = failure(regflow_set_threads(static_cast<std::size_t>(threads)));
    if (!refused.empty()) return refused;
  }
  regflow_load_options_t options = {};
  options.struct_size = sizeof options;
  options.device = device.c_str();
  regflow_model_t *opened = nullptr;
  std::string reason = failure(regflow_model_load(path.c_str(), &options, &opened));
  model.reset(opened);
  std::size_t n = 0;
  if (reason.empty()) reason = failure(regflow_model_n_atoms(opened, &n));
  n_atoms = static_cast<int>(n);
  atomic_numbers.resize(n);
  if (reason.empty()) reason = failure(regflow_model_atomic_numbers(opened, atomic_numbers.data(), n));
  return reason;
}

std::string FixRegflow::set_units(regflow_model_t *opened)
{
  const std::string style = update->unit_style;
  regflow_units_t units;
  units.struct_size = sizeof units;
  std::string reason;
  if (style == "lj") {
    const double gas_constant = 8.31446261815324e-3;    // kJ/(mol K)
    units.length = sigma;
    units.energy = epsilon;
    units.temperature = epsilon / gas_constant;
  } else if (style == "real" || style == "metal") {
    reason = failure(regflow_units_named(("lammps-" + style).c_str(), &units));
  } else {
    reason = "units " + style + " are not supported, use real, metal or lj";
  }
  if (reason.empty()) reason = failure(regflow_model_set_units(opened, &units));
  if (reason.empty()) reason = failure(regflow_model_temperature(opened, &model_temperature));
  return reason;
}

void FixRegflow::choose_order()
{
  const std::vector<tagint> members = moved.group_ids();
  if (members.size() != static_cast<std::size_t>(n_atoms))
    error->all(FLERR,
               "Fix regflow: group {} has {} atoms, the model {} {}: give the fix a group with the atoms of one such molecule",
               group->names[igroup], members.size(), path, n_atoms);
  if (atoms.empty()) atoms = members;
  std::vector<tagint> named = atoms;
  std::sort(named.begin(), named.end());
  const auto mismatch = std::mismatch(named.begin(), named.end(), members.begin());
  if (mismatch.first != named.end())
    error->all(FLERR, "Fix regflow: `atoms` must name each atom of group {} once, in the model's order; ID {} is wrong or missing",
               group->names[igroup], std::min(*mismatch.first, *mismatch.second));
  moved.set_order(atoms);
}

std::string FixRegflow::start_moves(const regflow_model_t *opened)
{
  std::vector<std::size_t> axes;
  for (const tagint id : frame) {
    const int at = moved.index(id);
    if (at < 0) return "frame names atom ID " + std::to_string(id) + ", which is not in the group";
    axes.push_back(static_cast<std::size_t>(at));
  }
  regflow_move_options_t options = {};
  options.struct_size = sizeof options;
  options.n_walkers = 1;
  options.temperature = temperature;
  options.seed = seed;
  options.batch = batch;
  options.frame = axes.empty() ? nullptr : axes.data();
  options.frame_length = axes.size();
  options.placement = random_placement ? REGFLOW_PLACEMENT_RANDOM : REGFLOW_PLACEMENT_KEEP;
  regflow_move_t *started = nullptr;
  std::string reason = failure(regflow_move_new(opened, &options, &started));
  move.reset(started);
  return reason;
}

int FixRegflow::setmask()
{
  return PRE_EXCHANGE | END_OF_STEP;
}

void FixRegflow::init()
{
  if (utils::strmatch(update->integrate_style, "^respa"))
    error->all(FLERR, "Fix regflow works with run_style verlet, not {}", update->integrate_style);
  if (modify->get_fix_by_id("package_gpu"))
    error->all(FLERR,
               "Fix regflow does not run with the GPU package, which leaves energies and forces for a later part of the step: start"
               " LAMMPS without `-sf gpu` and `package gpu`");
  moved.gather();
  check_constraints();
  check_biases();
  find_thermostats();
  if (elements) check_elements();
  next_reneighbor = (update->ntimestep / nevery + 1) * nevery;
}

void FixRegflow::setup(int)
{
  moved.check_whole();
}

// A flow draws all bond lengths: atoms that are held together otherwise would be torn apart.
void FixRegflow::check_constraints()
{
  for (Fix *other : modify->get_fix_list()) {
    const std::string other_style = other->style;
    const auto begins = [&](const char *name) { return other_style.rfind(name, 0) == 0; };
    if (!begins("shake") && !begins("rattle") && !begins("rigid") && !begins("poems")) continue;
    int own = 0, all = 0;
    for (int i = 0; i < atom->nlocal; i++)
      if ((atom->mask[i] & groupbit) && (atom->mask[i] & other->groupbit)) own = 1;
    MPI_Allreduce(&own, &all, 1, MPI_INT, MPI_MAX, world);
    if (all)
      error->all(FLERR,
                 "Fix regflow: fix {} ({}) constrains atoms of group {}, whose bonds the model draws: take them out of its group",
                 other->id, other->style, group->names[igroup]);
  }
}

// The potential that moves are decided by must be the one that the dynamics has, and a function of the positions.
void FixRegflow::check_biases()
{
  for (Fix *other : modify->get_fix_list()) {
    const std::string other_style = other->style;
    if (other_style == "plumed" || other_style == "colvars")
      error->all(FLERR,
                 "Fix regflow: fix {} ({}) may add a bias that depends on the history of the run, for which moves would not be"
                 " exact: remove one of the two. Biases of `fix restrain` and `fix spring` are possible",
                 other->id, other->style);
    // Its energy is that of constraints while it minimizes.
    const bool constraint = other_style.rfind("shake", 0) == 0 || other_style.rfind("rattle", 0) == 0;
    if (other->energy_global_flag && !other->thermo_energy && !constraint && comm->me == 0)
      error->warning(FLERR,
                     "Fix regflow: the potential of fix {} ({}) acts in the dynamics, but moves leave it out: `fix_modify {} energy"
                     " yes` counts it",
                     other->id, other->style, other->id);
  }
}

// Every thermostat of LAMMPS tells the temperature that it is at by this name.
static const double *target_temperature(Fix *thermostat)
{
  int dimensions = -1;
  const auto *target = static_cast<const double *>(thermostat->extract("t_target", dimensions));
  return dimensions == 0 ? target : nullptr;
}

void FixRegflow::find_thermostats()
{
  thermostats.clear();
  for (Fix *other : modify->get_fix_list()) {
    if (!target_temperature(other)) continue;
    int own = 0, all = 0;
    for (int i = 0; i < atom->nlocal; i++)
      if ((atom->mask[i] & groupbit) && (atom->mask[i] & other->groupbit)) own = 1;
    MPI_Allreduce(&own, &all, 1, MPI_INT, MPI_MAX, world);
    if (all) thermostats.push_back(other);
  }
}

// Where moves and dynamics have two temperatures, neither one's distribution is sampled. A thermostat knows its temperature only
// while it runs, and a ramp changes it.
void FixRegflow::check_thermostats() const
{
  for (Fix *other : thermostats) {
    const double *target = target_temperature(other);
    // 0: one that differs from atom to atom.
    if (!target || *target == 0.0 || std::fabs(*target - temperature) <= 1e-6 * temperature) continue;
    error->all(FLERR,
               "Fix regflow: the moves are made at temperature {:.6g}, but fix {} ({}) keeps atoms of group {} at {:.6g}: give both the"
               " same",
               temperature, other->id, other->style, group->names[igroup], *target);
  }
}

void FixRegflow::check_elements()
{
  if (utils::strmatch(update->unit_style, "^lj$")) return;    // masses are in units of a mass that nobody names
  const double tolerance = 0.05;                              // g/mol: how far apart force fields are
  int wrong = n_atoms;
  for (int i = 0; i < atom->nlocal; i++) {
    const int at = atom->mask[i] & groupbit ? moved.index(atom->tag[i]) : -1;
    if (at < 0) continue;
    const auto *expected = regflow_lammps::element(atomic_numbers[at]);
    const double mass = atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]];
    if (expected && std::fabs(mass - expected->weight) > tolerance) wrong = std::min(wrong, at);
  }
  int first = 0;
  MPI_Allreduce(&wrong, &first, 1, MPI_INT, MPI_MIN, world);
  if (first == n_atoms) return;
  // The rank that holds the atom knows its mass.
  double own[2] = {0.0, 0.0}, found[2];
  for (int i = 0; i < atom->nlocal; i++) {
    if (atom->tag[i] != atoms[first]) continue;
    own[0] = atom->type[i];
    own[1] = atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]];
  }
  MPI_Allreduce(own, found, 2, MPI_DOUBLE, MPI_SUM, world);
  const auto *expected = regflow_lammps::element(atomic_numbers[first]);
  error->all(FLERR,
             "Fix regflow: atom ID {} (type {}) has mass {:.6g}, but atom {} of the model is {} ({:.6g}): the model is of another"
             " molecule, or of another order of atoms (give it with `atoms`). For united atoms or repartitioned masses: `elements"
             " no`",
             atoms[first], static_cast<int>(found[0]), found[1], first + 1, expected->symbol, expected->weight);
}

// Rank 0's part of an attempt: the next configuration and its log ratio.
std::string FixRegflow::propose()
{
  const std::vector<double> &current = moved.positions();
  return failure(regflow_move_propose(move.get(), current.data(), current.size(), proposal.data(), proposal.size() - 1,
                                      &proposal.back(), 1));
}

bool FixRegflow::decide(double before, double after)
{
  std::int32_t yes = 0;
  std::string reason;
  if (comm->me == 0) reason = failure(regflow_move_decide(move.get(), &before, 1, &after, 1, &yes, 1));
  agree(reason);
  MPI_Bcast(&yes, 1, MPI_INT32_T, 0, world);
  return yes != 0;
}

void FixRegflow::pre_exchange()
{
  if (update->ntimestep != next_reneighbor) return;
  next_reneighbor += nevery;
  check_thermostats();

  moved.gather();
  agree(comm->me == 0 ? propose() : std::string());
  MPI_Bcast(proposal.data(), static_cast<int>(proposal.size()), MPI_DOUBLE, 0, world);
  const double log_ratio = proposal.back();
  const std::vector<double> positions(proposal.begin(), proposal.end() - 1);
  const auto finite = [](double x) { return std::isfinite(x); };
  const bool possible = std::isfinite(log_ratio) && std::all_of(positions.begin(), positions.end(), finite) && moved.inside(positions);

  double before = 0.0, after = std::numeric_limits<double>::infinity();
  if (possible) {
    before = energy();
    moved.place(positions);
    after = energy();
  }
  const bool yes = decide(before, after);
  if (possible && !yes) moved.restore(positions);
  attempts++;
  accepted += yes;
  redraw = yes;
  if (attempts == PATIENCE && accepted == 0 && comm->me == 0)
    error->warning(FLERR,
                   "Fix regflow: none of {} moves of group {} was accepted. Is the model one of this potential and temperature? Among"
                   " explicit solvent moves are practically never accepted, since proposals meet the solvent where it is",
                   attempts, group->names[igroup]);
}

// Velocities of the moved atoms belong to another place: they are drawn anew, here where they are those of a whole step. Every
// rank draws those of all atoms, so that they are the same for any number of ranks, from numbers that the attempt counts, so
// that they are the same after a restart.
void FixRegflow::end_of_step()
{
  if (!redraw) return;
  redraw = false;
  const auto count = static_cast<std::uint64_t>(attempts);
  std::seed_seq source{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                       static_cast<std::uint32_t>(count), static_cast<std::uint32_t>(count >> 32)};
  std::mt19937_64 random(source);
  std::normal_distribution<double> normal;
  std::vector<double> drawn(3 * static_cast<std::size_t>(n_atoms));
  for (double &value : drawn) value = normal(random);
  for (int i = 0; i < atom->nlocal; i++) {
    const int at = atom->mask[i] & groupbit ? moved.index(atom->tag[i]) : -1;
    if (at < 0) continue;
    const double mass = atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]];
    const double scale = std::sqrt(force->boltz * temperature / (mass * force->mvv2e));
    for (int d = 0; d < 3; d++) atom->v[i][d] = scale * drawn[3 * static_cast<std::size_t>(at) + d];
  }
}

double FixRegflow::compute_scalar()
{
  return attempts > 0 ? static_cast<double>(accepted) / static_cast<double>(attempts) : 0.0;
}

double FixRegflow::compute_vector(int i)
{
  return static_cast<double>(i == 0 ? attempts : accepted);
}

// Two counters, then the state of the moves as the library writes it.
void FixRegflow::write_restart(FILE *file)
{
  if (comm->me != 0) return;
  std::size_t length = 0;
  std::string reason = failure(regflow_move_save(move.get(), nullptr, 0, &length));
  std::vector<std::uint8_t> state(length);
  if (reason.empty()) reason = failure(regflow_move_save(move.get(), state.data(), length, &length));
  if (!reason.empty()) error->one(FLERR, "Fix regflow: {}", reason);
  const bigint counters[2] = {attempts, accepted};
  const int size = static_cast<int>(sizeof counters + sizeof length + length);
  fwrite(&size, sizeof size, 1, file);
  fwrite(counters, sizeof counters, 1, file);
  fwrite(&length, sizeof length, 1, file);
  fwrite(state.data(), 1, length, file);
}

void FixRegflow::restart(char *buffer)
{
  bigint counters[2];
  std::size_t length = 0;
  std::memcpy(counters, buffer, sizeof counters);
  std::memcpy(&length, buffer + sizeof counters, sizeof length);
  attempts = counters[0];
  accepted = counters[1];
  const auto *state = reinterpret_cast<const std::uint8_t *>(buffer + sizeof counters + sizeof length);
  agree(comm->me == 0 ? failure(regflow_move_restore(move.get(), state, length)) : std::string());
}
