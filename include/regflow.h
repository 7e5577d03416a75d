/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Generated from ffi/src by `make header`: do not edit. */

/**
 * RegFlow: Boltzmann generators for molecular dynamics, for C and everything that calls C.
 *
 * Units: nm, kJ/mol and K, or those that the caller sets on a handle (regflow_units_t). Log densities are natural logarithms,
 * of a density per volume element of the model's coordinates, every constant included. In `internal` and `gauge` coordinates, which
 * leave out where a molecule is and how it is turned, they are densities of shapes, and so is log Z: the textbook's integral over
 * all positions with the centre of mass fixed is larger by a factor 8 pi^2, its logarithm by ln 8 pi^2 = 4.36857.
 *
 * Errors: a function returns REGFLOW_SUCCESS or one of the REGFLOW_ERROR_ codes; regflow_last_error() then has a message
 * that names the function and the argument. A call that is refused for its arguments writes nothing but NULL to the handle that
 * it would have made; what result arrays hold after another failure is not specified, unless said otherwise. No call ends the
 * process or throws: a fault inside the library comes back as REGFLOW_ERROR_INTERNAL, with its text in the message only.
 *
 * Memory: numbers go to memory that the caller allocated, whose length is passed along, in elements and not in bytes. Structs
 * begin with their size, which the caller sets: later versions may append to them. What the library allocates besides the
 * caller's arrays is bounded, or comes back as an error where there is not the memory for it.
 *
 * Threads: functions that take a model or an energy as const may be called with the same one from several threads at once;
 * a move is used by one thread at a time. Computations are divided among a pool of threads (regflow_set_threads), which a fork does
 * not copy.
 *
 * Callbacks get their `user_data` first. They must not throw nor end the thread; one that fails says so by its status.
 */

#ifndef REGFLOW_H
#define REGFLOW_H

#include <stddef.h>
#include <stdint.h>

/**
 * Revision of this interface. It grows by one with every release that adds a function; what is there stays.
 * A program that needs something "since 2" checks `regflow_api_version() >= 2`.
 */
#define REGFLOW_API_VERSION 1

/**
 * The call did what it says.
 */
#define REGFLOW_SUCCESS 0

/**
 * An argument is NULL, out of range or malformed.
 */
#define REGFLOW_ERROR_ARGUMENT 1

/**
 * An array that was passed is not as long as the call needs.
 */
#define REGFLOW_ERROR_LENGTH 2

/**
 * A file cannot be opened or read.
 */
#define REGFLOW_ERROR_IO 3

/**
 * A file is damaged, is no model, or was written by a version that this one does not understand.
 */
#define REGFLOW_ERROR_MODEL 4

/**
 * The device does not exist, or this library was built without support for it.
 */
#define REGFLOW_ERROR_DEVICE 5

/**
 * A computation failed, for instance for want of memory.
 */
#define REGFLOW_ERROR_COMPUTE 6

/**
 * A plugin, or the library of an engine, is missing or cannot be used.
 */
#define REGFLOW_ERROR_PLUGIN 7

/**
 * A callback of the caller's failed; the message has its status, and what it passed to `regflow_set_last_error`.
 */
#define REGFLOW_ERROR_CALLBACK 8

/**
 * A call at the wrong time: a handle that was freed or is in use by another thread, a decision without a proposal, a state
 * of another move, a computation in a process that was forked after the first one, another number of threads after it.
 */
#define REGFLOW_ERROR_STATE 9

/**
 * A fault of the library itself: please report it together with the message.
 */
#define REGFLOW_ERROR_INTERNAL 255

/**
 * Level of a log message: something works otherwise than expected. Lower levels are graver.
 */
#define REGFLOW_LOG_WARNING 2

/**
 * Level of a log message: what a long call is doing.
 */
#define REGFLOW_LOG_INFO 3

/**
 * Kind of a feature: any real number. Its prior is the standard normal distribution.
 */
#define REGFLOW_FEATURE_REAL 0

/**
 * Kind of a feature: an angle, modulo 2 pi. Its prior is uniform on the circle.
 */
#define REGFLOW_FEATURE_CIRCULAR 1

/**
 * Placement: the frame of the molecule stays as it is. Exact in every system.
 */
#define REGFLOW_PLACEMENT_KEEP 0

/**
 * Placement: a new orientation, uniform about the frame's origin. Exact in every system too, but seldom accepted where
 * the energy changes when the molecule turns.
 */
#define REGFLOW_PLACEMENT_RANDOM 1

/**
 * Resampling with one random offset: an index of expected count c comes out floor(c) or ceil(c) times.
 */
#define REGFLOW_RESAMPLE_SYSTEMATIC 0

/**
 * Resampling by independent draws.
 */
#define REGFLOW_RESAMPLE_MULTINOMIAL 1

/**
 * A potential energy, made by `regflow_energy_load` or `regflow_energy_from_callback`, and ended by `regflow_energy_free`.
 *
 * Functions that take it as const may be called with the same energy from any number of threads at the same time.
 */
typedef struct regflow_energy_t regflow_energy_t;

/**
 * A model, made by `regflow_model_load`, `regflow_model_load_memory`, `regflow_model_clone` or `regflow_train`, and ended by
 * `regflow_model_free`.
 *
 * Functions that take it as const may be called with the same model from any number of threads at the same time.
 */
typedef struct regflow_model_t regflow_model_t;

/**
 * A Metropolis move of one walker or of several, made by `regflow_move_new` and ended by `regflow_move_free`.
 *
 * One thread at a time may use a move; a second one gets `REGFLOW_ERROR_STATE`. Threads that each have a walker have a
 * move each, with different seeds.
 */
typedef struct regflow_move_t regflow_move_t;

/**
 * What every function returns: `REGFLOW_SUCCESS` or one of the `REGFLOW_ERROR_` codes. Later versions may add codes.
 */
typedef int32_t regflow_status_t;

/**
 * An energy of the caller's.
 */
typedef struct {
    /**
     * `sizeof(regflow_energy_callback_t)`.
     */
    size_t struct_size;
    /**
     * First argument of the functions.
     */
    void *user_data;
    /**
     * Writes the energies of `n` configurations to `energies`, `[n]`. `positions` is `[n][n_atoms][3]`. Both are in the units set
     * on the energy (nm, kJ/mol without). Returns 0, or a status of its own after `regflow_set_last_error`. An energy that is
     * infinite or not a number is no failure: such a configuration has weight zero. Must not throw.
     */
    int32_t (*energies)(void *user_data,
                        size_t n,
                        size_t n_atoms,
                        const double *positions,
                        double *energies);
    /**
     * Writes energies as `energies` does, and forces (minus the gradient, in energy per length) to `forces`,
     * `[n][n_atoms][3]`. NULL: there are no forces, and a polish must do without.
     */
    int32_t (*energies_and_forces)(void *user_data,
                                   size_t n,
                                   size_t n_atoms,
                                   const double *positions,
                                   double *energies,
                                   double *forces);
    /**
     * Called once with `user_data`, when the energy is not used any more; may be NULL.
     */
    void (*release)(void *user_data);
    /**
     * 0: the functions are called by one thread at a time. 1: they may be called by several at once.
     */
    int32_t threads;
    /**
     * 0.
     */
    int32_t reserved;
} regflow_energy_callback_t;

/**
 * What one unit of the caller is, in the library's own units.
 *
 * Set on a model, a move or an energy, it converts every number at the boundary. LAMMPS `lj` has sigma, epsilon and
 * epsilon / R of the molecule, with R = 8.31446261815324e-3 kJ/(mol K).
 */
typedef struct {
    /**
     * `sizeof(regflow_units_t)`.
     */
    size_t struct_size;
    /**
     * Length, nm.
     */
    double length;
    /**
     * Energy, kJ/mol.
     */
    double energy;
    /**
     * Temperature, K.
     */
    double temperature;
} regflow_units_t;

/**
 * Where log messages go.
 */
typedef struct {
    /**
     * `sizeof(regflow_log_t)`.
     */
    size_t struct_size;
    /**
     * First argument of `write`.
     */
    void *user_data;
    /**
     * Takes a message, one line without its end, valid during the call. May be called from any thread, one at a time, and
     * must not call `regflow_set_log`. Must not throw.
     */
    void (*write)(void *user_data, int32_t level, const char *message);
} regflow_log_t;

/**
 * How a model is loaded. Zeros stand for the defaults.
 */
typedef struct {
    /**
     * `sizeof(regflow_load_options_t)`.
     */
    size_t struct_size;
    /**
     * Where the model computes: "cpu", or "cuda:0" for the first GPU. NULL: "cpu".
     */
    const char *device;
} regflow_load_options_t;

/**
 * What a move moves. Zeros stand for the defaults.
 */
typedef struct {
    /**
     * `sizeof(regflow_move_options_t)`.
     */
    size_t struct_size;
    /**
     * Number of walkers; 0: 1.
     */
    size_t n_walkers;
    /**
     * Temperature of the simulation in the model's units; 0: that of the model. At another one moves are as exact, but fewer
     * are accepted.
     */
    double temperature;
    /**
     * Seed of proposals and decisions.
     */
    uint64_t seed;
    /**
     * Proposals that one call of the network draws; 0: 1024.
     */
    size_t batch;
    /**
     * Atoms of the caller's system; 0: those of the model alone.
     */
    size_t n_system_atoms;
    /**
     * `[n_atoms]`: index in the system of each of the model's atoms, in the caller's order. NULL: the first ones.
     */
    const size_t *atoms;
    /**
     * Length of `atoms`.
     */
    size_t atoms_length;
    /**
     * Three of the model's atoms, in the caller's order, whose frame stays where it is: the first stays in its place, the
     * direction to the second and the half-plane of the third stay. NULL: those of the model's coordinates.
     */
    const size_t *frame;
    /**
     * Length of `frame`: 3, or 0 with NULL.
     */
    size_t frame_length;
    /**
     * `REGFLOW_PLACEMENT_KEEP` or `REGFLOW_PLACEMENT_RANDOM`.
     */
    int32_t placement;
    /**
     * 0.
     */
    int32_t reserved;
} regflow_move_options_t;

/**
 * How often moves were accepted, over all walkers.
 */
typedef struct {
    /**
     * `sizeof(regflow_move_statistics_t)`.
     */
    size_t struct_size;
    /**
     * Proposals that were decided on.
     */
    uint64_t attempts;
    /**
     * Those that were accepted.
     */
    uint64_t accepted;
    /**
     * Mean of the acceptance probability: an estimate of the rate with less noise than accepted / attempts. 0 without attempts.
     */
    double mean_acceptance;
    /**
     * Calls of the network, in both directions.
     */
    uint64_t network_calls;
} regflow_move_statistics_t;

/**
 * A molecule: what atoms it has and how they are bonded, in the order of all positions. Either a file, or arrays; what is not
 * used is NULL or 0.
 */
typedef struct {
    /**
     * `sizeof(regflow_topology_t)`.
     */
    size_t struct_size;
    /**
     * A structure file with atoms and bonds, such as a PDB with CONECT records. NULL: the molecule is in the fields below, none of
     * which may be set otherwise.
     */
    const char *path;
    /**
     * Number of atoms.
     */
    size_t n_atoms;
    /**
     * `[n_atoms]`: nuclear charge of each atom, 1 to 118; 0 for a bead of a coarse-grained model.
     */
    const uint32_t *atomic_numbers;
    /**
     * Number of bonds.
     */
    size_t n_bonds;
    /**
     * `[n_bonds][2]`: indices (from 0) of the two atoms of each bond, in any order. A bond may be named more than once.
     */
    const size_t *bonds;
    /**
     * `[n_atoms]`: masses in g/mol. NULL: those of the elements; those of beads are not known then.
     */
    const double *masses;
    /**
     * `[n_atoms]`: names of the atoms within their residues, such as "CA"; phi and psi are found by them. NULL: the symbol of the
     * element with the atom's number.
     */
    const char *const *names;
    /**
     * Number of residues; 0: all atoms are in one, "MOL".
     */
    size_t n_residues;
    /**
     * `[n_residues]`: names of the residues, such as "ALA"; they are numbered from 1.
     */
    const char *const *residue_names;
    /**
     * `[n_atoms]`: index (from 0) of each atom's residue. NULL without residues.
     */
    const size_t *residues;
} regflow_topology_t;

/**
 * Is told how a training run gets on, and may stop it.
 */
typedef struct {
    /**
     * `sizeof(regflow_progress_t)`.
     */
    size_t struct_size;
    /**
     * First argument of `report`.
     */
    void *user_data;
    /**
     * Called after every step, by the thread that trains. `json` is an object with `stage` (from 0), `stages`, `objective`,
     * `step`, `fraction` (of the stage), `seconds`, `loss`, `gradient_norm`, `learning_rate`, and after validations `validation`
     * and, in a polish, `ess` and `forward_ess` (ESS/N of its samples and on held-out frames). Returns 0 to go on; anything else ends the run. Must not throw.
     */
    int32_t (*report)(void *user_data, const char *json);
} regflow_progress_t;

/**
 * What training takes besides the molecule and its frames. Zeros stand for the defaults.
 */
typedef struct {
    /**
     * `sizeof(regflow_train_options_t)`.
     */
    size_t struct_size;
    /**
     * Where the model computes: "cpu", or "cuda:0" for the first GPU. NULL: "cpu".
     */
    const char *device;
    /**
     * Units of the frames. NULL: nm.
     */
    const regflow_units_t *units;
    /**
     * The molecule's energy, in any units. NULL: none. Needed by a polish alone.
     */
    const regflow_energy_t *energy;
    /**
     * Is told how the run gets on, and may stop it. NULL: nobody.
     */
    const regflow_progress_t *progress;
} regflow_train_options_t;

/**
 * What importance weights are worth.
 */
typedef struct {
    /**
     * `sizeof(regflow_diagnostics_t)`.
     */
    size_t struct_size;
    /**
     * Number of weights.
     */
    size_t n;
    /**
     * Those that are zero: log weights that are not finite.
     */
    size_t n_zero;
    /**
     * Kish's effective sample size, over n.
     */
    double ess;
    /**
     * The same once the largest 0.2 % of the weights are removed.
     */
    double ess_trimmed;
    /**
     * Pareto k-hat of the tail: below 0.5 good, above 0.7 not to be trusted; not-a-number if it cannot be told.
     */
    double k_hat;
    /**
     * Logarithm of the mean weight, log Z; minus infinity if all are zero. In `internal` and `gauge` coordinates it is that of
     * shapes: the integral over all orientations as well has a further ln 8 pi^2.
     */
    double log_z;
    /**
     * Its bootstrap standard error.
     */
    double log_z_error;
} regflow_diagnostics_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Revision of the interface of the library that is loaded (`REGFLOW_API_VERSION` is that of the header).
 *
 * Safe to call from any thread. Since 1.
 */
uint32_t regflow_api_version(void);

/**
 * Version of the library, such as "0.1.0": NUL-terminated, owned by the library, valid until the process ends.
 *
 * Safe to call from any thread. Since 1.
 */
const char *regflow_version(void);

/**
 * Draws `n` configurations from the model, with the logarithm of the density that each was drawn from.
 *
 * The samples are those of the given `seed` with the indices `first_index` to `first_index + n - 1`: a sample depends on
 * its seed and index, not on the size of a call or the number of threads (but for the rounding of single-precision
 * arithmetic), so the work of a long series can be split at will. `positions` receives the coordinates, `[n][n_atoms][3]`, in
 * the frame of the model, and `log_q` the log densities, `[n]`, all in the caller's units and atom order.
 * `positions_length` must be `n * n_atoms * 3` and `log_q_length` must be `n`.
 *
 * With the energy U of a configuration, `-U / kT - log_q` is the logarithm of its importance weight. A proposal that is no
 * molecule (a bond of negative length, say) has a `log_q` of plus infinity, hence weight zero.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe
 * to call from several threads with the same model. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed; `positions` and `log_q` do not overlap and may be written to for their lengths.
 */
regflow_status_t regflow_model_sample(const regflow_model_t *model,
                                      size_t n,
                                      uint64_t seed,
                                      uint64_t first_index,
                                      double *positions,
                                      size_t positions_length,
                                      double *log_q,
                                      size_t log_q_length);

/**
 * Computes the logarithm of the model's density at `n` given configurations.
 *
 * `positions` holds coordinates, `[n][n_atoms][3]`, molecules whole and in any place and orientation; `log_q` receives `[n]`
 * numbers, all in the caller's units and atom order. `positions_length` must be `n * n_atoms * 3` and `log_q_length` must be
 * `n`.
 *
 * A configuration with a coordinate that is infinite or not a number is no error: it has no density, its `log_q` is minus
 * infinity, and those beside it are computed as ever. `log_q` is never not-a-number.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`,
 * among others if atoms of a configuration coincide or lie on a line where the model's coordinates need an angle. Safe to call
 * from several threads with the same model. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed; `positions` may be read and `log_q` written to for their lengths, without overlap.
 */
regflow_status_t regflow_model_log_density(const regflow_model_t *model,
                                           size_t n,
                                           const double *positions,
                                           size_t positions_length,
                                           double *log_q,
                                           size_t log_q_length);

/**
 * Computes the logarithm of the model's density at `n` given configurations, and its gradient by their positions.
 *
 * `positions`, `[n][n_atoms][3]`, and `log_q`, `[n]`, as in `regflow_model_log_density`; `gradient` becomes
 * `[n][n_atoms][3]`, the derivatives of `log_q` by each coordinate, in 1 / length, all in the caller's units and atom order. A
 * sampler moves along a path of log densities such as (1 - t) log_q - t U / kT, whose gradient is
 * (1 - t) gradient + t forces / kT. In `internal` and `gauge` coordinates a gradient has no net force and no net torque.
 *
 * A configuration with a coordinate that is infinite or not a number has a `log_q` of minus infinity and a gradient of zeros.
 * Networks compute in single precision: a gradient is good to some 1e-5 of its largest component.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`,
 * among others if atoms of a configuration coincide or lie on a line where the model's coordinates need an angle. Safe to call
 * from several threads with the same model. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
 */
regflow_status_t regflow_model_log_density_gradient(const regflow_model_t *model,
                                                    size_t n,
                                                    const double *positions,
                                                    size_t positions_length,
                                                    double *log_q,
                                                    size_t log_q_length,
                                                    double *gradient,
                                                    size_t gradient_length);

/**
 * Loads an energy.
 *
 * `source` is what `--energy` of `bg-sample` takes: "system.xml" (an OpenMM System, evaluated by the library's own force
 * field), "openmm:system.xml", "lammps:in.file", or an energy plugin as "NAME:CONFIGURATION" or "FILE.so:CONFIGURATION". On
 * success `*energy` is a new energy that the caller ends with `regflow_energy_free`; on failure it is NULL.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_IO` if a file cannot be read; `REGFLOW_ERROR_PLUGIN` if a plugin or the
 * library of an engine is missing or fails; `REGFLOW_ERROR_STATE` in a forked process. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `source` is a NUL-terminated string, and `energy` may be written to.
 */
regflow_status_t regflow_energy_load(const char *source,
                                     regflow_energy_t **energy);

/**
 * Makes an energy of `n_atoms` atoms that the caller computes.
 *
 * `callback` is copied; its `user_data` must live until its `release` is called, once, when the energy was freed and nothing uses
 * it any more. On success `*energy` is a new energy that the caller ends with `regflow_energy_free`; on failure it is NULL, and
 * `release` is never called.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `callback` may be read for its `struct_size`, its functions may be called as documented, and `energy` may be written to.
 */
regflow_status_t regflow_energy_from_callback(const regflow_energy_callback_t *callback,
                                              size_t n_atoms,
                                              regflow_energy_t **energy);

/**
 * Ends an energy. NULL is fine and does nothing.
 *
 * No thread may use the energy during or after this call. Since 1.
 *
 * # Safety
 * `energy` is NULL or an energy, and is not used again.
 */
regflow_status_t regflow_energy_free(regflow_energy_t *energy);

/**
 * Writes the number of atoms to `*n_atoms`.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
 *
 * # Safety
 * `energy` is an energy that was not freed, and `n_atoms` may be written to.
 */
regflow_status_t regflow_energy_n_atoms(const regflow_energy_t *energy, size_t *n_atoms);

/**
 * Sets the units of `regflow_energy_compute`, and those in which a callback takes positions and gives energies: nm and kJ/mol
 * without it. Moves and training use any energy, whatever its units.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_STATE`. No other thread may use the energy during the call. Since 1.
 *
 * # Safety
 * `energy` is an energy that was not freed, and `units` may be read for its `struct_size`.
 */
regflow_status_t regflow_energy_set_units(regflow_energy_t *energy,
                                          const regflow_units_t *units);

/**
 * Computes energies, and forces if there is an array for them.
 *
 * `positions` is `[n][n_atoms][3]`, `energies` becomes `[n]`, `forces` (NULL with a length of 0: none) `[n][n_atoms][3]`, in the
 * energy's units (forces in energy per length). A configuration with a coordinate that is infinite or not a number gets an
 * energy that is not finite, and those beside it are computed as ever; so does one that the engine behind the energy cannot
 * evaluate, of which the log has a warning.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_CALLBACK`; `REGFLOW_ERROR_COMPUTE`, among others for
 * the forces of a callback without them; `REGFLOW_ERROR_STATE` in a forked process. Safe to call from several threads. Since 1.
 *
 * # Safety
 * `energy` is an energy that was not freed; the arrays may be read and written to for their lengths, without overlap.
 */
regflow_status_t regflow_energy_compute(const regflow_energy_t *energy,
                                        size_t n,
                                        const double *positions,
                                        size_t positions_length,
                                        double *energies,
                                        size_t energies_length,
                                        double *forces,
                                        size_t forces_length);

/**
 * Sets the number of threads of this library in this process, for everything that it computes on the CPU; 0 stands for the
 * default.
 *
 * There is one pool of threads, whoever calls; a calling thread waits for it. Without this call the first one that computes starts
 * as many threads as the environment variable RAYON_NUM_THREADS says, or else as the process may use processors: those of its
 * affinity mask, or fewer if a control group limits its time. An engine that runs several processes on a node (ranks) and does not
 * bind each to its own processors sets the number here, such as 1. To be called before anything is computed; later only the number
 * that is running is accepted. The libraries of other engines that compute energies (`openmm:`, `lammps:`) have threads of their own.
 *
 * Threads are not copied by `fork`: a process that is forked after its parent has computed gets `REGFLOW_ERROR_STATE` from every
 * function that computes. The first call that computes also sets the environment variable CANDLE_NUM_THREADS to 1, unless it
 * is set, so that the tensor library starts no threads beside these: no other thread may change the environment meanwhile.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT` above 4096; `REGFLOW_ERROR_STATE` if another number of threads is running, or in a forked
 * process; `REGFLOW_ERROR_COMPUTE` if the system gives no threads. Safe to call from any thread. Since 1.
 */
regflow_status_t regflow_set_threads(size_t n);

/**
 * Writes the number of threads to `*n`; starts them, if nothing has been computed yet.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE` if the system gives no
 * threads. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `n` may be written to.
 */
regflow_status_t regflow_threads(size_t *n);

/**
 * Writes the devices that this build can use here as a JSON array: `["cpu", "cuda:0"]`.
 *
 * `text` has room for `capacity` bytes, the final NUL included; `*length` becomes the number that is needed, also when the
 * room is too small, and `text` NULL with a capacity of 0 asks for it alone.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH` if the room is too small. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `text` may be written to for `capacity` bytes, and `length` may be written to.
 */
regflow_status_t regflow_devices(char *text,
                                 size_t capacity,
                                 size_t *length);

/**
 * Loads a plugin library: what it offers is then known by name to everything in this process. It is never unloaded.
 *
 * Plugins in the folders of `REGFLOW_PLUGIN_PATH` and beside this library are found by name without this call.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_PLUGIN` if the file cannot be used, of which nothing is known then. Safe to call
 * from any thread. Since 1.
 *
 * # Safety
 * `path` is a NUL-terminated string.
 */
regflow_status_t regflow_plugin_load(const char *path);

/**
 * Writes the plugins that are linked in or were loaded as a JSON array of objects with `kind` ("flow", "field", "target", "energy"), `name`,
 * `version`, `description`, `origin` and `schema` (of the configuration).
 *
 * `text`, `capacity` and `length` as in `regflow_devices`. Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH` if the room is
 * too small. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `text` may be written to for `capacity` bytes, and `length` may be written to.
 */
regflow_status_t regflow_plugins(char *text,
                                 size_t capacity,
                                 size_t *length);

/**
 * Says where log messages go from now on; NULL, as at first, for nowhere.
 *
 * `log` is copied; its `user_data` must live until another log is set. When this call returns, the one before is not in use
 * any more. Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `log` is NULL or may be read for its `struct_size`, and its function may be called as documented.
 */
regflow_status_t regflow_set_log(const regflow_log_t *log);

/**
 * Writes the number of features of the model, D, to `*n_features`: 3 n_atoms - 6 where the coordinates leave out the rigid motion
 * (`internal`, `gauge`), 3 n_atoms otherwise.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed, and `n_features` may be written to.
 */
regflow_status_t regflow_model_n_features(const regflow_model_t *model,
                                          size_t *n_features);

/**
 * Writes the kind of each feature, `REGFLOW_FEATURE_REAL` or `REGFLOW_FEATURE_CIRCULAR`, to `kinds`, `[n_features]`.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`, `REGFLOW_ERROR_LENGTH`. Safe to call from several threads. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed, and `kinds` may be written to for its length.
 */
regflow_status_t regflow_model_feature_kinds(const regflow_model_t *model,
                                             int32_t *kinds,
                                             size_t kinds_length);

/**
 * Computes the features of `n` configurations, and the logarithm of the volume element of the map from features to positions.
 *
 * `positions` is `[n][n_atoms][3]` in the caller's units and atom order, molecules whole and in any place and orientation;
 * `features` becomes `[n][n_features]`, without a unit: real ones have zero mean and, in general, unit variance over the
 * training data, circular ones are angles. `log_volume`, `[n]`, is what relates densities:
 *
 *     log_q(positions) = log density of the features - log_volume
 *
 * and the target over features is exp(-U / kT + log_volume), per volume in the caller's unit of length to the power of
 * 3 n_atoms - 3. In `internal` and `gauge` coordinates it is that of shapes: an integral over all orientations of the molecule is
 * larger by a factor 8 pi^2. In `cartesian` ones it contains the density that the model gives to the geometric centre.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE` for
 * the first configuration that is not finite, or whose atoms coincide or lie on a line where the coordinates need an angle. Safe to
 * call from several threads with the same model. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
 */
regflow_status_t regflow_model_to_features(const regflow_model_t *model,
                                           size_t n,
                                           const double *positions,
                                           size_t positions_length,
                                           double *features,
                                           size_t features_length,
                                           double *log_volume,
                                           size_t log_volume_length);

/**
 * Computes the positions of `n` rows of features: the inverse of `regflow_model_to_features`, in the same shapes.
 *
 * `positions` are in the frame of the model, where it is one of shapes. `log_volume` is minus infinity where there is no molecule
 * (a bond of negative length, say): the target density is zero there, and the positions stand for nothing.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe
 * to call from several threads with the same model. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
 */
regflow_status_t regflow_model_to_positions(const regflow_model_t *model,
                                            size_t n,
                                            const double *features,
                                            size_t features_length,
                                            double *positions,
                                            size_t positions_length,
                                            double *log_volume,
                                            size_t log_volume_length);

/**
 * Takes gradients from positions to features: with the forces of an energy, the gradient of the log target density over features.
 *
 * `features` is `[n][n_features]`, and `position_gradients`, `[n][n_atoms][3]`, the gradient of some scalar s at their positions
 * (those of `regflow_model_to_positions`), in 1 / length, in the caller's units and atom order. `feature_gradients`,
 * `[n][n_features]`, becomes the gradient of s + log_volume by features. With forces / kT for the former this is that of
 * -U / kT + log_volume.
 *
 * A row has a gradient of zeros where there is no molecule, or where `position_gradients` is not finite.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe
 * to call from several threads with the same model. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
 */
regflow_status_t regflow_model_pull_back(const regflow_model_t *model,
                                         size_t n,
                                         const double *features,
                                         size_t features_length,
                                         const double *position_gradients,
                                         size_t position_gradients_length,
                                         double *feature_gradients,
                                         size_t feature_gradients_length);

/**
 * Applies the flow in its generating direction: from `n` points of the prior to features.
 *
 * `prior` and `features` are `[n][n_features]`; the prior has independent components, standard normal ones for real features,
 * uniform ones on the circle for circular features. `log_det`, `[n]`, becomes log |det d features / d prior|: the density of
 * the features is log p(prior) - log_det. Values that are not finite give results that are not, in their own row only.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe
 * to call from several threads with the same model. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
 */
regflow_status_t regflow_model_forward(const regflow_model_t *model,
                                       size_t n,
                                       const double *prior,
                                       size_t prior_length,
                                       double *features,
                                       size_t features_length,
                                       double *log_det,
                                       size_t log_det_length);

/**
 * Applies the flow in its scoring direction: from `n` rows of features to points of the prior.
 *
 * As `regflow_model_forward` the other way round: `log_det`, `[n]`, becomes log |det d prior / d features|, and the density of the
 * features is log p(prior) + log_det. Networks compute in single precision: the two directions differ by rounding.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe
 * to call from several threads with the same model. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
 */
regflow_status_t regflow_model_inverse(const regflow_model_t *model,
                                       size_t n,
                                       const double *features,
                                       size_t features_length,
                                       double *prior,
                                       size_t prior_length,
                                       double *log_det,
                                       size_t log_det_length);

/**
 * Loads a model.
 *
 * `path` is a file that `bg-sample train` or `regflow_model_save` wrote, as UTF-8. `options` may be NULL. On success `*model` is a
 * new model that the caller ends with `regflow_model_free`; on failure it is NULL.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_IO` if the file cannot be opened; `REGFLOW_ERROR_MODEL` if it is
 * damaged, no model or too new; `REGFLOW_ERROR_PLUGIN` if its architecture is missing; `REGFLOW_ERROR_DEVICE`;
 * `REGFLOW_ERROR_STATE` in a forked process. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `path` is a NUL-terminated string, `options` is NULL or may be read for its `struct_size`, and `model` may be written to.
 */
regflow_status_t regflow_model_load(const char *path,
                                    const regflow_load_options_t *options,
                                    regflow_model_t **model);

/**
 * Loads a model from the contents of a model file, `length` bytes at `bytes`, which may be given up after the call.
 *
 * Otherwise as `regflow_model_load`. Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_MODEL`; `REGFLOW_ERROR_PLUGIN`;
 * `REGFLOW_ERROR_DEVICE`; `REGFLOW_ERROR_STATE` in a forked process. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `bytes` may be read for `length` bytes, `options` is NULL or may be read for its `struct_size`, and `model` may be written to.
 */
regflow_status_t regflow_model_load_memory(const uint8_t *bytes,
                                           size_t length,
                                           const regflow_load_options_t *options,
                                           regflow_model_t **model);

/**
 * Writes a model to a file: to a temporary one first, which then takes the place of an earlier one, so that `path` never
 * holds half a model. Units and atom order are the caller's and are not saved.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_IO` if the file cannot be written. Safe to call from several threads.
 * Since 1.
 *
 * # Safety
 * `model` is a model that was not freed, and `path` a NUL-terminated string.
 */
regflow_status_t regflow_model_save(const regflow_model_t *model,
                                    const char *path);

/**
 * Makes another handle of the same model, to be given other units or another atom order, or to be freed by another owner.
 *
 * The parameters are shared, not copied. Threads need no clones: a model may be used from all of them at once. `*clone` is a
 * new model that the caller ends with `regflow_model_free`; on failure it is NULL. Units and order are taken over.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed, and `clone` may be written to.
 */
regflow_status_t regflow_model_clone(const regflow_model_t *model,
                                     regflow_model_t **clone);

/**
 * Ends a model and gives its memory back. NULL is fine and does nothing.
 *
 * No thread may use the model during or after this call; a later use is found out in most cases and fails with
 * `REGFLOW_ERROR_STATE`. Moves that were made with it stay usable. Since 1.
 *
 * # Safety
 * `model` is NULL or a model, and is not used again.
 */
regflow_status_t regflow_model_free(regflow_model_t *model);

/**
 * Writes a description of a model as a JSON object: architecture and its configuration, parameters, coordinates, temperature
 * in K, atoms and bonds of the molecule in the model's order, the record of its training.
 *
 * `text` has room for `capacity` bytes, the final NUL included; `*length` becomes the number that is needed, also when the
 * room is too small, and `text` NULL with a capacity of 0 asks for it alone.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH` if the room is too small. Safe to call from several threads.
 * Since 1.
 *
 * # Safety
 * `model` is a model that was not freed; `text` may be written to for `capacity` bytes, and `length` may be written to.
 */
regflow_status_t regflow_model_describe(const regflow_model_t *model,
                                        char *text,
                                        size_t capacity,
                                        size_t *length);

/**
 * Writes the number of atoms of the model's molecule to `*n_atoms`.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed, and `n_atoms` may be written to.
 */
regflow_status_t regflow_model_n_atoms(const regflow_model_t *model, size_t *n_atoms);

/**
 * Writes the temperature for which the model was trained, in the caller's unit, to `*temperature`.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed, and `temperature` may be written to.
 */
regflow_status_t regflow_model_temperature(const regflow_model_t *model, double *temperature);

/**
 * Writes the atomic numbers of the molecule, in the caller's order, to `numbers`, `[n_atoms]`; 0 where an element is unknown.
 * `numbers_length` must be the number of atoms.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`, `REGFLOW_ERROR_LENGTH`. Safe to call from several threads. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed, and `numbers` may be written to for its length.
 */
regflow_status_t regflow_model_atomic_numbers(const regflow_model_t *model,
                                              uint32_t *numbers,
                                              size_t numbers_length);

/**
 * Sets the units in which this handle takes and gives lengths, energies, temperatures and log densities: nm, kJ/mol, K
 * without it.
 *
 * A log density is that of a volume in the caller's unit of length, to the power of 3 n_atoms - 3. Moves take the units that
 * the model has when they are made.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_STATE`. No other thread may use this handle during the call. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed, and `units` may be read for its `struct_size`.
 */
regflow_status_t regflow_model_set_units(regflow_model_t *model,
                                         const regflow_units_t *units);

/**
 * Says in which order the caller has the atoms: `order[i]` is the caller's index of atom i of the model, `[n_atoms]`. NULL with
 * a length of 0 says that the orders are the same, which is so without this call.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT` if the indices are no permutation; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE`. No other
 * thread may use this handle during the call. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed, and `order` may be read for its length.
 */
regflow_status_t regflow_model_set_atom_order(regflow_model_t *model,
                                              const size_t *order,
                                              size_t order_length);

/**
 * Makes a move with a model.
 *
 * `options` may be NULL: one walker, a system of the model's atoms alone, seed 0. Units and atom order are those that the model
 * has now; the model may be freed afterwards. Models in `cartesian` coordinates, whose density is not one of shapes, are refused. On success
 * `*move` is a new move that the caller ends with `regflow_move_free`; on failure it is NULL.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`, among others for a model that cannot make exact moves; `REGFLOW_ERROR_COMPUTE`;
 * `REGFLOW_ERROR_STATE` in a forked process. Safe to call from several threads with the same model. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed, `options` is NULL or may be read for its `struct_size` and has arrays of the stated
 * lengths, and `move` may be written to.
 */
regflow_status_t regflow_move_new(const regflow_model_t *model,
                                  const regflow_move_options_t *options,
                                  regflow_move_t **move);

/**
 * Ends a move. NULL is fine and does nothing.
 *
 * No thread may use the move during or after this call. Since 1.
 *
 * # Safety
 * `move` is NULL or a move, and is not used again.
 */
regflow_status_t regflow_move_free(regflow_move_t *move);

/**
 * Proposes a new configuration for each walker; the engine then computes energies and calls `regflow_move_decide`.
 *
 * `positions`, `[n_walkers][n_system_atoms][3]`, are where the walkers are now, molecules whole (not wrapped into a periodic
 * box); `proposals` becomes the same with the model's atoms moved, and all others copied. `log_ratios`, `[n_walkers]`, becomes
 * log q(current) - log q(proposal). It is minus infinity where the move will be rejected whatever the energy, which need not
 * be computed then. Proposals are drawn in batches in advance; the density of the current configuration is computed here, so
 * that moves are exact whatever happened since the last one. A proposal that is not decided on does not count.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`, among others for a position that is not finite; `REGFLOW_ERROR_LENGTH`;
 * `REGFLOW_ERROR_STATE` in a forked process or beside another call; `REGFLOW_ERROR_COMPUTE`. One thread at a time. Since 1.
 *
 * # Safety
 * `move` is a move that was not freed; the arrays may be read and written to for their lengths, without overlap.
 */
regflow_status_t regflow_move_propose(regflow_move_t *move,
                                      const double *positions,
                                      size_t positions_length,
                                      double *proposals,
                                      size_t proposals_length,
                                      double *log_ratios,
                                      size_t log_ratios_length);

/**
 * Accepts or rejects what `regflow_move_propose` gave: with probability min(1, exp(-(U' - U) / kT + log_ratio)).
 *
 * `energies` and `proposal_energies`, `[n_walkers]`, are those of the whole system before and after the move, in the caller's
 * unit. `accepted`, `[n_walkers]`, becomes 1 where the walker moves to the proposal, else 0. A proposal whose energy is
 * infinite or not a number is rejected; a current configuration of infinite energy is left for any other. After an accepted
 * move, the velocities of the atoms that moved must be drawn anew.
 *
 * Errors: `REGFLOW_ERROR_STATE` if nothing was proposed, and in a forked process; `REGFLOW_ERROR_ARGUMENT`, among others for a
 * current energy that is not a number; `REGFLOW_ERROR_LENGTH`. The proposal can be decided on again after an error. One thread at a time. Since 1.
 *
 * # Safety
 * `move` is a move that was not freed; the arrays may be read and written to for their lengths, without overlap.
 */
regflow_status_t regflow_move_decide(regflow_move_t *move,
                                     const double *energies,
                                     size_t energies_length,
                                     const double *proposal_energies,
                                     size_t proposal_energies_length,
                                     int32_t *accepted,
                                     size_t accepted_length);

/**
 * Makes `n_attempts` attempts for each walker, one after the other, with energies computed in batches by `energy`, which is one
 * of the whole system.
 *
 * `positions`, `[n_walkers][n_system_atoms][3]`, go in and come out. `energies` (`[n_walkers]`, or NULL with a length of 0) become
 * those of the last configurations. `n_accepted` (`[n_walkers]`, or NULL with a length of 0) becomes the number of accepted
 * attempts of each walker. Lengths and energies are in the units of the move, whatever those of `energy`.
 *
 * Errors: as `regflow_move_propose` and `regflow_move_decide`, `REGFLOW_ERROR_STATE` among them; `REGFLOW_ERROR_ARGUMENT` if masses of the energy show that the
 * system has other atoms where the model's should be; `REGFLOW_ERROR_CALLBACK` if the energy is a callback and fails;
 * nothing is written then, and the attempts do not count. One thread at a time. Since 1.
 *
 * # Safety
 * `move` and `energy` were not freed; the arrays may be read and written to for their lengths, without overlap.
 */
regflow_status_t regflow_move_run(regflow_move_t *move,
                                  const regflow_energy_t *energy,
                                  size_t n_attempts,
                                  double *positions,
                                  size_t positions_length,
                                  double *energies,
                                  size_t energies_length,
                                  size_t *n_accepted,
                                  size_t n_accepted_length);

/**
 * Writes how often moves were accepted so far, over all walkers, to `*statistics`, whose `struct_size` must be set.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_STATE`. One thread at a time. Since 1.
 *
 * # Safety
 * `move` is a move that was not freed, and `statistics` may be written to.
 */
regflow_status_t regflow_move_statistics(const regflow_move_t *move,
                                         regflow_move_statistics_t *statistics);

/**
 * Saves the state of a move, some 300 bytes, for a restart file: a move that is made with the same model and options and
 * restored from it goes on to the same random numbers, proposals and decisions.
 *
 * `bytes` has room for `capacity` bytes; `*length` becomes the number that is needed, also when the room is too small, and
 * `bytes` NULL with a capacity of 0 asks for it alone. A proposal that was not decided on is not part of the state.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH` if the room is too small; `REGFLOW_ERROR_STATE`. One thread at a time.
 * Since 1.
 *
 * # Safety
 * `move` is a move that was not freed; `bytes` may be written to for `capacity` bytes, and `length` may be written to.
 */
regflow_status_t regflow_move_save(const regflow_move_t *move,
                                   uint8_t *bytes,
                                   size_t capacity,
                                   size_t *length);

/**
 * Goes on from a state that `regflow_move_save` saved, `length` bytes at `bytes`.
 *
 * Errors: `REGFLOW_ERROR_STATE` if the state is damaged, or of another model or other options; nothing has changed then.
 * `REGFLOW_ERROR_ARGUMENT`. One thread at a time. Since 1.
 *
 * # Safety
 * `move` is a move that was not freed, and `bytes` may be read for `length` bytes.
 */
regflow_status_t regflow_move_restore(regflow_move_t *move,
                                      const uint8_t *bytes,
                                      size_t length);

/**
 * Message of the last call that failed on the calling thread: UTF-8, NUL-terminated, never NULL, empty if none failed.
 * A call that succeeds leaves it as it is.
 *
 * The text is owned by the library and valid until the next call fails on this thread, or the thread ends. Each thread
 * has its own. Since 1.
 */
const char *regflow_last_error(void);

/**
 * Sets the message that `regflow_last_error` gives on the calling thread: for a callback, before it returns a status other
 * than 0, to say why. The function of this library that called it then fails with `REGFLOW_ERROR_CALLBACK` and a message
 * that contains this one.
 *
 * `message` is copied. Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `message` is a NUL-terminated string.
 */
regflow_status_t regflow_set_last_error(const char *message);

/**
 * Trains a model on frames.
 *
 * `topology` is the molecule. `frames` is `[n_frames][n_atoms][3]`, molecules whole, atoms in the order of the topology, frames in
 * the order of time. `config` is a JSON object, of which everything but the temperature may be left out:
 *
 *     {"temperature": 300,             K; that of the model with "start_from"
 *      "coordinates": "internal",      or "gauge", "cartesian"
 *      "coordinate_options": {},       "whiten" (true), "z_matrix", "gauge_atoms"
 *      "architecture": "nsf",          name of a plugin, or path of its library
 *      "architecture_config": {},      its own settings
 *      "start_from": "m.safetensors",  instead of these four: go on from a model
 *      "recipe": "default",            or "fast", "best", or instead of it
 *      "stages": [{"objective": "likelihood", "steps": 2000}],
 *      "time_limit": 600,              seconds, divided among the stages
 *      "validation_fraction": 0.1,     part of the frames held out, in blocks of time
 *      "symmetry": true,               permute equivalent hydrogens
 *      "seed": 0,
 *      "target": "ot", "target_config": {}, "pairs": 10000, "pairs_dir": "pairs",       for regression
 *      "accept_long_bonds": false,     bonds above 0.35 nm: of coarse-grained beads
 *      "accept_implausible": false,    frames that cannot be the molecule under its potential
 *      "out": "m.safetensors",         model file, written when the run is done
 *      "curve": "m.csv",               training curve; beside "out" without it
 *      "checkpoint": "m.checkpoint",   where the run is saved; beside "out" without it
 *      "checkpoint_every": 60,         seconds
 *      "resume": false}                continue from the checkpoint
 *
 * with the stages that a configuration file of `bg-sample train` has; without recipe and stages it is "default" with an energy,
 * and "fast", which has no polish, without. The checks, the defaults and the model's training record are those of
 * `bg-sample train`. `options` may be NULL: frames in nm, on the CPU, without an energy. An energy is needed by a polish alone; one
 * that has no forces, such as a callback without them, needs `"polish": {"forces": false}` in its stage.
 *
 * On success `*model` is a new model that the caller ends with `regflow_model_free`; on failure it is NULL. If the progress
 * function stops the run, or something fails when there are parameters worth keeping already, the model has the best ones so
 * far: the training record (`regflow_model_describe`) says so under `summary` and `failure`, and a checkpoint stays for
 * `resume`. What happens meanwhile is written to the log.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`, among others for frames or an energy that do not fit the topology; `REGFLOW_ERROR_LENGTH`;
 * `REGFLOW_ERROR_IO` if a file cannot be read or written; `REGFLOW_ERROR_PLUGIN` if the architecture or the target is missing
 * or fails; `REGFLOW_ERROR_DEVICE`; `REGFLOW_ERROR_CALLBACK` if the energy is a callback and fails; `REGFLOW_ERROR_STATE` if the
 * energy was freed, and in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `topology` and what it points to may be read as documented there; `config` is NUL-terminated; `frames` may be read for its
 * length; `options` is NULL or may be read for its `struct_size`, and what it points to is as documented there, an energy one that
 * was not freed; `model` may be written to.
 */
regflow_status_t regflow_train(const regflow_topology_t *topology,
                               const char *config,
                               size_t n_frames,
                               const double *frames,
                               size_t frames_length,
                               const regflow_train_options_t *options,
                               regflow_model_t **model);

/**
 * Writes units by name to `*units`: "md" (nm, kJ/mol, K), "lammps-real" (Angstrom, kcal/mol, K) or "lammps-metal" (Angstrom,
 * eV, K).
 *
 * `units->struct_size` must be set. Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `name` is a NUL-terminated string, and `units` may be written to.
 */
regflow_status_t regflow_units_named(const char *name,
                                     regflow_units_t *units);

/**
 * Computes log weights `-U / kT - log q` at the temperature of the model, all in the caller's units.
 *
 * `energies`, `log_q` and `log_weights` are `[n]`. A weight whose energy or density is not finite is zero: its logarithm is
 * minus infinity.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process. Safe to call from several
 * threads. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
 */
regflow_status_t regflow_weights_log(const regflow_model_t *model,
                                     size_t n,
                                     const double *energies,
                                     size_t energies_length,
                                     const double *log_q,
                                     size_t log_q_length,
                                     double *log_weights,
                                     size_t log_weights_length);

/**
 * Judges log weights, `[n]`, and writes the figures to `*diagnostics`. `seed` is that of the bootstrap.
 *
 * `diagnostics->struct_size` must be set. Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a
 * forked process. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `log_weights` may be read for its length, and `diagnostics` may be written to.
 */
regflow_status_t regflow_weights_diagnose(size_t n,
                                          const double *log_weights,
                                          size_t log_weights_length,
                                          uint64_t seed,
                                          regflow_diagnostics_t *diagnostics);

/**
 * Draws indices by weight: `indices_length` of them, ascending, each below `n`; the same ones for the same seed.
 *
 * `method` is `REGFLOW_RESAMPLE_SYSTEMATIC` or `REGFLOW_RESAMPLE_MULTINOMIAL`; `log_weights` is `[n]`, and those that are not
 * finite are never drawn.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE` if
 * all weights are zero. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `log_weights` may be read and `indices` written to for their lengths.
 */
regflow_status_t regflow_weights_resample(int32_t method,
                                          size_t n,
                                          const double *log_weights,
                                          size_t log_weights_length,
                                          uint64_t seed,
                                          size_t *indices,
                                          size_t indices_length);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* REGFLOW_H */
