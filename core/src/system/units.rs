/// Molar gas constant, kJ/(mol K) (exact since the SI of 2019; CODATA 2018).
pub const R: f64 = 8.31446261815324e-3;

/// `kT = R T` in kJ/mol of a temperature in K.
pub fn kt(temperature: f64) -> f64 {
    R * temperature
}
