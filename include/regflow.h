/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Generated from ffi/src by `make header`: do not edit. */

/**
 * RegFlow: Boltzmann generators for molecular dynamics, for C and everything that calls C.
 *
 * Units: lengths in nm, temperatures in K. Log densities are natural logarithms, of a density per volume element of the
 * model's coordinates, every constant included.
 *
 * Errors: a function returns REGFLOW_SUCCESS or one of the REGFLOW_ERROR_ codes; regflow_last_error() then has a message
 * that names the function and the argument. Unless said otherwise, results are written only on success. No call ends the
 * process or throws: a fault inside the library comes back as REGFLOW_ERROR_INTERNAL.
 *
 * Memory: numbers go to memory that the caller allocated, whose length is passed along, in elements and not in bytes.
 *
 * Threads: functions that take a `const regflow_model_t *` may be called with the same model from several threads at once.
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
 * A computation failed, for instance for want of memory on the device.
 */
#define REGFLOW_ERROR_COMPUTE 6

/**
 * A fault of the library itself: please report it together with the message.
 */
#define REGFLOW_ERROR_INTERNAL 255

/**
 * A trained model, made by `regflow_model_load` and ended by `regflow_model_free`.
 *
 * It never changes, so any number of threads may use one at the same time, except while it is being freed.
 */
typedef struct regflow_model_t regflow_model_t;

/**
 * What every function returns: `REGFLOW_SUCCESS` or one of the `REGFLOW_ERROR_` codes. Later versions may add codes.
 */
typedef int32_t regflow_status_t;

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
 * Loads a model.
 *
 * `path` is a file that `bg-sample train` wrote, as UTF-8. `device` says where the model computes: "cpu", or
 * "cuda:0" for the first GPU. On success `*model` is a new model that the caller ends with `regflow_model_free`; on failure
 * it is NULL.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_IO` if the file cannot be opened; `REGFLOW_ERROR_MODEL` if it is
 * damaged, no model or too new; `REGFLOW_ERROR_DEVICE`. Safe to call from any thread. Since 1.
 *
 * # Safety
 * `path` and `device` are NUL-terminated strings, and `model` may be written to.
 */
regflow_status_t regflow_model_load(const char *path,
                                    const char *device,
                                    regflow_model_t **model);

/**
 * Ends a model and gives its memory back. NULL is fine and does nothing.
 *
 * No thread may use the model during or after this call. Since 1.
 *
 * # Safety
 * `model` is NULL or came from `regflow_model_load`, and is not used again.
 */
regflow_status_t regflow_model_free(regflow_model_t *model);

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
 * Writes the temperature in K for which the model was trained to `*temperature`.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
 *
 * # Safety
 * `model` is a model that was not freed, and `temperature` may be written to.
 */
regflow_status_t regflow_model_temperature(const regflow_model_t *model, double *temperature);

/**
 * Draws `n` configurations from the model, with the logarithm of the density that each was drawn from.
 *
 * The samples are those of the given `seed` with the indices `first_index` to `first_index + n - 1`: a sample depends on
 * its seed and index, not on the size of a call or the number of threads (but for the rounding of single-precision
 * arithmetic), so the work of a long series can be split at will. `positions` receives the coordinates in nm, `[n][n_atoms][3]`, and `log_q` the log densities, `[n]`.
 * `positions_length` must be `n * n_atoms * 3` and `log_q_length` must be `n`.
 *
 * With the energy U of a configuration, `-U / kT - log_q` is the logarithm of its importance weight. A proposal that is no
 * molecule (a bond of negative length, say) has a `log_q` of plus infinity, hence weight zero.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`, `REGFLOW_ERROR_LENGTH`, `REGFLOW_ERROR_COMPUTE`. Safe to call from several threads
 * with the same model. Since 1.
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
 * `positions` holds coordinates in nm, `[n][n_atoms][3]`, molecules whole and in any place and orientation; `log_q`
 * receives `[n]` numbers. `positions_length` must be `n * n_atoms * 3` and `log_q_length` must be `n`.
 *
 * A configuration with a coordinate that is infinite or not a number is no error: it has no density, its `log_q` is minus
 * infinity, and those beside it are computed as ever. `log_q` is never not-a-number.
 *
 * Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_COMPUTE`, among others if atoms of a
 * configuration coincide or lie on a line where the model's coordinates need an angle. Safe to call from several threads
 * with the same model. Since 1.
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
 * Message of the last call that failed on the calling thread: UTF-8, NUL-terminated, never NULL, empty if none failed.
 * A call that succeeds leaves it as it is.
 *
 * The text is owned by the library and valid until the next call fails on this thread, or the thread ends. Each thread
 * has its own. Since 1.
 */
const char *regflow_last_error(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* REGFLOW_H */
