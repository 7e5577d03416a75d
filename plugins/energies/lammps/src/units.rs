//! What one unit of a LAMMPS unit style is.

/// Values of one unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Units {
    /// nm.
    pub length: f64,
    /// kJ/mol.
    pub energy: f64,
    /// u; `None` where masses have no unit.
    pub mass: Option<f64>,
}

/// Avogadro's constant in 1/zmol: energies in zJ times this are J/mol (CODATA 2018).
const AVOGADRO_ZEPTO: f64 = 602.214_076;

impl Units {
    /// The unit styles with units of their own; `lj` has none.
    pub const STYLES: &str = "real, metal, electron, nano, micro, si and cgs";

    /// The units of a style, `None` for others than [`Units::STYLES`].
    pub fn of_style(style: &str) -> Option<Self> {
        let joule = AVOGADRO_ZEPTO * 1e18;
        let kilogram = AVOGADRO_ZEPTO * 1e24;
        let (length, energy, mass) = match style {
            "real" => (0.1, 4.184, 1.0),
            "metal" => (0.1, 96.485_332_123_31, 1.0),
            // Bohr and Hartree, CODATA 2018.
            "electron" => (0.052_917_721_090_3, 2_625.499_639_479, 1.0),
            // ag nm^2 / ns^2
            "nano" => (1.0, 1e-21 * joule, 1e-21 * kilogram),
            // pg um^2 / us^2
            "micro" => (1e3, 1e-15 * joule, 1e-15 * kilogram),
            "si" => (1e9, joule, kilogram),
            "cgs" => (1e7, 1e-7 * joule, 1e-3 * kilogram),
            _ => return None,
        };
        Some(Units {
            length,
            energy,
            mass: Some(mass),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One hydrogen atom at 1 km/s: m v^2 in each style's units of mass and velocity.
    #[test]
    fn energies_are_mass_times_velocity_squared() {
        // kJ/mol: u (km/s)^2 = u nm^2/ps^2 exactly.
        for (style, speed) in [
            ("nano", 1e3 / 1.0), // km/s in nm/ns
            ("micro", 1e3),      // in um/us
            ("si", 1e3),         // in m/s
            ("cgs", 1e5),        // in cm/s
        ] {
            let units = Units::of_style(style).unwrap();
            let mass = 1.008 / units.mass.unwrap();
            let energy = mass * speed * speed * units.energy;
            assert!((energy / 1.008 - 1.0).abs() < 1e-9, "{style}: {energy}");
        }
    }

    #[test]
    fn molecular_styles() {
        let electronvolt = 1.602_176_634e-19 * AVOGADRO_ZEPTO * 1e18;
        let metal = Units::of_style("metal").unwrap();
        assert!((metal.energy / electronvolt - 1.0).abs() < 1e-12);
        let electron = Units::of_style("electron").unwrap();
        assert!((electron.energy / (27.211_386_245_988 * electronvolt) - 1.0).abs() < 1e-10);
        assert_eq!(Units::of_style("real").unwrap().energy, 4.184);
        assert_eq!(Units::of_style("lj"), None);
    }
}
