// Trains a model further on its own samples, weighted, in the units of LAMMPS: what a program does with frames in memory.
//
//     c++ -std=c++17 train.cpp -lregflow -o train
//     ./train ../data/water/topology.pdb water.safetensors again.safetensors
//
// The frames are samples of the model that ../c/train.c makes, chosen by weight. Ends the training after 200 steps.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include <regflow.hpp>

#include "../c/water.h"

namespace {

constexpr std::size_t width = 3 * WATER_ATOMS;

void energies(regflow::Span<const double> positions, regflow::Span<double> result) {
    for (std::size_t i = 0; i < result.size(); ++i) {
        result[i] = water_energy(&positions[i * width]);
    }
}

/// Samples with equal weights, in the units of the model.
std::vector<double> frames(regflow::Model &model, const regflow::Units &units, std::size_t n) {
    regflow::Energy energy(WATER_ATOMS, [&units](regflow::Span<const double> positions, regflow::Span<double> result) {
        std::vector<double> nm(positions.begin(), positions.end());
        for (double &x : nm) {
            x *= units.length;
        }
        energies(nm, result);
        for (double &u : result) {
            u /= units.energy;
        }
    });
    model.set_units(units);
    energy.set_units(units);
    const regflow::Samples samples = model.sample(n, 1);
    const auto log_weights = model.log_weights(energy.compute(samples.positions), samples.log_q);
    std::vector<double> result;
    for (const std::size_t i : regflow::resample(regflow::Resampling::multinomial, n, log_weights, 2)) {
        const auto frame = regflow::Span<const double>(samples.positions).subspan(i * width, width);
        result.insert(result.end(), frame.begin(), frame.end());
    }
    return result;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 4) {
        std::cerr << "usage: " << argv[0] << " TOPOLOGY MODEL MODEL_TO_WRITE\n";
        return EXIT_FAILURE;
    }
    try {
        const std::size_t n = 2000;
        auto model = regflow::Model::load(argv[2]);
        const auto units = regflow::Units::named("lammps-real");
        const auto positions = frames(model, units, n);

        std::size_t steps = 0;
        regflow::Training training;
        training.topology = regflow::Topology::file(argv[1]);
        training.config = R"({"temperature": 300, "architecture": "realnvp", "seed": 1,
                              "architecture_config": {"couplings": 4, "hidden": 32},
                              "stages": [{"objective": "likelihood", "steps": 1000, "batch": 128}]})";
        training.units = units;
        training.progress = [&steps](const char *) { return ++steps < 200; };
        const auto trained = regflow::train(training, n, positions);
        trained.save(argv[3]);
        std::cout << "steps " << steps << '\n' << trained.describe() << '\n';
        return EXIT_SUCCESS;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
