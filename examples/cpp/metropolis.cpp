// Metropolis moves of a water molecule beside an ion, with an energy that is a function of this program.
//
//     c++ -std=c++17 metropolis.cpp -lregflow -o metropolis
//     ./metropolis water.safetensors 2000
//
// The system is the molecule that ../c/train.c makes a model of, and an ion that the moves leave where it is. Walkers move in
// the whole form, where the library asks for energies in batches; the last move is made after a restart and in the split form,
// where the program computes the energy between proposal and decision, as an engine does.
#include <array>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

#include <regflow.hpp>

#include "../c/water.h"

namespace {

constexpr std::size_t walkers = 8;
constexpr std::size_t system_atoms = WATER_ATOMS + 1;
constexpr std::size_t width = 3 * system_atoms;

/// The ion comes first; it attracts the oxygen.
double system_energy(const double *positions) {
    double square = 0.0;
    for (int k = 0; k < 3; ++k) {
        square += (positions[3 + k] - positions[k]) * (positions[3 + k] - positions[k]);
    }
    return water_energy(positions + 3) - 1.0 / std::sqrt(square);
}

void energies(regflow::Span<const double> positions, regflow::Span<double> result) {
    for (std::size_t i = 0; i < result.size(); ++i) {
        result[i] = system_energy(&positions[i * width]);
        if (std::isnan(result[i])) {
            throw std::domain_error("an energy is not a number"); // arrives in main as it is
        }
    }
}

void simulate(const regflow::Model &model, std::size_t attempts) {
    regflow::MoveOptions options;
    options.n_walkers = walkers;
    options.seed = 3;
    options.n_system_atoms = system_atoms;
    options.atoms = {1, 2, 3};
    options.frame = {0, 1, 2}; // of the molecule: its oxygen stays, with the direction to the first hydrogen
    regflow::Move move(model, options);

    std::vector<double> positions(walkers * width);
    for (std::size_t w = 0; w < walkers; ++w) {
        positions[w * width] = -0.3;
        water_place(WATER_R0, WATER_R0, WATER_A0, &positions[w * width + 3]);
    }
    const regflow::Energy energy(system_atoms, energies, regflow::Threads::many);
    std::vector<double> last(walkers);
    std::vector<std::size_t> accepted(walkers);
    move.run(energy, attempts - 1, positions, last, accepted);

    // What a restart file keeps: positions and the state of the move.
    const std::vector<std::uint8_t> state = move.save();
    regflow::Move restarted(model, options);
    restarted.restore(state);

    std::vector<double> proposals(positions.size());
    std::array<double, walkers> log_ratios{};
    std::array<double, walkers> proposed{};
    std::array<std::int32_t, walkers> decisions{};
    restarted.propose(positions, proposals, log_ratios);
    for (std::size_t w = 0; w < walkers; ++w) {
        proposed[w] = system_energy(&proposals[w * width]);
    }
    restarted.decide(last, proposed, decisions);

    const regflow::MoveStatistics statistics = restarted.statistics();
    std::cout << "attempts " << statistics.attempts << "\naccepted " << statistics.accepted << "\nmean acceptance "
              << statistics.mean_acceptance << "\nbytes of state " << state.size() << '\n';
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        std::cerr << "usage: " << argv[0] << " MODEL ATTEMPTS\n";
        return EXIT_FAILURE;
    }
    try {
        simulate(regflow::Model::load(argv[1]), std::stoul(argv[2]));
        return EXIT_SUCCESS;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
