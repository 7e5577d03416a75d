//! Units of the caller.

use std::ffi::c_char;
use std::mem::offset_of;

use crate::arguments::{Struct, output_struct, structure, text};
use crate::failure::{Failure, Status};
use crate::status::guard;

/// What one unit of the caller is, in the library's own units.
///
/// Set on a model, a move or an energy, it converts every number at the boundary. LAMMPS `lj` has sigma, epsilon and
/// epsilon / R of the molecule, with R = 8.31446261815324e-3 kJ/(mol K).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Units {
    /// `sizeof(regflow_units_t)`.
    pub struct_size: usize,
    /// Length, nm.
    pub length: f64,
    /// Energy, kJ/mol.
    pub energy: f64,
    /// Temperature, K.
    pub temperature: f64,
}

// SAFETY: plain numbers, the first of them `struct_size`.
unsafe impl Struct for Units {
    const NAME: &'static str = "regflow_units_t";
    const FIRST_SIZE: usize = offset_of!(Units, temperature) + size_of::<f64>();
}

impl Units {
    /// nm, kJ/mol, K.
    pub(crate) const MD: Units = Units {
        struct_size: size_of::<Units>(),
        length: 1.0,
        energy: 1.0,
        temperature: 1.0,
    };

    fn named(name: &str) -> Option<Units> {
        // eV in kJ/mol: the charge of the electron times the Avogadro constant, both exact.
        const EV: f64 = 1.602176634e-19 * 6.02214076e23 * 1e-3;
        let (length, energy) = match name {
            "md" => (1.0, 1.0),
            "lammps-real" => (0.1, 4.184),
            "lammps-metal" => (0.1, EV),
            _ => return None,
        };
        Some(Units {
            length,
            energy,
            ..Units::MD
        })
    }

    /// # Safety
    /// `units` is NULL or points to a struct whose `struct_size` is right.
    pub(crate) unsafe fn read(
        argument: &'static str,
        units: *const Units,
    ) -> Result<Self, Failure> {
        // SAFETY: the caller vouches for the pointer.
        let units = unsafe { structure(argument, units) }?;
        for (field, value) in [
            ("length", units.length),
            ("energy", units.energy),
            ("temperature", units.temperature),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Failure::Range {
                    argument,
                    what: format!("`{field}` is {value}"),
                    expected: "a positive number",
                });
            }
        }
        Ok(units)
    }

    /// What is added to a log density when it is one per volume in the caller's unit: the volume element of a molecule of N
    /// atoms without its place has the dimension of a length to the power of 3N - 3.
    pub(crate) fn log_density_shift(&self, n_atoms: usize) -> f64 {
        (3 * n_atoms).saturating_sub(3) as f64 * self.length.ln()
    }
}

/// Writes units by name to `*units`: "md" (nm, kJ/mol, K), "lammps-real" (Angstrom, kcal/mol, K) or "lammps-metal" (Angstrom,
/// eV, K).
///
/// `units->struct_size` must be set. Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from any thread. Since 1.
///
/// # Safety
/// `name` is a NUL-terminated string, and `units` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_units_named(name: *const c_char, units: *mut Units) -> Status {
    guard("regflow_units_named", || {
        // SAFETY: the caller vouches for the string.
        let name = unsafe { text("name", name) }?;
        let found = Units::named(name).ok_or_else(|| Failure::Range {
            argument: "name",
            what: format!("{name:?}"),
            expected: "md, lammps-real or lammps-metal (lj depends on the molecule: fill in sigma, epsilon, epsilon / R)",
        })?;
        // SAFETY: the caller vouches for the struct.
        unsafe { output_struct("units", units, found) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use regflow_core::system::{R, kt};

    #[test]
    fn named_units() {
        assert_eq!(Units::named("md"), Some(Units::MD));
        assert_eq!(Units::named("lammps-real").map(|u| u.energy), Some(4.184));
        // CODATA 2018: 96.48533212... kJ/mol.
        let metal = Units::named("lammps-metal").unwrap();
        assert!(
            (metal.energy - 96.485_332_123_310_02).abs() < 1e-12,
            "{}",
            metal.energy
        );
        assert_eq!(Units::named("si"), None);
    }

    #[test]
    fn kt_of_one_unit_of_temperature_is_one_epsilon_in_lj() {
        let units = Units {
            energy: 0.998,
            temperature: 0.998 / R,
            ..Units::MD
        };
        assert!((kt(units.temperature) / units.energy - 1.0).abs() < 1e-15);
    }

    #[test]
    fn log_densities_follow_the_length() {
        // In units of half a nm a volume element is 2^(3N - 3) times as large.
        let units = Units {
            length: 0.5,
            ..Units::MD
        };
        assert_eq!(units.log_density_shift(3), -6.0 * 2f64.ln());
        assert_eq!(Units::MD.log_density_shift(22), 0.0);
    }
}
