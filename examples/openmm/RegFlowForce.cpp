#include "RegFlowForce.h"

#include "RegFlowForceImpl.h"

namespace RegFlowPlugin {

RegFlowForce::RegFlowForce(const std::string& modelFile, double temperature, int frequency)
    : modelFile(modelFile), temperature(temperature), frequency(frequency) {
    setName("RegFlow");
}

const std::string& RegFlowForce::Temperature() {
    static const std::string name = "RegFlowTemperature";
    return name;
}

OpenMM::ForceImpl* RegFlowForce::createImpl() const {
    return new RegFlowForceImpl(*this);
}

} // namespace RegFlowPlugin
