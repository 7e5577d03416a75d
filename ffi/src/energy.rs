//! Energies: the native force field, plugins, and the caller's own.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::sync::{Arc, Mutex, PoisonError};

use regflow_core::energy::{Energy, EnergyError};
use regflow_core::potential;

use crate::arguments::{
    Struct, blocks, check_length, check_number, converted, output, results, structure, text,
    values, zeros,
};
use crate::failure::{CallbackError, Failure, Status};
use crate::handle::{Handle, create, exclusive, free, shared};
use crate::library::log;
use crate::status::{call_back, compute, guard};
use crate::units::Units;

/// An energy of the caller's.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EnergyCallback {
    /// `sizeof(regflow_energy_callback_t)`.
    pub struct_size: usize,
    /// First argument of the functions.
    pub user_data: *mut c_void,
    /// Writes the energies of `n` configurations to `energies`, `[n]`. `positions` is `[n][n_atoms][3]`. Both are in the units set
    /// on the energy (nm, kJ/mol without). Returns 0, or a status of its own after `regflow_set_last_error`. An energy that is
    /// infinite or not a number is no failure: such a configuration has weight zero. Must not throw.
    pub energies: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            n: usize,
            n_atoms: usize,
            positions: *const f64,
            energies: *mut f64,
        ) -> i32,
    >,
    /// Writes energies as `energies` does, and forces (minus the gradient, in energy per length) to `forces`,
    /// `[n][n_atoms][3]`. NULL: there are no forces, and a polish must do without.
    pub energies_and_forces: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            n: usize,
            n_atoms: usize,
            positions: *const f64,
            energies: *mut f64,
            forces: *mut f64,
        ) -> i32,
    >,
    /// Called once with `user_data`, when the energy is not used any more; may be NULL.
    pub release: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// 0: the functions are called by one thread at a time. 1: they may be called by several at once.
    pub threads: i32,
    /// 0.
    pub reserved: i32,
}

// SAFETY: numbers and pointers, the first of them `struct_size`; a NULL function is `None`.
unsafe impl Struct for EnergyCallback {
    const NAME: &'static str = "regflow_energy_callback_t";
    const FIRST_SIZE: usize = offset_of!(EnergyCallback, reserved) + size_of::<i32>();
}

/// A callback with its `user_data`, which is released in the end.
struct Callback {
    functions: EnergyCallback,
    n_atoms: usize,
    /// Held during a call unless calls may overlap.
    turn: Mutex<()>,
}

// SAFETY: the interface says which threads call the functions, and the caller provides for it.
unsafe impl Send for Callback {}
// SAFETY: as above; `turn` keeps calls apart where they must be.
unsafe impl Sync for Callback {}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(release) = self.functions.release {
            // SAFETY: the caller's own function and data, called once.
            unsafe { release(self.functions.user_data) };
        }
    }
}

/// A callback in the units of its handle.
struct InUnits {
    callback: Arc<Callback>,
    units: Units,
}

impl Energy for InUnits {
    fn n_atoms(&self) -> usize {
        self.callback.n_atoms
    }

    fn has_forces(&self) -> bool {
        self.callback.functions.energies_and_forces.is_some()
    }

    fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
        let Callback {
            functions, n_atoms, ..
        } = &*self.callback;
        let Some(function) = functions.energies else {
            return Ok(());
        };
        self.call(positions, energies, |n, positions, energies| {
            // SAFETY: the caller's own function; both arrays are as long as the interface says.
            unsafe { function(functions.user_data, n, *n_atoms, positions, energies) }
        })
    }

    fn energies_and_forces(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        forces: &mut [f64],
    ) -> Result<(), EnergyError> {
        let Callback {
            functions, n_atoms, ..
        } = &*self.callback;
        let function = functions.energies_and_forces.ok_or_else(|| {
            EnergyError::External(
                "an energy callback without `energies_and_forces` has no forces: set that function, or train with \
                 \"forces\": false in the settings of the polish"
                    .into(),
            )
        })?;
        forces.fill(f64::NAN);
        self.call(positions, energies, |n, positions, energies| {
            // SAFETY: the caller's own function; the arrays are as long as the interface says.
            unsafe {
                function(
                    functions.user_data,
                    n,
                    *n_atoms,
                    positions,
                    energies,
                    forces.as_mut_ptr(),
                )
            }
        })?;
        let unit = self.units.energy / self.units.length;
        forces.iter_mut().for_each(|f| *f *= unit);
        Ok(())
    }
}

impl InUnits {
    /// Converts positions and energies, and keeps calls apart where they must be.
    fn call(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        function: impl FnOnce(usize, *const f64, *mut f64) -> i32,
    ) -> Result<(), EnergyError> {
        let converted: Vec<f64> = positions.iter().map(|x| x / self.units.length).collect();
        energies.fill(f64::NAN);
        let _turn = match self.callback.functions.threads {
            0 => Some(
                self.callback
                    .turn
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            ),
            _ => None,
        };
        call_back(|| function(energies.len(), converted.as_ptr(), energies.as_mut_ptr())).map_err(
            |(status, message)| EnergyError::External(Box::new(CallbackError { status, message })),
        )?;
        energies.iter_mut().for_each(|u| *u *= self.units.energy);
        Ok(())
    }
}

enum Source {
    Loaded(Arc<dyn Energy>),
    Callback(Arc<Callback>),
}

/// An energy, with the caller's units.
pub(crate) struct Content {
    source: Source,
    units: Units,
}

impl Content {
    /// The energy in the library's units.
    pub(crate) fn energy(&self) -> Arc<dyn Energy> {
        match &self.source {
            Source::Loaded(energy) => Arc::clone(energy),
            Source::Callback(callback) => Arc::new(InUnits {
                callback: Arc::clone(callback),
                units: self.units,
            }),
        }
    }
}

/// Calls `body`, which evaluates `energy`, and tells the log of configurations that the engine behind it could not evaluate
/// meanwhile: a caller sees no more of them than energies that are not numbers.
pub(crate) fn watched(
    energy: &dyn Energy,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let before = energy.refusals().map_or(0, |refusals| refusals.count);
    let result = body();
    let after = energy.refusals();
    if let Some(refusals) = after.filter(|refusals| refusals.count > before) {
        log::warning(&refusals.to_string());
    }
    result
}

/// A potential energy, made by `regflow_energy_load` or `regflow_energy_from_callback`, and ended by `regflow_energy_free`.
///
/// Functions that take it as const may be called with the same energy from any number of threads at the same time.
pub struct EnergyHandle {
    _opaque: [u8; 0],
}

impl Handle for EnergyHandle {
    type Content = Content;
    const MARK: u64 = u64::from_be_bytes(*b"regenerg");
    const NAME: &'static str = "regflow_energy_t";
}

/// Loads an energy.
///
/// `source` is what `--energy` of `bg-sample` takes: "system.xml" (an OpenMM System, evaluated by the library's own force
/// field), "openmm:system.xml", "lammps:in.file", or an energy plugin as "NAME:CONFIGURATION" or "FILE.so:CONFIGURATION". On
/// success `*energy` is a new energy that the caller ends with `regflow_energy_free`; on failure it is NULL.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_IO` if a file cannot be read; `REGFLOW_ERROR_PLUGIN` if a plugin or the
/// library of an engine is missing or fails; `REGFLOW_ERROR_STATE` in a forked process. Safe to call from any thread. Since 1.
///
/// # Safety
/// `source` is a NUL-terminated string, and `energy` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_energy_load(
    source: *const c_char,
    energy: *mut *mut EnergyHandle,
) -> Status {
    compute("regflow_energy_load", || {
        // SAFETY: the caller vouches for both pointers.
        let (energy, source) = unsafe { (output("energy", energy)?, text("source", source)) };
        *energy = std::ptr::null_mut();
        let loaded =
            potential::load(source?).map_err(|error| Failure::LoadEnergy(Box::new(error)))?;
        *energy = create(Content {
            source: Source::Loaded(Arc::from(loaded)),
            units: Units::MD,
        });
        Ok(())
    })
}

/// Makes an energy of `n_atoms` atoms that the caller computes.
///
/// `callback` is copied; its `user_data` must live until its `release` is called, once, when the energy was freed and nothing uses
/// it any more. On success `*energy` is a new energy that the caller ends with `regflow_energy_free`; on failure it is NULL, and
/// `release` is never called.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from any thread. Since 1.
///
/// # Safety
/// `callback` may be read for its `struct_size`, its functions may be called as documented, and `energy` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_energy_from_callback(
    callback: *const EnergyCallback,
    n_atoms: usize,
    energy: *mut *mut EnergyHandle,
) -> Status {
    guard("regflow_energy_from_callback", || {
        // SAFETY: the caller vouches for the pointer.
        let energy = unsafe { output("energy", energy) }?;
        *energy = std::ptr::null_mut();
        // SAFETY: as above.
        let functions = unsafe { structure("callback", callback) }?;
        if functions.energies.is_none() {
            return Err(Failure::Null {
                argument: "callback->energies",
            });
        }
        check_number("callback->threads", functions.threads, 0..=1, "0 or 1")?;
        check_number("callback->reserved", functions.reserved, 0..=0, "0")?;
        if n_atoms == 0 {
            return Err(Failure::Range {
                argument: "n_atoms",
                what: "it is 0".into(),
                expected: "at least 1",
            });
        }
        let callback = Callback {
            functions,
            n_atoms,
            turn: Mutex::new(()),
        };
        *energy = create(Content {
            source: Source::Callback(Arc::new(callback)),
            units: Units::MD,
        });
        Ok(())
    })
}

/// Ends an energy. NULL is fine and does nothing.
///
/// No thread may use the energy during or after this call. Since 1.
///
/// # Safety
/// `energy` is NULL or an energy, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_energy_free(energy: *mut EnergyHandle) -> Status {
    // SAFETY: the caller vouches for the energy.
    guard("regflow_energy_free", || unsafe { free("energy", energy) })
}

/// Writes the number of atoms to `*n_atoms`.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
///
/// # Safety
/// `energy` is an energy that was not freed, and `n_atoms` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_energy_n_atoms(
    energy: *const EnergyHandle,
    n_atoms: *mut usize,
) -> Status {
    guard("regflow_energy_n_atoms", || {
        // SAFETY: the caller vouches for both pointers.
        let (energy, n_atoms) = unsafe { (shared("energy", energy)?, output("n_atoms", n_atoms)?) };
        *n_atoms = energy.energy().n_atoms();
        Ok(())
    })
}

/// Sets the units of `regflow_energy_compute`, and those in which a callback takes positions and gives energies: nm and kJ/mol
/// without it. Moves and training use any energy, whatever its units.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_STATE`. No other thread may use the energy during the call. Since 1.
///
/// # Safety
/// `energy` is an energy that was not freed, and `units` may be read for its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_energy_set_units(
    energy: *mut EnergyHandle,
    units: *const Units,
) -> Status {
    guard("regflow_energy_set_units", || {
        // SAFETY: the caller vouches for both pointers.
        let (mut energy, units) =
            unsafe { (exclusive("energy", energy)?, Units::read("units", units)?) };
        energy.units = units;
        Ok(())
    })
}

/// Computes energies, and forces if there is an array for them.
///
/// `positions` is `[n][n_atoms][3]`, `energies` becomes `[n]`, `forces` (NULL with a length of 0: none) `[n][n_atoms][3]`, in the
/// energy's units (forces in energy per length). A configuration with a coordinate that is infinite or not a number gets an
/// energy that is not finite, and those beside it are computed as ever; so does one that the engine behind the energy cannot
/// evaluate, of which the log has a warning.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_CALLBACK`; `REGFLOW_ERROR_COMPUTE`, among others for
/// the forces of a callback without them; `REGFLOW_ERROR_STATE` in a forked process. Safe to call from several threads. Since 1.
///
/// # Safety
/// `energy` is an energy that was not freed; the arrays may be read and written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_energy_compute(
    energy: *const EnergyHandle,
    n: usize,
    positions: *const f64,
    positions_length: usize,
    energies: *mut f64,
    energies_length: usize,
    forces: *mut f64,
    forces_length: usize,
) -> Status {
    compute("regflow_energy_compute", || {
        // SAFETY: the caller vouches for the energy.
        let content = unsafe { shared("energy", energy) }?;
        let (energy, units) = (content.energy(), content.units);
        let width = energy.n_atoms().saturating_mul(3);
        check_length("positions_length", positions_length, n, width)?;
        check_length("energies_length", energies_length, n, 1)?;
        if forces_length != 0 {
            check_length("forces_length", forces_length, n, width)?;
        }
        // SAFETY: the caller vouches for the arrays.
        let (positions, energies, forces) = unsafe {
            (
                values("positions", positions, positions_length)?,
                results("energies", energies, energies_length)?,
                results("forces", forces, forces_length)?,
            )
        };
        let unit = units.energy / units.length;
        watched(energy.as_ref(), || {
            for block in blocks(n) {
                let rows = block.start * width..block.end * width;
                let positions = converted(&positions[rows.clone()], |x| x * units.length)?;
                let mut computed = zeros(block.len())?;
                match forces.is_empty() {
                    true => energy.energies(&positions, &mut computed),
                    false => {
                        let forces = &mut forces[rows];
                        let mut found = zeros(forces.len())?;
                        let done =
                            energy.energies_and_forces(&positions, &mut computed, &mut found);
                        if done.is_ok() {
                            forces
                                .iter_mut()
                                .zip(found)
                                .for_each(|(to, from)| *to = from / unit);
                        }
                        done
                    }
                }
                .map_err(|error| Failure::Energy(Box::new(error)))?;
                energies[block]
                    .iter_mut()
                    .zip(computed)
                    .for_each(|(to, from)| *to = from / units.energy);
            }
            Ok(())
        })
    })
}

#[cfg(test)]
mod tests {
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicU64, Ordering};

    use regflow_core::energy::Refusals;

    use super::*;
    use crate::failure::REGFLOW_SUCCESS;

    /// An engine that cannot evaluate anything.
    struct Refusing(AtomicU64);

    impl Energy for Refusing {
        fn n_atoms(&self) -> usize {
            1
        }

        fn refusals(&self) -> Option<Refusals> {
            Some(Refusals {
                count: self.0.load(Ordering::Relaxed),
                reason: "no power".into(),
            })
        }

        fn energies(&self, _: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
            energies.fill(f64::NAN);
            self.0.fetch_add(energies.len() as u64, Ordering::Relaxed);
            Ok(())
        }

        fn energies_and_forces(
            &self,
            positions: &[f64],
            energies: &mut [f64],
            forces: &mut [f64],
        ) -> Result<(), EnergyError> {
            forces.fill(f64::NAN);
            self.energies(positions, energies)
        }
    }

    #[test]
    fn refusals_are_told_to_the_log() {
        static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
        unsafe extern "C" fn write(_: *mut c_void, _: i32, line: *const c_char) {
            // SAFETY: the library passes a terminated text.
            let line = unsafe { std::ffi::CStr::from_ptr(line) };
            LINES.lock().unwrap().push(line.to_string_lossy().into());
        }
        let sink = log::Log {
            struct_size: size_of::<log::Log>(),
            user_data: null_mut(),
            write: Some(write),
        };
        let energy = create(Content {
            source: Source::Loaded(Arc::new(Refusing(AtomicU64::new(5)))),
            units: Units::MD,
        });
        let (positions, mut energies) = ([0.0; 6], [0.0; 2]);
        // SAFETY: arrays of the lengths stated, and a live handle.
        unsafe {
            assert_eq!(log::regflow_set_log(&sink), REGFLOW_SUCCESS);
            for n in [2, 0] {
                let status = regflow_energy_compute(
                    energy,
                    n,
                    positions.as_ptr(),
                    3 * n,
                    energies.as_mut_ptr(),
                    n,
                    null_mut(),
                    0,
                );
                assert_eq!(status, REGFLOW_SUCCESS);
            }
            log::regflow_set_log(std::ptr::null());
            regflow_energy_free(energy);
        }
        // Once: the second call refused nothing.
        let lines = LINES.lock().unwrap();
        let told = lines.iter().filter(|line| line.contains("no power"));
        let told: Vec<_> = told.collect();
        assert!(
            matches!(told[..], [line] if line.contains(": 7;")),
            "{lines:?}"
        );
    }
}
