#ifndef REGFLOW_OPENMM_REGFLOWFORCE_H
#define REGFLOW_OPENMM_REGFLOWFORCE_H

#include <openmm/Force.h>

#include <string>
#include <vector>

namespace RegFlowPlugin {

/**
 * Monte Carlo moves of one molecule, proposed by a RegFlow model, in the course of a simulation.
 *
 * Every `frequency` steps a new shape of the molecule is drawn from the model and accepted with the Metropolis-Hastings
 * probability, from the energies of the whole System before and after and the model's density of both shapes. After an
 * acceptance the velocities of the moved particles are redrawn; nothing else changes. The distribution that is sampled is the
 * same as without this Force, whatever the model; a better model crosses barriers more often.
 *
 * This Force adds no energy. Its state is in parameters of the Context, so that checkpoints and States keep it:
 *   RegFlowTemperature  temperature of the moves in K, for all RegFlowForces of a System
 *   NAME.attempts       moves so far (NAME is getName())
 *   NAME.accepted       those that were accepted
 *   NAME.seed           seed of the random numbers
 *
 * Creating a Context fails, with the reason, if the model cannot be loaded or does not fit the particles, if a moved particle
 * is a virtual site or has no mass, or if a constraint on a moved particle is not one of a bond whose one end has no other
 * (hydrogens are handled exactly, rings and rigid water are refused).
 */
class RegFlowForce : public OpenMM::Force {
public:
    /** What becomes of the molecule's orientation. */
    enum class Placement {
        /** It stays: three atoms keep their frame (origin, axis, plane). For every System. */
        Keep,
        /** It is drawn anew. Seldom accepted where the energy changes when the molecule turns. */
        Random
    };

    /**
     * @param modelFile    file that `bg-sample train` or `regflow_model_save` wrote
     * @param temperature  of the simulation in K: default of the parameter RegFlowTemperature
     * @param frequency    steps from one move to the next, at least 1
     */
    RegFlowForce(const std::string& modelFile, double temperature, int frequency = 50);

    /** Name of the Context parameter that is the temperature of the moves in K. */
    static const std::string& Temperature();
    /** Name of the Context parameter that counts the moves. */
    std::string getAttemptsParameter() const { return getName() + ".attempts"; }
    /** Name of the Context parameter that counts the accepted moves. */
    std::string getAcceptedParameter() const { return getName() + ".accepted"; }
    /** Name of the Context parameter that is the seed. */
    std::string getSeedParameter() const { return getName() + ".seed"; }

    const std::string& getModelFile() const { return modelFile; }
    void setModelFile(const std::string& file) { modelFile = file; }

    /** K. */
    double getDefaultTemperature() const { return temperature; }
    void setDefaultTemperature(double kelvin) { temperature = kelvin; }

    int getFrequency() const { return frequency; }
    void setFrequency(int steps) { frequency = steps; }

    /** The particles that are the model's atoms, in the model's order. Empty: the System has no others. */
    const std::vector<int>& getParticles() const { return particles; }
    void setParticles(const std::vector<int>& indices) { particles = indices; }

    /** Atomic numbers of those particles, compared with the model's. Empty: only what masses tell is compared. */
    const std::vector<int>& getAtomicNumbers() const { return atomicNumbers; }
    void setAtomicNumbers(const std::vector<int>& numbers) { atomicNumbers = numbers; }

    /** Three of the model's atoms (counted in the model) whose frame Placement means. Empty: those of its coordinates. */
    const std::vector<int>& getFrame() const { return frame; }
    void setFrame(const std::vector<int>& atoms) { frame = atoms; }

    Placement getPlacement() const { return placement; }
    void setPlacement(Placement value) { placement = value; }

    /** Seed of the random numbers; 0: a new one for every Context. */
    int getRandomNumberSeed() const { return seed; }
    void setRandomNumberSeed(int value) { seed = value; }

    /** Proposals that the model draws at a time. */
    int getBatchSize() const { return batchSize; }
    void setBatchSize(int n) { batchSize = n; }

    /** Where the model computes: "cpu", or "cuda:0" for the first GPU. */
    const std::string& getDevice() const { return device; }
    void setDevice(const std::string& name) { device = name; }

    bool usesPeriodicBoundaryConditions() const override { return false; }

protected:
    OpenMM::ForceImpl* createImpl() const override;

private:
    std::string modelFile;
    double temperature;
    int frequency;
    std::vector<int> particles, atomicNumbers, frame;
    Placement placement = Placement::Keep;
    int seed = 0;
    int batchSize = 256;
    std::string device = "cpu";
};

} // namespace RegFlowPlugin

#endif
