// SPDX-License-Identifier: MIT OR Apache-2.0

/// RegFlow for C++17: what regflow.h declares, with owners that free what they hold, exceptions instead of status codes, and
/// views instead of pointers and lengths. Nothing but this file and regflow.h is needed; the documentation of every
/// function, its units and its threads is in regflow.h.
///
/// Owners (`Model`, `Energy`, `Move`) can be moved but not copied; one that was moved from may only be assigned to or
/// destroyed. Failures throw `regflow::Error`. A callback may throw: the exception does not pass through the library, but
/// the very same object is thrown again by the function that led to the callback.

#ifndef REGFLOW_HPP
#define REGFLOW_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "regflow.h"

namespace regflow {

/// A call failed. `what()` names the function of regflow.h and its argument.
class Error : public std::runtime_error {
public:
    Error(regflow_status_t status, const char *message) : std::runtime_error(message), status_(status) {}

    /// One of the `REGFLOW_ERROR_` codes.
    regflow_status_t status() const noexcept { return status_; }

private:
    regflow_status_t status_;
};

/// A view of `size` values in a row that something else owns: of a vector, an array, or a pointer and a length.
template <typename T>
class Span {
    template <typename Container>
    using Value = std::remove_pointer_t<decltype(std::data(std::declval<Container &>()))>;

public:
    constexpr Span() noexcept = default;
    constexpr Span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}

    /// Of anything with `std::data` and `std::size`. Only a view of constants may be made of a temporary, which lives until
    /// the end of the call that the view is passed to.
    template <typename Container, typename = std::enable_if_t<std::is_convertible_v<Value<Container> (*)[], T (*)[]> &&
                                                              (std::is_const_v<T> || std::is_lvalue_reference_v<Container>)>>
    constexpr Span(Container &&container) noexcept : data_(std::data(container)), size_(std::size(container)) {}

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t i) const noexcept { return data_[i]; }

    /// The `count` values from `first` on, which must be there.
    constexpr Span subspan(std::size_t first, std::size_t count) const noexcept { return {data_ + first, count}; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

namespace detail {

inline void check(regflow_status_t status) {
    if (status != REGFLOW_SUCCESS) {
        throw Error(status, regflow_last_error());
    }
}

/// What a function writes to a buffer whose length it tells. The length may grow between two calls, if another thread loads
/// a plugin, say.
template <typename Buffer, typename Call>
Buffer buffer(Call call) {
    std::size_t length = 0;
    check(call(nullptr, 0, &length));
    Buffer result;
    regflow_status_t status = REGFLOW_SUCCESS;
    do {
        result.resize(length);
        status = call(result.data(), result.size(), &length);
    } while (status == REGFLOW_ERROR_LENGTH && length > result.size());
    check(status);
    result.resize(length);
    return result;
}

/// As `buffer`, for a text with its final NUL.
template <typename Call>
std::string text(Call call) {
    auto result = buffer<std::string>(call);
    result.resize(result.empty() ? 0 : result.size() - 1);
    return result;
}

/// Keeps what a callback throws until the call that it interrupted is back in C++, for each thread its own: a callback runs in
/// the thread that made the call.
class Thrown {
public:
    /// Runs a callback's body, which gives its status, and turns an exception into the status 1.
    template <typename Body>
    std::int32_t guard(Body &&body) noexcept {
        try {
            return body();
        } catch (const std::exception &error) {
            keep(error.what());
        } catch (...) {
            keep("an exception that is no std::exception");
        }
        return 1;
    }

    /// Throws what the last failing callback of this thread threw; does nothing if none did.
    void rethrow() {
        std::unique_lock<std::mutex> lock(mutex_);
        const auto kept = exceptions_.extract(std::this_thread::get_id());
        lock.unlock();
        if (kept) {
            std::rethrow_exception(kept.mapped());
        }
    }

private:
    void keep(const char *message) noexcept {
        regflow_set_last_error(message);
        try {
            const std::lock_guard<std::mutex> lock(mutex_);
            exceptions_[std::this_thread::get_id()] = std::current_exception();
        } catch (...) {
            // Without memory for it the status and the message have to do.
        }
    }

    std::mutex mutex_;
    std::map<std::thread::id, std::exception_ptr> exceptions_;
};

/// Owns one handle of the C interface.
template <typename T, regflow_status_t (*Free)(T *)>
struct Freeing {
    void operator()(T *handle) const noexcept { Free(handle); }
};
template <typename T, regflow_status_t (*Free)(T *)>
using Handle = std::unique_ptr<T, Freeing<T, Free>>;

} // namespace detail

/// Revision of the interface of the library that is loaded; `REGFLOW_API_VERSION` is that of the header.
inline std::uint32_t api_version() noexcept { return regflow_api_version(); }

/// Version of the library that is loaded, such as "0.1.0".
inline std::string version() { return regflow_version(); }

/// The devices that a model may be loaded on, a JSON array: `["cpu","cuda:0"]`.
inline std::string devices() { return detail::text(regflow_devices); }

/// Loads a plugin library, whose flows, fields, targets and energies are then known by name.
inline void load_plugin(const std::string &path) { detail::check(regflow_plugin_load(path.c_str())); }

/// What there is by way of plugins, a JSON array of objects.
inline std::string plugins() { return detail::text(regflow_plugins); }

/// Sets the number of threads that compute, before anything is computed; 0: as many as there are processors for this process.
inline void set_threads(std::size_t n) { detail::check(regflow_set_threads(n)); }

/// Number of threads that compute.
inline std::size_t threads() {
    std::size_t n = 0;
    detail::check(regflow_threads(&n));
    return n;
}

/// Severity of a message to the log.
enum class LogLevel : std::int32_t {
    warning = REGFLOW_LOG_WARNING,
    info = REGFLOW_LOG_INFO,
};

/// Receives the library's messages, from any thread but one at a time. What it throws is dropped: there is nobody to catch it.
using Log = std::function<void(LogLevel level, const char *message)>;

/// Sends the library's messages to `log`, from now on and for all threads; an empty function brings back silence.
inline void set_log(Log log) {
    // The one in use is never destroyed, since threads of the library may outlive the static objects of the program.
    static std::mutex mutex;
    static Log *current = nullptr;
    auto next = log ? std::make_unique<Log>(std::move(log)) : nullptr;
    regflow_log_t callback{};
    callback.struct_size = sizeof callback;
    callback.user_data = next.get();
    callback.write = [](void *user_data, std::int32_t level, const char *message) {
        try {
            (*static_cast<const Log *>(user_data))(static_cast<LogLevel>(level), message);
        } catch (...) {
        }
    };
    const std::lock_guard<std::mutex> lock(mutex);
    detail::check(regflow_set_log(next ? &callback : nullptr));
    const std::unique_ptr<Log> previous(std::exchange(current, next.release()));
}

/// What one unit of the caller is.
struct Units {
    double length = 1.0;      ///< nm
    double energy = 1.0;      ///< kJ/mol
    double temperature = 1.0; ///< K

    /// "md" (nm, kJ/mol, K), "lammps-real" or "lammps-metal".
    static Units named(const std::string &name) {
        regflow_units_t units{};
        units.struct_size = sizeof units;
        detail::check(regflow_units_named(name.c_str(), &units));
        return {units.length, units.energy, units.temperature};
    }

    /// Reduced units of Lennard-Jones particles with the diameter `sigma` in nm and the well depth `epsilon` in kJ/mol.
    static Units reduced(double sigma, double epsilon) { return {sigma, epsilon, epsilon / 8.31446261815324e-3}; }

    /// As regflow.h has it.
    regflow_units_t to_c() const noexcept { return {sizeof(regflow_units_t), length, energy, temperature}; }
};

/// Configurations drawn from a model.
struct Samples {
    std::vector<double> positions; ///< [n][n_atoms][3], in the units of the model
    std::vector<double> log_q;     ///< [n], log density of each
};

/// Log densities of configurations, and their gradients.
struct Scores {
    std::vector<double> log_q;    ///< [n]
    std::vector<double> gradient; ///< [n][n_atoms][3], d log_q / d position
};

/// Rows of features, or of points of the prior, with what relates their density to that of where they come from.
struct Mapped {
    std::vector<double> values;  ///< [n][n_features]
    std::vector<double> log_det; ///< [n], of the flow in the direction taken
};

/// Features of configurations, or configurations of features.
struct Placed {
    std::vector<double> values;     ///< [n][n_features] or [n][n_atoms][3]
    std::vector<double> log_volume; ///< [n]
};

/// Whether a feature is any number or an angle.
enum class FeatureKind : std::int32_t {
    real = REGFLOW_FEATURE_REAL,
    circular = REGFLOW_FEATURE_CIRCULAR,
};

/// A trained model. Functions that are `const` may be called from several threads at once.
class Model {
public:
    /// Takes over a handle of the C interface.
    explicit Model(regflow_model_t *handle) noexcept : handle_(handle) {}

    /// Loads the file that `bg-sample train` wrote, on "cpu" or "cuda:0".
    static Model load(const std::string &path, const std::string &device = "cpu") {
        const regflow_load_options_t options = load_options(device);
        regflow_model_t *handle = nullptr;
        detail::check(regflow_model_load(path.c_str(), &options, &handle));
        return Model(handle);
    }

    /// Loads a model from the bytes of its file, which are not needed any more afterwards.
    static Model load(Span<const std::uint8_t> bytes, const std::string &device = "cpu") {
        const regflow_load_options_t options = load_options(device);
        regflow_model_t *handle = nullptr;
        detail::check(regflow_model_load_memory(bytes.data(), bytes.size(), &options, &handle));
        return Model(handle);
    }

    /// Writes the model's file.
    void save(const std::string &path) const { detail::check(regflow_model_save(handle(), path.c_str())); }

    /// The same parameters, which are not copied, with units and an atom order of its own.
    Model clone() const {
        regflow_model_t *clone = nullptr;
        detail::check(regflow_model_clone(handle(), &clone));
        return Model(clone);
    }

    /// What the model is and how it was trained, a JSON object.
    std::string describe() const {
        return detail::text([this](char *text, std::size_t capacity, std::size_t *length) {
            return regflow_model_describe(handle(), text, capacity, length);
        });
    }

    std::size_t n_atoms() const {
        std::size_t n_atoms = 0;
        detail::check(regflow_model_n_atoms(handle(), &n_atoms));
        return n_atoms;
    }

    /// Temperature that the model was trained for, in its units.
    double temperature() const {
        double temperature = 0.0;
        detail::check(regflow_model_temperature(handle(), &temperature));
        return temperature;
    }

    /// Atomic number of each atom, in the caller's order.
    std::vector<std::uint32_t> atomic_numbers() const {
        std::vector<std::uint32_t> numbers(n_atoms());
        detail::check(regflow_model_atomic_numbers(handle(), numbers.data(), numbers.size()));
        return numbers;
    }

    /// Units of everything that goes in and out from now on.
    void set_units(const Units &units) {
        const regflow_units_t c = units.to_c();
        detail::check(regflow_model_set_units(handle(), &c));
    }

    /// `order[i]` is the caller's index of the model's atom `i`; an empty order brings back the model's own.
    void set_atom_order(Span<const std::size_t> order) {
        detail::check(regflow_model_set_atom_order(handle(), order.data(), order.size()));
    }

    /// The samples `first_index` to `first_index + n - 1` of those that `seed` gives.
    Samples sample(std::size_t n, std::uint64_t seed, std::uint64_t first_index = 0) const {
        Samples samples{std::vector<double>(n * n_atoms() * 3), std::vector<double>(n)};
        sample(seed, first_index, samples.positions, samples.log_q);
        return samples;
    }

    /// As many samples as `log_q` has room for.
    void sample(std::uint64_t seed, std::uint64_t first_index, Span<double> positions, Span<double> log_q) const {
        detail::check(regflow_model_sample(handle(), log_q.size(), seed, first_index, positions.data(), positions.size(),
                                           log_q.data(), log_q.size()));
    }

    /// Log densities of configurations, `[n][n_atoms][3]`.
    std::vector<double> log_density(Span<const double> positions) const {
        const std::size_t width = 3 * n_atoms();
        std::vector<double> log_q(width == 0 ? 0 : positions.size() / width);
        log_density(positions, log_q);
        return log_q;
    }

    /// Log densities of as many configurations as `log_q` has room for.
    void log_density(Span<const double> positions, Span<double> log_q) const {
        detail::check(regflow_model_log_density(handle(), log_q.size(), positions.data(), positions.size(), log_q.data(),
                                                log_q.size()));
    }

    /// Log densities of configurations, and their gradients by positions.
    Scores log_density_gradient(Span<const double> positions) const {
        const std::size_t n = rows(positions, 3 * n_atoms());
        Scores scores{std::vector<double>(n), std::vector<double>(positions.size())};
        detail::check(regflow_model_log_density_gradient(handle(), n, positions.data(), positions.size(), scores.log_q.data(), n,
                                                         scores.gradient.data(), scores.gradient.size()));
        return scores;
    }

    std::size_t n_features() const {
        std::size_t n_features = 0;
        detail::check(regflow_model_n_features(handle(), &n_features));
        return n_features;
    }

    /// Kind of each feature.
    std::vector<FeatureKind> feature_kinds() const {
        std::vector<std::int32_t> codes(n_features());
        detail::check(regflow_model_feature_kinds(handle(), codes.data(), codes.size()));
        std::vector<FeatureKind> kinds;
        for (const std::int32_t code : codes) {
            kinds.push_back(static_cast<FeatureKind>(code));
        }
        return kinds;
    }

    /// Features of configurations, `[n][n_atoms][3]`.
    Placed to_features(Span<const double> positions) const {
        const std::size_t n = rows(positions, 3 * n_atoms());
        Placed placed{std::vector<double>(n * n_features()), std::vector<double>(n)};
        detail::check(regflow_model_to_features(handle(), n, positions.data(), positions.size(), placed.values.data(),
                                                placed.values.size(), placed.log_volume.data(), n));
        return placed;
    }

    /// Configurations of features, `[n][n_features]`.
    Placed to_positions(Span<const double> features) const {
        const std::size_t n = rows(features, n_features());
        Placed placed{std::vector<double>(n * n_atoms() * 3), std::vector<double>(n)};
        detail::check(regflow_model_to_positions(handle(), n, features.data(), features.size(), placed.values.data(),
                                                 placed.values.size(), placed.log_volume.data(), n));
        return placed;
    }

    /// From gradients by the positions of these features, those by the features, of the same scalar plus `log_volume`.
    std::vector<double> pull_back(Span<const double> features, Span<const double> position_gradients) const {
        std::vector<double> gradients(features.size());
        detail::check(regflow_model_pull_back(handle(), rows(features, n_features()), features.data(), features.size(),
                                              position_gradients.data(), position_gradients.size(), gradients.data(),
                                              gradients.size()));
        return gradients;
    }

    /// Features of points of the prior, `[n][n_features]`.
    Mapped forward(Span<const double> prior) const { return map(regflow_model_forward, prior); }

    /// Points of the prior of features, `[n][n_features]`.
    Mapped inverse(Span<const double> features) const { return map(regflow_model_inverse, features); }

    /// Log importance weights of samples with these energies and log densities.
    std::vector<double> log_weights(Span<const double> energies, Span<const double> log_q) const {
        std::vector<double> log_weights(energies.size());
        detail::check(regflow_weights_log(handle(), energies.size(), energies.data(), energies.size(), log_q.data(),
                                          log_q.size(), log_weights.data(), log_weights.size()));
        return log_weights;
    }

    /// The handle of the C interface, which stays with this object.
    regflow_model_t *handle() const noexcept { return handle_.get(); }

private:
    static std::size_t rows(Span<const double> values, std::size_t width) noexcept {
        return width == 0 ? 0 : values.size() / width;
    }

    template <typename Function>
    Mapped map(Function function, Span<const double> from) const {
        const std::size_t n = rows(from, n_features());
        Mapped mapped{std::vector<double>(from.size()), std::vector<double>(n)};
        detail::check(function(handle(), n, from.data(), from.size(), mapped.values.data(), mapped.values.size(),
                               mapped.log_det.data(), n));
        return mapped;
    }

    static regflow_load_options_t load_options(const std::string &device) noexcept {
        regflow_load_options_t options{};
        options.struct_size = sizeof options;
        options.device = device.c_str();
        return options;
    }

    detail::Handle<regflow_model_t, regflow_model_free> handle_;
};

/// Whether an energy callback may run on several threads at the same time.
enum class Threads : std::int32_t {
    one = 0,  ///< one call at a time
    many = 1, ///< also several calls at the same time
};

/// A potential energy of a system. It may be used from several threads at once.
class Energy {
public:
    /// Writes the energies `[n]` of the configurations `positions`, `[n][n_atoms][3]`, in the units of the energy.
    using Function = std::function<void(Span<const double> positions, Span<double> energies)>;

    /// Writes energies, and the forces `[n][n_atoms][3]` as well.
    using Forces = std::function<void(Span<const double> positions, Span<double> energies, Span<double> forces)>;

    /// Takes over a handle of the C interface.
    explicit Energy(regflow_energy_t *handle) noexcept : handle_(handle) {}

    /// From "system.xml", "openmm:system.xml", "lammps:in.file" or "./libmine.so:config".
    static Energy load(const std::string &source) {
        regflow_energy_t *handle = nullptr;
        detail::check(regflow_energy_load(source.c_str(), &handle));
        return Energy(handle);
    }

    /// The energy that a function of the caller computes. What it throws is thrown again by `compute`, `Move::run` or
    /// `train`.
    Energy(std::size_t n_atoms, Function function, Threads threads = Threads::one)
        : Energy(n_atoms, std::move(function), Forces(), threads) {}

    /// As above, with forces, which a polish uses.
    Energy(std::size_t n_atoms, Function function, Forces with_forces, Threads threads = Threads::one) {
        auto callback = std::make_unique<Callback>();
        callback->function = std::move(function);
        callback->forces = std::move(with_forces);
        regflow_energy_callback_t c{};
        c.struct_size = sizeof c;
        c.user_data = callback.get();
        c.energies = [](void *user_data, std::size_t n, std::size_t atoms, const double *positions, double *energies) {
            auto &self = *static_cast<Callback *>(user_data);
            return self.thrown.guard([&]() -> std::int32_t {
                self.function({positions, n * atoms * 3}, {energies, n});
                return 0;
            });
        };
        if (callback->forces) {
            c.energies_and_forces = [](void *user_data, std::size_t n, std::size_t atoms, const double *positions,
                                       double *energies, double *forces) {
                auto &self = *static_cast<Callback *>(user_data);
                return self.thrown.guard([&]() -> std::int32_t {
                    self.forces({positions, n * atoms * 3}, {energies, n}, {forces, n * atoms * 3});
                    return 0;
                });
            };
        }
        c.release = [](void *user_data) { delete static_cast<Callback *>(user_data); };
        c.threads = static_cast<std::int32_t>(threads);
        regflow_energy_t *handle = nullptr;
        detail::check(regflow_energy_from_callback(&c, n_atoms, &handle));
        handle_.reset(handle);
        callback_ = callback.release();
    }

    std::size_t n_atoms() const {
        std::size_t n_atoms = 0;
        detail::check(regflow_energy_n_atoms(handle(), &n_atoms));
        return n_atoms;
    }

    /// Units of what `compute` takes and gives, and of what a callback gets and gives.
    void set_units(const Units &units) {
        const regflow_units_t c = units.to_c();
        detail::check(regflow_energy_set_units(handle(), &c));
    }

    /// Energies of configurations, `[n][n_atoms][3]`.
    std::vector<double> compute(Span<const double> positions) const {
        const std::size_t width = 3 * n_atoms();
        std::vector<double> energies(width == 0 ? 0 : positions.size() / width);
        compute(positions, energies);
        return energies;
    }

    /// Energies of as many configurations as `energies` has room for and, unless `forces` is empty, their forces.
    void compute(Span<const double> positions, Span<double> energies, Span<double> forces = {}) const {
        check(regflow_energy_compute(handle(), energies.size(), positions.data(), positions.size(), energies.data(),
                                     energies.size(), forces.data(), forces.size()));
    }

    /// Throws if a call that uses this energy failed: what its callback threw, or `Error`.
    void check(regflow_status_t status) const {
        if (status == REGFLOW_ERROR_CALLBACK && callback_ != nullptr) {
            callback_->thrown.rethrow();
        }
        detail::check(status);
    }

    /// The handle of the C interface, which stays with this object.
    regflow_energy_t *handle() const noexcept { return handle_.get(); }

private:
    struct Callback {
        Function function;
        Forces forces;
        detail::Thrown thrown;
    };

    detail::Handle<regflow_energy_t, regflow_energy_free> handle_;
    Callback *callback_ = nullptr; // lives as long as the handle, which releases it
};

/// What importance weights are worth.
using Diagnostics = regflow_diagnostics_t;

/// Effective sample size, tail and log Z of the weights; `seed` is that of the bootstrap.
inline Diagnostics diagnose(Span<const double> log_weights, std::uint64_t seed = 0) {
    Diagnostics diagnostics{};
    diagnostics.struct_size = sizeof diagnostics;
    detail::check(
        regflow_weights_diagnose(log_weights.size(), log_weights.data(), log_weights.size(), seed, &diagnostics));
    return diagnostics;
}

/// How samples are chosen by their weights.
enum class Resampling : std::int32_t {
    systematic = REGFLOW_RESAMPLE_SYSTEMATIC,
    multinomial = REGFLOW_RESAMPLE_MULTINOMIAL,
};

/// Indices of `n` samples chosen by weight.
inline std::vector<std::size_t> resample(Resampling method, std::size_t n, Span<const double> log_weights,
                                         std::uint64_t seed) {
    std::vector<std::size_t> indices(n);
    detail::check(regflow_weights_resample(static_cast<std::int32_t>(method), log_weights.size(), log_weights.data(),
                                           log_weights.size(), seed, indices.data(), indices.size()));
    return indices;
}

/// Where a move puts a molecule.
enum class Placement : std::int32_t {
    keep = REGFLOW_PLACEMENT_KEEP,     ///< the frame stays as it is
    random = REGFLOW_PLACEMENT_RANDOM, ///< a new orientation, seldom accepted where the energy changes when the molecule turns
};

/// Options of a move, as those of `regflow_move_options_t`; 0 or empty is the default.
struct MoveOptions {
    std::size_t n_walkers = 0;
    double temperature = 0.0;
    std::uint64_t seed = 0;
    std::size_t batch = 0;
    std::size_t n_system_atoms = 0;
    std::vector<std::size_t> atoms{};
    std::vector<std::size_t> frame{};
    Placement placement = Placement::keep;
};

/// Acceptance of a move's attempts so far, over all walkers.
using MoveStatistics = regflow_move_statistics_t;

/// Metropolis moves of one or many walkers with a model as the proposal. For one thread at a time.
class Move {
public:
    /// Takes over a handle of the C interface.
    explicit Move(regflow_move_t *handle) noexcept : handle_(handle) {}

    /// Keeps what it needs of the model, which need not live on.
    explicit Move(const Model &model, const MoveOptions &options = {}) {
        regflow_move_options_t c{};
        c.struct_size = sizeof c;
        c.n_walkers = options.n_walkers;
        c.temperature = options.temperature;
        c.seed = options.seed;
        c.batch = options.batch;
        c.n_system_atoms = options.n_system_atoms;
        c.atoms = options.atoms.empty() ? nullptr : options.atoms.data();
        c.atoms_length = options.atoms.size();
        c.frame = options.frame.empty() ? nullptr : options.frame.data();
        c.frame_length = options.frame.size();
        c.placement = static_cast<std::int32_t>(options.placement);
        regflow_move_t *handle = nullptr;
        detail::check(regflow_move_new(model.handle(), &c, &handle));
        handle_.reset(handle);
    }

    /// Proposes one configuration per walker: `positions` and `proposals` are `[n_walkers][n_system_atoms][3]`, molecules
    /// whole, `log_ratios` is `[n_walkers]`. A proposal with minus infinity will be rejected whatever its energy.
    void propose(Span<const double> positions, Span<double> proposals, Span<double> log_ratios) {
        detail::check(regflow_move_propose(handle(), positions.data(), positions.size(), proposals.data(), proposals.size(),
                                           log_ratios.data(), log_ratios.size()));
    }

    /// Accepts or rejects what was proposed: 1 or 0 for each walker.
    void decide(Span<const double> energies, Span<const double> proposal_energies, Span<std::int32_t> accepted) {
        detail::check(regflow_move_decide(handle(), energies.data(), energies.size(), proposal_energies.data(),
                                          proposal_energies.size(), accepted.data(), accepted.size()));
    }

    /// `n_attempts` moves of every walker, in place. `energies` receives the energy of each walker's last state and
    /// `n_accepted` its number of accepted moves, unless they are empty.
    void run(const Energy &energy, std::size_t n_attempts, Span<double> positions, Span<double> energies = {},
             Span<std::size_t> n_accepted = {}) {
        energy.check(regflow_move_run(handle(), energy.handle(), n_attempts, positions.data(), positions.size(),
                                      energies.data(), energies.size(), n_accepted.data(), n_accepted.size()));
    }

    MoveStatistics statistics() const {
        MoveStatistics statistics{};
        statistics.struct_size = sizeof statistics;
        detail::check(regflow_move_statistics(handle(), &statistics));
        return statistics;
    }

    /// The state: a move made with the same model and options goes on from it to the same random numbers.
    std::vector<std::uint8_t> save() const {
        return detail::buffer<std::vector<std::uint8_t>>(
            [this](std::uint8_t *bytes, std::size_t capacity, std::size_t *length) {
                return regflow_move_save(handle(), bytes, capacity, length);
            });
    }

    void restore(Span<const std::uint8_t> bytes) {
        detail::check(regflow_move_restore(handle(), bytes.data(), bytes.size()));
    }

    /// The handle of the C interface, which stays with this object.
    regflow_move_t *handle() const noexcept { return handle_.get(); }

private:
    detail::Handle<regflow_move_t, regflow_move_free> handle_;
};

/// A molecule: a structure file with bonds, or the atoms and bonds themselves, as in `regflow_topology_t`.
struct Topology {
    std::string path{};                             ///< of a structure file (PDB); if empty, the molecule is in what follows
    std::vector<std::uint32_t> atomic_numbers{};    ///< of every atom
    std::vector<std::array<std::size_t, 2>> bonds{};
    std::vector<double> masses{};                   ///< g/mol; empty: those of the elements
    std::vector<std::string> names{};               ///< of the atoms, such as "CA"; empty: symbol and number
    std::vector<std::string> residue_names{};       ///< such as "ALA"; empty: one residue
    std::vector<std::size_t> residues{};            ///< index of each atom's residue

    /// The molecule of a structure file.
    static Topology file(std::string path) {
        Topology topology;
        topology.path = std::move(path);
        return topology;
    }
};

/// What `train` needs besides the frames, as the arguments of `regflow_train`.
struct Training {
    Topology topology{};
    std::string config{};           ///< JSON
    const Energy *energy = nullptr; ///< of the molecule; only a polish needs it
    Units units{};                  ///< of the frames
    std::string device = "cpu";
    /// Receives reports, JSON objects, and says whether to go on. What it throws is thrown again by `train`.
    std::function<bool(const char *json)> progress{};
};

namespace detail {

/// A topology as regflow.h has it, which points into the one that it was made of.
class CTopology {
public:
    explicit CTopology(const Topology &given) : names_(pointers(given.names)), residue_names_(pointers(given.residue_names)) {
        const std::size_t n_atoms = given.atomic_numbers.size();
        same_length("masses", given.masses.size(), n_atoms);
        same_length("names", given.names.size(), n_atoms);
        same_length("residues", given.residues.size(), given.residue_names.empty() ? 0 : n_atoms);
        c_.struct_size = sizeof c_;
        c_.path = given.path.empty() ? nullptr : given.path.c_str();
        c_.n_atoms = n_atoms;
        c_.atomic_numbers = given.atomic_numbers.data();
        c_.n_bonds = given.bonds.size();
        for (const auto &bond : given.bonds) {
            bonds_.insert(bonds_.end(), bond.begin(), bond.end());
        }
        c_.bonds = bonds_.data();
        c_.masses = given.masses.empty() ? nullptr : given.masses.data();
        c_.names = names_.empty() ? nullptr : names_.data();
        c_.n_residues = given.residue_names.size();
        c_.residue_names = residue_names_.empty() ? nullptr : residue_names_.data();
        c_.residues = given.residues.empty() ? nullptr : given.residues.data();
    }

    CTopology(const CTopology &) = delete;
    CTopology &operator=(const CTopology &) = delete;

    const regflow_topology_t *get() const noexcept { return &c_; }

private:
    static std::vector<const char *> pointers(const std::vector<std::string> &texts) {
        std::vector<const char *> result;
        for (const auto &text : texts) {
            result.push_back(text.c_str());
        }
        return result;
    }

    static void same_length(const char *what, std::size_t found, std::size_t expected) {
        if (found != 0 && found != expected) {
            throw Error(REGFLOW_ERROR_LENGTH, (std::string("regflow::Topology: ") + what + " has " + std::to_string(found) +
                                               " entries, expected none or " + std::to_string(expected))
                                                  .c_str());
        }
    }

    std::vector<const char *> names_, residue_names_;
    std::vector<std::size_t> bonds_{};
    regflow_topology_t c_{};
};

} // namespace detail

/// Trains a model on `frames`, `[n_frames][n_atoms][3]`. If a progress function ends the run, the model has the best parameters
/// so far.
inline Model train(const Training &training, std::size_t n_frames, Span<const double> frames) {
    struct Context {
        const std::function<bool(const char *)> &report;
        detail::Thrown thrown{};
    } context{training.progress};
    regflow_progress_t progress{};
    progress.struct_size = sizeof progress;
    progress.user_data = &context;
    progress.report = [](void *user_data, const char *json) {
        auto &self = *static_cast<Context *>(user_data);
        return self.thrown.guard([&]() -> std::int32_t { return self.report(json) ? 0 : 1; });
    };
    const regflow_units_t units = training.units.to_c();
    const detail::CTopology topology(training.topology);
    regflow_train_options_t options{};
    options.struct_size = sizeof options;
    options.device = training.device.c_str();
    options.units = &units;
    options.energy = training.energy == nullptr ? nullptr : training.energy->handle();
    options.progress = training.progress ? &progress : nullptr;
    regflow_model_t *model = nullptr;
    const regflow_status_t status = regflow_train(topology.get(), training.config.c_str(), n_frames, frames.data(),
                                                  frames.size(), &options, &model);
    Model result(model);
    context.thrown.rethrow();
    if (training.energy != nullptr) {
        training.energy->check(status);
    }
    detail::check(status);
    return result;
}

} // namespace regflow

#endif // REGFLOW_HPP
