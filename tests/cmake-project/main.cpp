#include <exception>
#include <iostream>
#include <regflow.hpp>

int main(int argc, char **argv) {
    try {
        const auto model = regflow::Model::load(argc == 2 ? argv[1] : "");
        std::cout << regflow::version() << ' ' << model.n_atoms() << '\n';
        return 0;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
