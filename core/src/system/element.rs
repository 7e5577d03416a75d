//! Chemical elements by nuclear charge.

use super::structure;

/// Symbols by nuclear charge, from 1.
#[rustfmt::skip]
const SYMBOLS: [&str; 118] = [
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca", "Sc", "Ti",
    "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc",
    "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd",
    "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At",
    "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg",
    "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og",
];

/// Symbol and standard atomic mass (g/mol) of the element with this nuclear charge; none where there is no such element.
pub fn element(atomic_number: u32) -> Option<(&'static str, f64)> {
    let index = usize::try_from(atomic_number).ok()?.checked_sub(1)?;
    let symbol = SYMBOLS.get(index)?;
    let mass = structure::lookup(symbol).map_or(f64::NAN, |(_, _, mass)| mass);
    Some((symbol, mass))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// chemfiles has a table of its own, by symbol.
    #[test]
    fn symbols_and_masses_are_those_of_the_periodic_table() {
        for number in 1..=118 {
            let (symbol, mass) = element(number).unwrap();
            let (_, found, _) = structure::lookup(symbol).unwrap_or_else(|| panic!("{symbol}"));
            assert_eq!(found, number, "{symbol}");
            assert!(mass >= f64::from(number), "{symbol}: {mass}");
        }
        assert_eq!(element(6), Some(("C", 12.011)));
        assert_eq!(element(0), None);
        assert_eq!(element(119), None);
        assert_eq!(element(u32::MAX), None);
    }
}
