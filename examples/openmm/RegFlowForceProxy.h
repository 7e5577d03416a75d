#ifndef REGFLOW_OPENMM_REGFLOWFORCEPROXY_H
#define REGFLOW_OPENMM_REGFLOWFORCEPROXY_H

#include <openmm/serialization/SerializationProxy.h>

namespace RegFlowPlugin {

/** Writes a RegFlowForce to XML and reads it back. Registered when this library is loaded. */
class RegFlowForceProxy : public OpenMM::SerializationProxy {
public:
    RegFlowForceProxy();
    void serialize(const void* object, OpenMM::SerializationNode& node) const override;
    void* deserialize(const OpenMM::SerializationNode& node) const override;
};

} // namespace RegFlowPlugin

#endif
