/* Molecular dynamics with moves, or without (leave --model out). Prints torsions and the potential energy as the simulation goes.
 *
 *     ./simulate --system system.xml --topology topology.pdb --model model.safetensors --steps 100000 --torsions 4,6,8,14
 *
 * Other options, with their defaults: --particles (all) the model's atoms, --every 50 (steps between moves), --report 50 (steps
 * between lines), --temperature 300 (K), --timestep 1 (fs), --friction 1 (1/ps), --seed 1, --platform Reference, --placement keep.
 * simulate.py does the same in Python, and prints the same.
 */
#include "RegFlowForce.h"

#include <OpenMM.h>
#include <openmm/serialization/XmlSerializer.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using OpenMM::Vec3;
using RegFlowPlugin::RegFlowForce;

namespace {

using Options = std::map<std::string, std::string>;

Options parse(int argc, char** argv) {
    Options options{{"system", ""}, {"topology", ""}, {"model", ""}, {"particles", ""}, {"torsions", ""}, {"steps", "10000"},
                    {"every", "50"}, {"report", "50"}, {"temperature", "300"}, {"timestep", "1"}, {"friction", "1"},
                    {"seed", "1"}, {"platform", "Reference"}, {"placement", "keep"}};
    for (int i = 1; i < argc; i += 2) {
        const std::string name = std::strncmp(argv[i], "--", 2) == 0 ? argv[i] + 2 : "";
        if (!options.count(name) || i + 1 == argc)
            throw std::runtime_error(std::string("unknown option, or one without a value: ") + argv[i]);
        options[name] = argv[i + 1];
    }
    return options;
}

std::vector<int> numbers(const std::string& text) {
    std::vector<int> values;
    std::istringstream stream(text);
    for (std::string word; std::getline(stream, word, ',');)
        values.push_back(std::stoi(word));
    return values;
}

std::ifstream open(const std::string& path) {
    std::ifstream file(path);
    if (!file)
        throw std::runtime_error("cannot open " + path);
    return file;
}

/** Positions of a PDB file, in nm. */
std::vector<Vec3> positions(const std::string& path) {
    std::ifstream file = open(path);
    std::vector<Vec3> x;
    for (std::string line; std::getline(file, line);)
        if (line.compare(0, 4, "ATOM") == 0 || line.compare(0, 6, "HETATM") == 0)
            x.push_back(Vec3(std::stod(line.substr(30, 8)), std::stod(line.substr(38, 8)), std::stod(line.substr(46, 8))) * 0.1);
    return x;
}

/** Degrees, in the IUPAC convention. */
double torsion(const Vec3& a, const Vec3& b, const Vec3& c, const Vec3& d) {
    const Vec3 first = b - a, middle = c - b, last = d - c;
    const Vec3 n1 = first.cross(middle), n2 = middle.cross(last);
    const double y = n1.cross(n2).dot(middle) / std::sqrt(middle.dot(middle));
    return std::atan2(y, n1.dot(n2)) * 180.0 / M_PI;
}

void run(const Options& options) {
    auto text = [&](const char* name) { return options.at(name); };
    auto real = [&](const char* name) { return std::stod(options.at(name)); };
    auto integer = [&](const char* name) { return std::stoi(options.at(name)); };

    // Platforms but Reference. OpenMM's default folder is that of an installation under /usr/local; the Makefile knows ours.
    OpenMM::Platform::loadPluginsFromDirectory(OPENMM_PLUGINS);
    std::ifstream file = open(text("system"));
    std::unique_ptr<OpenMM::System> system(OpenMM::XmlSerializer::deserialize<OpenMM::System>(file));
    if (!text("model").empty()) {
        auto* force = new RegFlowForce(text("model"), real("temperature"), integer("every"));
        force->setParticles(numbers(text("particles")));
        force->setRandomNumberSeed(integer("seed"));
        if (text("placement") == "random")
            force->setPlacement(RegFlowForce::Placement::Random);
        system->addForce(force); // the System owns it now
    }
    OpenMM::LangevinMiddleIntegrator integrator(real("temperature"), real("friction"), 1e-3 * real("timestep"));
    integrator.setRandomNumberSeed(integer("seed"));
    OpenMM::Context context(*system, integrator, OpenMM::Platform::getPlatformByName(text("platform")));
    context.setPositions(positions(text("topology")));
    context.setVelocitiesToTemperature(real("temperature"), integer("seed"));

    const std::vector<int> torsions = numbers(text("torsions"));
    const int interval = integer("report"), reports = integer("steps") / interval;
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t processor = std::clock();
    for (int i = 0; i < reports; i++) {
        integrator.step(interval);
        const OpenMM::State state = context.getState(OpenMM::State::Positions | OpenMM::State::Energy);
        const std::vector<Vec3>& x = state.getPositions();
        for (size_t t = 0; t + 4 <= torsions.size(); t += 4)
            std::printf("%.6f ", torsion(x.at(torsions[t]), x.at(torsions[t + 1]), x.at(torsions[t + 2]), x.at(torsions[t + 3])));
        std::printf("%.6f\n", state.getPotentialEnergy());
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::fprintf(stderr, "%d steps, %.0f steps/s, %.3f s of processor time", interval * reports, interval * reports / seconds,
                 static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC);
    if (!text("model").empty())
        std::fprintf(stderr, ", attempts %.0f, accepted %.0f", context.getParameter("RegFlow.attempts"),
                     context.getParameter("RegFlow.accepted"));
    std::fprintf(stderr, "\n");
}

} // namespace

int main(int argc, char** argv) {
    try {
        run(parse(argc, argv));
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
