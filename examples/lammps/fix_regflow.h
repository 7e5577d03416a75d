// SPDX-License-Identifier: GPL-2.0-or-later
// fix ID group regflow MODEL every N temperature T seed S ...: non-local Monte Carlo moves of a Boltzmann generator between
// steps of molecular dynamics. README.md has the syntax.

#ifndef REGFLOW_LAMMPS_FIX_REGFLOW_H
#define REGFLOW_LAMMPS_FIX_REGFLOW_H

#include "fix.h"
#include "full_energy.h"
#include "handles.h"
#include "moved_atoms.h"

#include <cstdint>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class FixRegflow : public Fix {
 public:
  FixRegflow(class LAMMPS *, int, char **);
  int setmask() override;
  void init() override;
  void setup(int) override;
  void pre_exchange() override;
  void end_of_step() override;
  double compute_scalar() override;
  double compute_vector(int) override;
  void write_restart(FILE *) override;
  void restart(char *) override;

 private:
  void parse(int, char **);
  void parse_keyword(int, char **, int &);
  std::string load();
  std::string open_model();
  std::string start_moves(const regflow_model_t *);
  std::string set_units(regflow_model_t *);
  void choose_order();
  void check_elements();
  void check_constraints();
  void check_biases();
  void find_thermostats();
  void check_thermostats() const;
  std::string propose();
  bool decide(double, double);
  void agree(const std::string &);

  // As given in the input.
  std::string path, device = "cpu";
  double temperature = 0.0;
  std::uint64_t seed = 0;    // as given, then mixed with the ID of the fix
  std::size_t batch = 0;
  int threads = 0;
  bool random_placement = false, elements = true;
  double sigma = 0.0, epsilon = 0.0;    // nm, kJ/mol: units lj
  std::vector<tagint> atoms, frame;

  // The network runs on rank 0, which tells the others.
  regflow_lammps::Model model;
  regflow_lammps::Move move;
  int n_atoms = 0;
  double model_temperature = 0.0;
  std::vector<std::uint32_t> atomic_numbers;

  MovedAtoms moved;
  FullEnergy energy;
  std::vector<double> proposal;    // [n_atoms][3], unwrapped, and the log ratio
  bool redraw = false;             // velocities, at the end of this step
  std::vector<Fix *> thermostats;    // of moved atoms, in this run
  bigint attempts = 0, accepted = 0;
};

}    // namespace LAMMPS_NS

#endif
