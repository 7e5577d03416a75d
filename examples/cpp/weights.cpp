// Weighs the samples of a model with an energy: averages over them are then averages over the Boltzmann distribution.
//
//     c++ -std=c++17 weights.cpp -lregflow -o weights
//     ./weights model.safetensors system.xml 10000
//
// Prints what the weights are worth, the mean energy, and how many different samples resampling chose.
#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <set>
#include <string>

#include <regflow.hpp>

namespace {

void weigh(const regflow::Model &model, const regflow::Energy &energy, std::size_t n) {
    const std::uint64_t seed = 2024;
    const regflow::Samples samples = model.sample(n, seed);
    const std::vector<double> energies = energy.compute(samples.positions);
    const std::vector<double> log_weights = model.log_weights(energies, samples.log_q);
    const regflow::Diagnostics found = regflow::diagnose(log_weights, seed);
    std::cout << "ESS/N " << found.ess << "\nk-hat " << found.k_hat << "\nlog Z " << found.log_z << " +- "
              << found.log_z_error << '\n';

    double weights = 0.0;
    double mean = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        // Less the logarithm of the mean weight, which keeps the exponential in range.
        const double weight = std::exp(log_weights[i] - found.log_z);
        weights += weight;
        mean += weight > 0.0 ? weight * energies[i] : 0.0;
    }
    const auto chosen = regflow::resample(regflow::Resampling::systematic, n, log_weights, seed);
    std::cout << "mean energy " << mean / weights << " kJ/mol\nchosen " << n << ", different ones "
              << std::set<std::size_t>(chosen.begin(), chosen.end()).size() << '\n';
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 4) {
        std::cerr << "usage: " << argv[0] << " MODEL ENERGY NUMBER_OF_SAMPLES\n";
        return EXIT_FAILURE;
    }
    try {
        regflow::set_log([](regflow::LogLevel, const char *message) { std::cerr << "regflow: " << message << '\n'; });
        weigh(regflow::Model::load(argv[1]), regflow::Energy::load(argv[2]), std::stoul(argv[3]));
        return EXIT_SUCCESS;
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
