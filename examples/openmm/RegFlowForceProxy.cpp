#include "RegFlowForceProxy.h"

#include "RegFlowForce.h"
#include "RegFlowHandles.h"

#include <openmm/serialization/SerializationNode.h>

#include <memory>
#include <typeinfo>
#include <utility>

using namespace OpenMM;

namespace RegFlowPlugin {

namespace {

struct Registration {
    Registration() { SerializationProxy::registerProxy(typeid(RegFlowForce), new RegFlowForceProxy()); }
} registration;

void writeList(SerializationNode& node, const char* name, const std::vector<int>& values) {
    SerializationNode& list = node.createChildNode(name);
    for (int value : values)
        list.createChildNode("Item").setIntProperty("value", value);
}

std::vector<int> readList(const SerializationNode& node, const char* name) {
    std::vector<int> values;
    for (const SerializationNode& item : node.getChildNode(name).getChildren())
        values.push_back(item.getIntProperty("value"));
    return values;
}

} // namespace

RegFlowForceProxy::RegFlowForceProxy() : SerializationProxy("RegFlowForce") {
}

void RegFlowForceProxy::serialize(const void* object, SerializationNode& node) const {
    const RegFlowForce& force = *static_cast<const RegFlowForce*>(object);
    node.setIntProperty("version", 1);
    node.setStringProperty("name", force.getName());
    node.setIntProperty("forceGroup", force.getForceGroup());
    node.setStringProperty("model", force.getModelFile());
    node.setDoubleProperty("temperature", force.getDefaultTemperature());
    node.setIntProperty("frequency", force.getFrequency());
    node.setStringProperty("placement", force.getPlacement() == RegFlowForce::Placement::Keep ? "keep" : "random");
    node.setIntProperty("randomSeed", force.getRandomNumberSeed());
    node.setIntProperty("batchSize", force.getBatchSize());
    node.setStringProperty("device", force.getDevice());
    writeList(node, "Particles", force.getParticles());
    writeList(node, "AtomicNumbers", force.getAtomicNumbers());
    writeList(node, "Frame", force.getFrame());
}

void* RegFlowForceProxy::deserialize(const SerializationNode& node) const {
    const int version = node.getIntProperty("version");
    if (version != 1)
        fail("this plug-in reads version 1 of its XML, found " + std::to_string(version));
    const std::string placement = node.getStringProperty("placement");
    if (placement != "keep" && placement != "random")
        fail("placement in XML: expected keep or random, found " + placement);
    auto force = std::make_unique<RegFlowForce>(node.getStringProperty("model"), node.getDoubleProperty("temperature"),
                                                node.getIntProperty("frequency"));
    force->setName(node.getStringProperty("name"));
    force->setForceGroup(node.getIntProperty("forceGroup"));
    force->setPlacement(placement == "keep" ? RegFlowForce::Placement::Keep : RegFlowForce::Placement::Random);
    force->setRandomNumberSeed(node.getIntProperty("randomSeed"));
    force->setBatchSize(node.getIntProperty("batchSize"));
    force->setDevice(node.getStringProperty("device"));
    force->setParticles(readList(node, "Particles"));
    force->setAtomicNumbers(readList(node, "AtomicNumbers"));
    force->setFrame(readList(node, "Frame"));
    return force.release();
}

} // namespace RegFlowPlugin
