//! Elements: symbols, standard masses, covalent radii, from the periodic table of chemfiles.

use super::{Atom, NM_PER_ANGSTROM};

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
    // chemfiles still has the temporary names of some.
    let in_table = match *symbol {
        "Nh" => "Uut",
        "Mc" => "Uup",
        "Ts" => "Uus",
        "Og" => "Uuo",
        symbol => symbol,
    };
    Some((symbol, chemfiles::Atom::new(in_table).mass()))
}

/// An element, or a bead of a coarse-grained model (nuclear charge 0).
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Element {
    pub symbol: String,
    pub number: u32,
    /// u
    pub mass: f64,
}

/// Symbol of what is no element.
pub(super) const BEAD: &str = "X";

impl Element {
    /// By its symbol in any case; D and T are hydrogen with masses of their own.
    pub(super) fn of(symbol: &str) -> Option<Self> {
        let isotope = match symbol {
            "D" | "d" => Some(2.014),
            "T" | "t" => Some(3.016),
            _ => None,
        };
        let (symbol, number, mass) = lookup(if isotope.is_some() { "H" } else { symbol })?;
        Some(Element {
            symbol,
            number,
            mass: isotope.unwrap_or(mass),
        })
    }

    /// A bead; its mass is not known.
    pub(super) fn bead() -> Self {
        Element {
            symbol: BEAD.to_owned(),
            number: 0,
            mass: 0.0,
        }
    }
}

/// Symbol, nuclear charge and standard mass of an element by its symbol in any case.
pub(super) fn lookup(symbol: &str) -> Option<(String, u32, f64)> {
    if symbol.is_empty() || symbol.len() > 2 || !symbol.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let symbol = symbol[..1].to_ascii_uppercase() + &symbol[1..].to_ascii_lowercase();
    let atom = chemfiles::Atom::new(symbol.as_str());
    let number = u32::try_from(atom.atomic_number())
        .ok()
        .filter(|&number| number > 0)?;
    Some((symbol, number, atom.mass()))
}

/// Covalent radius, nm; `None` for beads and for elements without one.
pub(super) fn covalent_radius(atom: &Atom) -> Option<f64> {
    if atom.atomic_number == 0 {
        return None;
    }
    let radius = chemfiles::Atom::new(atom.element.as_str()).covalent_radius();
    (radius > 0.0).then_some(radius * NM_PER_ANGSTROM)
}

/// Sum of the covalent radii, nm: about the length of a single bond. `None` where a radius is not known.
pub(super) fn bond_length(a: &Atom, b: &Atom) -> Option<f64> {
    Some(covalent_radius(a)? + covalent_radius(b)?)
}

/// The largest plausible number of neighbours, charged groups included. A lower bound is not needed: in a connected molecule
/// each atom has a neighbour.
pub(super) fn most_bonds(atomic_number: u32) -> usize {
    match atomic_number {
        0 => usize::MAX,
        1 | 9 => 1,
        // Perchlorate and its like.
        17 | 35 | 53 => 4,
        6 | 7 => 4,
        8 => 3,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// chemfiles has a table of its own, by symbol.
    #[test]
    fn symbols_and_masses_are_those_of_the_periodic_table() {
        for number in 1..=118 {
            let (symbol, mass) = element(number).unwrap();
            // The temporary names of the last ones have three letters.
            if ![113, 115, 117, 118].contains(&number) {
                let (_, found, _) = lookup(symbol).unwrap_or_else(|| panic!("{symbol}"));
                assert_eq!(found, number, "{symbol}");
            }
            assert!(mass >= f64::from(number), "{symbol}: {mass}");
        }
        assert_eq!(element(6), Some(("C", 12.011)));
        assert_eq!(element(0), None);
        assert_eq!(element(119), None);
        assert_eq!(element(u32::MAX), None);
    }
}
