// regflow.hpp: owners, views, and exceptions that go through callbacks. Units, order and energies are checked in C.
//
// usage: wrapper MODEL TOPOLOGY, of the same molecule
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <regflow.hpp>

namespace {

int checks = 0;
int failures = 0;

void check(int line, bool condition, const char *text) {
    ++checks;
    if (!condition) {
        ++failures;
        std::cerr << "line " << line << ": not so: " << text << '\n';
    }
}

#define CHECK(condition) check(__LINE__, (condition), #condition)

/// What a callback throws that is no std::exception; no other object is the same.
struct Unusual {
    const int *identity;
};

/// The status of the `regflow::Error` that a call throws, or -1.
template <typename Call>
regflow_status_t status_of(Call &&call, const std::string &part = "") {
    try {
        call();
    } catch (const regflow::Error &error) {
        CHECK(std::string(error.what()).find(part) != std::string::npos);
        return error.status();
    }
    return -1;
}

template <typename T>
constexpr bool is_owner = !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> &&
                          std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>;
static_assert(is_owner<regflow::Model> && is_owner<regflow::Energy> && is_owner<regflow::Move>);

using Numbers = std::vector<double>;
using View = regflow::Span<double>;
using ConstView = regflow::Span<const double>;
static_assert(std::is_convertible_v<Numbers &, View> && std::is_convertible_v<const Numbers &, ConstView>);
static_assert(std::is_convertible_v<Numbers, ConstView> && !std::is_convertible_v<Numbers, View>);
static_assert(std::is_convertible_v<View, ConstView> && !std::is_convertible_v<ConstView, View>);
static_assert(std::is_convertible_v<std::array<double, 3> &, View> && std::is_convertible_v<double (&)[3], View>);
static_assert(!std::is_convertible_v<const Numbers &, View> && !std::is_convertible_v<std::vector<float> &, ConstView>);

void views() {
    Numbers numbers{1.0, 2.0, 3.0};
    const View view = numbers;
    view[1] = 5.0;
    CHECK(numbers[1] == 5.0 && view.size() == 3 && !view.empty() && View().empty());
    CHECK(view.subspan(1, 2).size() == 2 && *view.subspan(1, 2).begin() == 5.0);
    double sum = 0.0;
    for (const double x : ConstView(view)) {
        sum += x;
    }
    CHECK(sum == 9.0);
}

void library() {
    CHECK(regflow::api_version() >= REGFLOW_API_VERSION);
    CHECK(regflow::version().find('.') != std::string::npos);
    CHECK(regflow::devices().find("\"cpu\"") != std::string::npos);
    CHECK(regflow::plugins().find("\"nsf\"") != std::string::npos);
    CHECK(regflow::plugins().find('\0') == std::string::npos);
    CHECK(status_of([] { regflow::load_plugin("/nowhere/libmine.so"); }, "/nowhere/libmine.so") == REGFLOW_ERROR_PLUGIN);
    CHECK(status_of([] { regflow::Units::named("furlong"); }, "furlong") == REGFLOW_ERROR_ARGUMENT);
    CHECK(regflow::Units::named("lammps-real").energy == 4.184);
    // kT is one epsilon at a reduced temperature of one.
    const auto lj = regflow::Units::reduced(0.34, 0.998);
    CHECK(std::abs(lj.temperature * 8.31446261815324e-3 - lj.energy) < 1e-12);
    CHECK(status_of([] { regflow::Model::load("/nowhere/m.safetensors"); }, "/nowhere") == REGFLOW_ERROR_IO);
    CHECK(status_of([] { regflow::Energy::load("/nowhere/s.xml"); }, "/nowhere") == REGFLOW_ERROR_IO);
    const std::vector<std::uint8_t> noise(100, 7);
    CHECK(status_of([&] { regflow::Model::load(noise); }) == REGFLOW_ERROR_MODEL);
}

void owners(const std::string &path) {
    auto first = regflow::Model::load(path);
    auto second = std::move(first);
    CHECK(first.handle() == nullptr && second.handle() != nullptr); // NOLINT: that is what is tested
    CHECK(status_of([&] { first.n_atoms(); }, "`model` is NULL") == REGFLOW_ERROR_ARGUMENT);
    first = second.clone();
    CHECK(first.n_atoms() == second.n_atoms());
    regflow::Move move(first);
    first = std::move(second); // the model of the move goes
    const auto samples = first.sample(1, 5);
    Numbers proposals(samples.positions.size());
    std::array<double, 1> ratio{};
    move.propose(samples.positions, proposals, ratio);
    regflow::Move other = std::move(move);
    std::array<std::int32_t, 1> accepted{};
    other.decide(Numbers{0.0}, Numbers{std::numeric_limits<double>::infinity()}, accepted);
    CHECK(accepted[0] == 0);
    CHECK(status_of([&] { other.decide(Numbers{0.0}, Numbers{0.0}, accepted); }) == REGFLOW_ERROR_STATE);
    other = regflow::Move(first);
    other.restore(other.save());
    CHECK(other.statistics().attempts == 0);
    CHECK(status_of([&] { other.restore(std::vector<std::uint8_t>(10)); }) == REGFLOW_ERROR_STATE);
}

/// The same samples in other units and in the reverse order have the same densities, per volume in the other unit.
void views_of_a_model(const regflow::Model &model) {
    auto other = model.clone();
    const std::size_t n_atoms = model.n_atoms();
    std::vector<std::size_t> reversed(n_atoms);
    for (std::size_t i = 0; i < n_atoms; ++i) {
        reversed[i] = n_atoms - 1 - i;
    }
    other.set_units(regflow::Units{0.1, 4.184, 2.0});
    other.set_atom_order(reversed);
    CHECK(std::abs(other.temperature() * 2.0 - model.temperature()) < 1e-9);
    const auto numbers = model.atomic_numbers();
    const auto backwards = other.atomic_numbers();
    const auto samples = model.sample(3, 4);
    const auto again = other.sample(3, 4);
    const auto log_q = other.log_density(again.positions);
    const double shift = static_cast<double>(3 * n_atoms - 3) * std::log(0.1);
    for (std::size_t i = 0; i < n_atoms; ++i) {
        CHECK(numbers[i] == backwards[n_atoms - 1 - i]);
        CHECK(std::abs(0.1 * again.positions[3 * (n_atoms - 1 - i)] - samples.positions[3 * i]) < 1e-12);
    }
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(std::abs(again.log_q[i] - (samples.log_q[i] + shift)) < 1e-9 * std::abs(shift));
        CHECK(std::abs(log_q[i] - again.log_q[i]) < 1e-2 + 1e-4 * std::abs(log_q[i])); // an f32 network, there and back
    }
}

void maps_of_a_model(const regflow::Model &model) {
    const auto samples = model.sample(3, 6);
    const auto scores = model.log_density_gradient(samples.positions);
    const auto log_q = model.log_density(samples.positions);
    const auto placed = model.to_features(samples.positions);
    const auto back = model.to_positions(placed.values);
    const auto prior = model.inverse(placed.values);
    const auto again = model.forward(prior.values);
    const auto slope = model.pull_back(placed.values, scores.gradient);
    CHECK(model.n_features() == model.feature_kinds().size() && placed.values.size() == 3 * model.n_features());
    CHECK(slope.size() == placed.values.size() && scores.gradient.size() == samples.positions.size());
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(std::abs(scores.log_q[i] - log_q[i]) < 1e-3 + 1e-4 * std::abs(log_q[i]));
        CHECK(std::abs(placed.log_volume[i] - back.log_volume[i]) < 1e-9);
        CHECK(std::abs(prior.log_det[i] + again.log_det[i]) < 1e-2);
    }
    for (std::size_t k = 0; k < samples.positions.size(); ++k) {
        CHECK(std::abs(back.values[k] - samples.positions[k]) < 1e-9); // a sample is in the frame of the model
    }
    CHECK(status_of([&] { model.forward(regflow::Span<const double>(prior.values).subspan(1, 2)); }, "`prior_length`") ==
          REGFLOW_ERROR_LENGTH);
    CHECK(regflow::threads() >= 1);
    regflow::set_threads(regflow::threads());
    CHECK(status_of([] { regflow::set_threads(regflow::threads() + 1); }, "already running") == REGFLOW_ERROR_STATE);
}

void forces_of_a_function() {
    const regflow::Energy energy(
        1, [](ConstView x, View u) { u[0] = x[0] * x[0]; },
        [](ConstView x, View u, View f) {
            u[0] = x[0] * x[0];
            f[0] = -2.0 * x[0];
            f[1] = f[2] = 0.0;
        });
    const std::vector<double> x{3.0, 0.0, 0.0};
    std::vector<double> u(1), f(3);
    energy.compute(x, u, f);
    CHECK(u[0] == 9.0 && f[0] == -6.0 && f[1] == 0.0);
    const regflow::Energy without(1, [](ConstView, View) {});
    CHECK(status_of([&] { without.compute(x, u, f); }, "no forces") == REGFLOW_ERROR_COMPUTE);
    const regflow::Energy throwing(1, [](ConstView, View) {}, [](ConstView, View, View) { throw std::domain_error("weak"); });
    std::string thrown;
    try {
        throwing.compute(x, u, f);
    } catch (const std::domain_error &error) {
        thrown = error.what();
    }
    CHECK(thrown == "weak");
}

/// Counts its copies that live.
struct Counted {
    explicit Counted(int &count) : count_(&count) { ++*count_; }
    Counted(const Counted &other) : count_(other.count_) { ++*count_; }
    Counted &operator=(const Counted &) = delete;
    ~Counted() { --*count_; }

private:
    int *count_;
};

void callbacks_are_released() {
    int alive = 0;
    {
        const Counted counted(alive);
        regflow::Energy energy(1, [counted](ConstView, View energies) { energies[0] = 1.0; });
        regflow::Energy moved = std::move(energy);
        CHECK(alive == 2 && moved.compute(Numbers(3))[0] == 1.0);
        CHECK(status_of([&] { regflow::Energy(0, [counted](ConstView, View) {}); }, "`n_atoms`") == REGFLOW_ERROR_ARGUMENT);
        CHECK(alive == 2);
    }
    CHECK(alive == 0);
}

void exceptions(const regflow::Model &model) {
    const int identity = 0;
    const std::size_t n_atoms = model.n_atoms();
    int mode = 0;
    regflow::Energy energy(n_atoms, [&](ConstView, View energies) {
        if (mode == 1) {
            throw std::out_of_range("the third law");
        }
        if (mode == 2) {
            throw Unusual{&identity};
        }
        for (double &u : energies) {
            u = 0.0;
        }
    });
    auto positions = model.sample(2, 1).positions;
    CHECK(energy.compute(positions).size() == 2);

    mode = 1;
    const std::out_of_range *thrown = nullptr;
    try {
        energy.compute(positions);
    } catch (const std::out_of_range &error) {
        thrown = &error;
        CHECK(std::string(error.what()) == "the third law");
    }
    CHECK(thrown != nullptr);
    // C sees a status and the text.
    Numbers energies(2);
    CHECK(regflow_energy_compute(energy.handle(), 2, positions.data(), positions.size(), energies.data(), 2, nullptr, 0) ==
          REGFLOW_ERROR_CALLBACK);
    CHECK(std::string(regflow_last_error()).find("the third law") != std::string::npos);

    mode = 2;
    regflow::MoveOptions options;
    options.n_walkers = 2;
    regflow::Move move(model, options);
    bool same = false;
    try {
        move.run(energy, 3, positions);
    } catch (const Unusual &unusual) {
        same = unusual.identity == &identity;
    }
    CHECK(same);
    mode = 0;
    move.run(energy, 3, positions, energies);
    // Errors of the library itself are not taken for the callback's.
    CHECK(status_of([&] { energy.compute(Numbers(7), energies); }, "`positions_length`") == REGFLOW_ERROR_LENGTH);
    CHECK(status_of([&] { move.run(energy, 3, View(positions.data(), 3)); }) == REGFLOW_ERROR_LENGTH);
}

/// Every thread gets the exception of its own call, whether the energy is its own or that of all.
void exceptions_of_threads() {
    const auto fails = [](ConstView positions, View) { throw std::runtime_error(std::to_string(positions[0])); };
    const regflow::Energy by_turns(1, fails, regflow::Threads::one);
    const regflow::Energy at_once(1, fails, regflow::Threads::many);
    std::atomic<int> right{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i) {
        threads.emplace_back([&, i] {
            const double x = i;
            const regflow::Energy own(1, fails);
            for (int k = 0; k < 60; ++k) {
                const auto &energy = k % 3 == 0 ? own : k % 3 == 1 ? by_turns : at_once;
                try {
                    energy.compute(Numbers{x, 0.0, 0.0});
                } catch (const std::runtime_error &error) {
                    right += error.what() == std::to_string(x);
                }
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    CHECK(right == 360);
}

void training(const regflow::Model &model, const std::string &topology) {
    const std::size_t n = 80;
    const auto frames = model.sample(n, 1).positions;
    int reports = 0;
    regflow::Training options;
    options.topology = regflow::Topology::file(topology);
    options.config = R"({"temperature": 300, "architecture": "realnvp",
                         "architecture_config": {"couplings": 2, "hidden": 8, "blocks": 1},
                         "stages": [{"objective": "likelihood", "steps": 5, "batch": 16}]})";
    CHECK(regflow::train(options, n, frames).n_atoms() == model.n_atoms());
    // The molecule in memory.
    options.topology = {};
    options.topology.atomic_numbers = {8, 1, 1};
    options.topology.bonds = {{0, 1}, {0, 2}};
    options.topology.names = {"O", "H1", "H2"};
    options.topology.masses = {16.0, 1.0};
    CHECK(status_of([&] { regflow::train(options, n, frames); }, "masses has 2 entries") == REGFLOW_ERROR_LENGTH);
    options.topology.masses.push_back(1.0);
    options.progress = [&](const char *) { return ++reports < 3; };
    CHECK(regflow::train(options, n, frames).n_atoms() == model.n_atoms() && reports == 3);
    options.progress = [](const char *) -> bool { throw std::out_of_range("enough"); };
    std::string thrown;
    try {
        regflow::train(options, n, frames);
    } catch (const std::out_of_range &error) {
        thrown = error.what();
    }
    CHECK(thrown == "enough");
    // From an energy during a training.
    const regflow::Energy energy(model.n_atoms(), [](ConstView, View) { throw std::domain_error("no energy"); });
    options.progress = nullptr;
    options.energy = &energy;
    options.config = R"({"temperature": 300, "architecture": "realnvp",
                         "architecture_config": {"couplings": 2, "hidden": 8, "blocks": 1},
                         "stages": [{"objective": "polish", "steps": 2, "batch": 16, "polish": {"forces": false}}]})";
    thrown.clear();
    try {
        regflow::train(options, n, frames);
    } catch (const std::domain_error &error) {
        thrown = error.what();
    }
    CHECK(thrown == "no energy");
    options.config = "{}";
    CHECK(status_of([&] { regflow::train(options, n, frames); }, "temperature") == REGFLOW_ERROR_ARGUMENT);
}

void logging(const regflow::Model &model, const std::string &topology) {
    int messages = 0;
    regflow::set_log([&](regflow::LogLevel, const char *) {
        ++messages;
        throw std::runtime_error("nobody catches this");
    });
    training(model, topology);
    CHECK(messages > 0);
    regflow::set_log({});
    const int before = messages;
    training(model, topology);
    CHECK(messages == before);
    regflow::set_log([](regflow::LogLevel, const char *) {}); // still set when the program ends
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        std::cerr << "usage: " << argv[0] << " MODEL TOPOLOGY\n";
        return EXIT_FAILURE;
    }
    views();
    library();
    owners(argv[1]);
    callbacks_are_released();
    const auto model = regflow::Model::load(argv[1]);
    views_of_a_model(model);
    maps_of_a_model(model);
    forces_of_a_function();
    exceptions(model);
    exceptions_of_threads();
    logging(model, argv[2]);
    std::cout << checks << " checks, " << failures << " failures\n";
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
