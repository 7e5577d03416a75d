#ifndef REGFLOW_OPENMM_REGFLOWHANDLES_H
#define REGFLOW_OPENMM_REGFLOWHANDLES_H

#include <openmm/OpenMMException.h>
#include <regflow.h>

#include <memory>
#include <string>

namespace RegFlowPlugin {

struct FreeModel {
    void operator()(regflow_model_t* model) const { regflow_model_free(model); }
};
struct FreeMove {
    void operator()(regflow_move_t* move) const { regflow_move_free(move); }
};
using ModelHandle = std::unique_ptr<regflow_model_t, FreeModel>;
using MoveHandle = std::unique_ptr<regflow_move_t, FreeMove>;

/** Everything that goes wrong becomes OpenMM's exception, and begins with the name of the Force. */
[[noreturn]] inline void fail(const std::string& message) {
    throw OpenMM::OpenMMException("RegFlowForce: " + message);
}

inline void check(regflow_status_t status) {
    if (status != REGFLOW_SUCCESS)
        fail(regflow_last_error());
}

} // namespace RegFlowPlugin

#endif
