// SPDX-License-Identifier: GPL-2.0-or-later
// Owners of RegFlow's handles, so that an error that LAMMPS throws frees them.

#ifndef REGFLOW_LAMMPS_HANDLES_H
#define REGFLOW_LAMMPS_HANDLES_H

#include <regflow.h>

#include <memory>
#include <string>

namespace regflow_lammps {

struct Free {
  void operator()(regflow_model_t *model) const { regflow_model_free(model); }
  void operator()(regflow_move_t *move) const { regflow_move_free(move); }
};

using Model = std::unique_ptr<regflow_model_t, Free>;
using Move = std::unique_ptr<regflow_move_t, Free>;

/// Why a call failed; empty if it did not.
inline std::string failure(regflow_status_t status)
{
  return status == REGFLOW_SUCCESS ? std::string() : std::string(regflow_last_error());
}

}    // namespace regflow_lammps

#endif
