//! Which element an atom is: from what the file says, from its name and residue, and from masses.

use super::super::SystemError;
use super::super::elements::{Element, element, lookup};
use super::super::particles::{HEAVIEST_HYDROGEN, Particles, is_known, same_mass};
use super::raw::{Label, Raw, RawAtom};
use std::path::Path;

/// Residues whose atom names begin with a one-letter element, so that "CA" is no calcium: amino acids, nucleotides, their
/// variants in force fields, caps, water.
const BIOPOLYMER: &str = "ACE ALA ARG ASH ASN ASP CYM CYS CYX CYS2 CYSH GLH GLN GLU GLY HID HIE HIP HIS HIS1 HIS2 HISA HISB \
    HISD HISE HISH HISP HSD HSE HSP HYP ILE LEU LYN LYS LYSH LYP MET NHE NH2 NLE NME NMA CT2 CT3 PHE PRO SER THR TRP TYR VAL \
    ORN AIB DAL GLUH ASPH ASPP GLUP LSN \
    A C G U T I DA DC DG DT DU DI RA RC RG RU ADE CYT GUA URA THY HOH WAT SOL TIP3 TIP TP3 TP4 T3P T4P SPC H2O";

/// Whether the residue is one of the standard ones, in the spelling of some force field: N- and C-terminal forms have a letter
/// in front (NALA, CALA), terminal nucleotides a digit or letter behind (DA5, RU3, UN).
pub(super) fn is_biopolymer(residue: &str) -> bool {
    let known = |name: &str| BIOPOLYMER.split_whitespace().any(|known| known == name);
    let upper = residue.to_ascii_uppercase();
    let terminal = |name: &str| known(name) && name.len() >= 3;
    known(&upper)
        || upper.strip_prefix(['N', 'C']).is_some_and(terminal)
        || upper.strip_suffix(['5', '3', 'N']).is_some_and(|base| {
            base.len() <= 3 && (known(base)) && !terminal(base)
                || ["ADE", "CYT", "GUA", "URA", "THY"].contains(&base)
        })
}

/// Ions by the names that residues of one atom have. Others are found by their symbols.
const IONS: [(&str, &str); 18] = [
    ("SOD", "Na"),
    ("POT", "K"),
    ("CLA", "Cl"),
    ("CAL", "Ca"),
    ("CES", "Cs"),
    ("LIT", "Li"),
    ("RUB", "Rb"),
    ("BAR", "Ba"),
    ("CAD", "Cd"),
    ("CIO", "Cs"),
    ("IB", "I"),
    ("CIM", "Cl"),
    ("CIP", "Na"),
    ("QNA", "Na"),
    ("QCL", "Cl"),
    ("CHL", "Cl"),
    ("MGH", "Mg"),
    ("ZNB", "Zn"),
];

/// Sites that are no atoms: of four- and five-point water, lone pairs, Drude particles.
fn is_virtual(atom: &RawAtom, residue: &str) -> bool {
    let name = atom.name.to_ascii_uppercase();
    let symbol = match &atom.label {
        Label::Symbol(text) | Label::Type(text) => text.to_ascii_uppercase(),
        Label::None => String::new(),
    };
    let water = [
        "HOH", "WAT", "SOL", "TIP", "TIP4", "TIP5", "TP4", "TP5", "T4P", "T4E", "T5P", "OPC",
        "H2O", "SW",
    ];
    ["EP", "LP", "VS", "DU"].contains(&symbol.as_str())
        || water.contains(&residue)
            && [
                "M", "MW", "EP", "EPW", "OM", "MCW", "EP1", "EP2", "LP1", "LP2", "MW1", "MW2",
            ]
            .contains(&name.as_str())
}

/// How an element was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// The file says so.
    Stated,
    /// By a convention: names of standard residues, columns, masses.
    Known,
    /// By its look.
    Guessed,
}

/// What masses say of one atom.
#[derive(Clone, Copy)]
struct Mass {
    /// u; not known if 0 or NaN.
    own: f64,
    /// What it was before mass was moved to its hydrogens, where the bonds tell.
    restored: Option<f64>,
    /// Number of bonds, where they are known.
    bonds: Option<usize>,
}

impl Mass {
    fn allows(&self, element: &Element) -> bool {
        let Self {
            own,
            restored,
            bonds,
        } = *self;
        if !is_known(own) || element.number == 0 {
            return true;
        }
        if element.number == 1 {
            return (0.9..=HEAVIEST_HYDROGEN).contains(&own) && bonds.is_none_or(|n| n <= 1);
        }
        // Without bonds, up to four hydrogens may each have taken 3 u. United atoms carry up to four with them.
        let moved =
            restored.is_none() && own < element.mass && own > element.mass - 12.1 && own > 2.9;
        let united = (1..=4).any(|n| (own - element.mass - 1.008 * f64::from(n)).abs() < 0.05);
        moved
            || united
            || same_mass(own, element.mass)
            || restored.is_some_and(|m| same_mass(m, element.mass))
    }

    /// The element that fits best, where no text tells.
    fn element(&self) -> Option<Element> {
        let own = is_known(self.own).then_some(self.own)?;
        if (own < 1.3 || own < HEAVIEST_HYDROGEN && self.bonds.is_none_or(|n| n <= 1)) && own > 0.9
        {
            return Element::of("H");
        }
        let wanted = self.restored.unwrap_or(own);
        // Noble gases and what is heavier than lead make no molecules.
        let known = (3..=82)
            .filter(|number| ![10, 18, 36, 54].contains(number))
            .filter_map(|number| Element::of(element(number)?.0));
        let off = |element: &Element| (element.mass - wanted).abs();
        let best = known.min_by(|a, b| off(a).total_cmp(&off(b)))?;
        (off(&best) < 0.3).then_some(best)
    }
}

/// Atoms that a note names.
const MOST_NAMED: usize = 5;

/// The elements of all chosen atoms; `notes` is told what was guessed. `particles` are those of the chosen atoms, in their order.
pub(super) fn elements(
    path: &Path,
    raw: &Raw,
    particles: Option<&Particles>,
    notes: &mut Vec<String>,
) -> Result<Vec<Element>, SystemError> {
    let masses = masses(raw, particles);
    let mut in_residue = vec![0; raw.residues.len()];
    raw.atoms
        .iter()
        .for_each(|atom| in_residue[atom.residue] += 1);
    let mut guessed: Vec<String> = Vec::new();
    let mut corrected: Vec<String> = Vec::new();
    let mut found = Vec::with_capacity(raw.atoms.len());
    for (index, (atom, mass)) in raw.atoms.iter().zip(&masses).enumerate() {
        let residue = &raw.residues[atom.residue].residue;
        let place = || {
            format!(
                "{} ({} of {}{})",
                index, atom.name, residue.name, residue.id
            )
        };
        if is_virtual(atom, &residue.name) {
            return Err(SystemError::VirtualSite {
                path: path.to_owned(),
                atom: place(),
            });
        }
        let candidates = candidates(atom, &residue.name, in_residue[atom.residue] == 1);
        let stated = candidates
            .first()
            .is_some_and(|(_, source)| *source == Source::Stated);
        let fitting = candidates.iter().find(|(element, _)| mass.allows(element));
        let (element, source) = match (fitting, candidates.first()) {
            (Some(fitting), _) => fitting.clone(),
            // Which is then compared with the potential, where the order of atoms is told.
            (None, Some(first)) if stated => first.clone(),
            (None, first) => match (mass.element(), first) {
                (Some(element), _) => (element, Source::Known),
                (None, Some(first)) => first.clone(),
                (None, None) => {
                    return Err(SystemError::UnknownElement {
                        path: path.to_owned(),
                        atom: index,
                        name: atom.name.clone(),
                    });
                }
            },
        };
        if stated && candidates[0].0 != element {
            corrected.push(format!(
                "{} is {}, not {}",
                place(),
                element.symbol,
                candidates[0].0.symbol
            ));
        } else if source == Source::Guessed && !is_known(mass.own) {
            guessed.push(format!("{} is {}", place(), element.symbol));
        }
        found.push(element);
    }
    let mut tell = |what: &str, list: &[String]| {
        if list.is_empty() {
            return;
        }
        let named = list[..list.len().min(MOST_NAMED)].join(", atom ");
        let more = if list.len() > MOST_NAMED { ", ..." } else { "" };
        notes.push(format!(
            "{what} ({} in all): atom {named}{more}",
            list.len()
        ));
    };
    tell("elements are guessed from names", &guessed);
    tell(
        "elements of the file contradict names and masses",
        &corrected,
    );
    Ok(found)
}

/// Masses of the potential, else of the file.
fn masses(raw: &Raw, particles: Option<&Particles>) -> Vec<Mass> {
    let n = raw.atoms.len();
    let of_potential = particles
        .map(|p| p.masses)
        .filter(|masses| masses.len() == n);
    let own: Vec<f64> = match of_potential {
        Some(masses) => masses.to_vec(),
        None => raw.atoms.iter().map(|atom| atom.mass).collect(),
    };
    let mut neighbours = vec![Vec::new(); n];
    let of_potential = particles
        .into_iter()
        .flat_map(|p| p.bonds.iter().map(|bond| (bond.atoms, bond.length)));
    // 1-3 terms of the potential would count as bonds.
    let bonds: Vec<[usize; 2]> = match particles.is_some_and(|p| !p.bonds.is_empty()) {
        true => {
            let mut shortest = vec![f64::INFINITY; n];
            for (atoms, length) in of_potential.clone() {
                for atom in atoms {
                    if let Some(shortest) = shortest.get_mut(atom) {
                        *shortest = shortest.min(length);
                    }
                }
            }
            let close = |&([a, b], length): &([usize; 2], f64)| {
                a < n && b < n && length < 1.4 * shortest[a].max(shortest[b])
            };
            of_potential
                .clone()
                .filter(close)
                .map(|(atoms, _)| atoms)
                .collect()
        }
        false => raw.bonds.clone(),
    };
    for &[a, b] in &bonds {
        if !neighbours[a].contains(&b) {
            neighbours[a].push(b);
            neighbours[b].push(a);
        }
    }
    (0..n)
        .map(|atom| {
            let on_it = neighbours[atom]
                .iter()
                .map(|&other| (own[other], neighbours[other].len()));
            let moved: f64 = on_it
                .filter(|&(mass, bonds)| is_known(mass) && mass < HEAVIEST_HYDROGEN && bonds == 1)
                .map(|(mass, _)| mass - 1.008)
                .sum();
            Mass {
                own: own[atom],
                restored: (!bonds.is_empty()).then_some(own[atom] + moved),
                bonds: (!bonds.is_empty()).then_some(neighbours[atom].len()),
            }
        })
        .collect()
}

/// What the text of an atom may mean, the likeliest first.
fn candidates(atom: &RawAtom, residue: &str, alone: bool) -> Vec<(Element, Source)> {
    let mut found: Vec<(Element, Source)> = Vec::new();
    let mut add = |symbol: &str, source: Source| {
        if let Some(element) = Element::of(symbol)
            && found.iter().all(|(known, _)| *known != element)
        {
            found.push((element, source));
        }
    };
    let in_name = atom.name.trim_start_matches(|c: char| c.is_ascii_digit());
    let letters: String = in_name
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let (one, two) = (
        letters.get(..1).unwrap_or_default(),
        letters.get(..2).unwrap_or_default(),
    );
    match &atom.label {
        Label::Symbol(text) => {
            let symbol: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
            if Element::of(&symbol).is_none() && is_bead(&symbol) {
                found.push((Element::bead(), Source::Stated));
                return found;
            }
            add(&symbol, Source::Stated);
            // A program that took the first two letters of a name for the element.
            if symbol.len() == 2 && symbol.eq_ignore_ascii_case(two) {
                add(one, Source::Known);
            }
            if !found.is_empty() {
                return found;
            }
        }
        Label::Type(_) | Label::None => {}
    }
    let mut add = |symbol: &str, source: Source| {
        if let Some(element) = Element::of(symbol)
            && found.iter().all(|(known, _)| *known != element)
        {
            found.push((element, source));
        }
    };
    if alone && !is_biopolymer(residue) {
        let only_letters = |text: &str| {
            text.chars()
                .filter(char::is_ascii_alphabetic)
                .collect::<String>()
                .to_ascii_uppercase()
        };
        let (name, residue) = (only_letters(&atom.name), only_letters(residue));
        for (_, symbol) in IONS.iter().filter(|(known, _)| *known == residue) {
            add(symbol, Source::Known);
        }
        if name == residue {
            add(&name, Source::Known);
        }
    }
    if let Label::Type(text) = &atom.label {
        for element in of_type(text, one, two) {
            add(&element, Source::Guessed);
        }
    }
    if is_biopolymer(residue) {
        // "D" begins no name of a standard residue but that of deuterium.
        add(one, Source::Known);
        return found;
    }
    // "Cl1" is spelt as a symbol; "CL1" and "BR2" are hardly anything else; a "CD1" is a carbon more often than cadmium.
    let mixed = two.len() == 2 && two.as_bytes()[1].is_ascii_lowercase();
    let looks_like_two = mixed || ["CL", "BR", "SI", "SE"].contains(&two);
    match atom.letters {
        Some(2) => add(two, Source::Known),
        // By the book; but programs that begin all names in column 14 write chlorine so as well.
        Some(_) if looks_like_two && lookup(two).is_some() => add(one, Source::Guessed),
        Some(_) => add(one, Source::Known),
        None => {}
    }
    if looks_like_two {
        add(two, Source::Guessed);
    }
    add(
        one,
        if letters.len() == 1 {
            Source::Known
        } else {
            Source::Guessed
        },
    );
    add(two, Source::Guessed);
    found
}

/// Marks of beads in element columns.
fn is_bead(symbol: &str) -> bool {
    matches!(
        symbol.to_ascii_uppercase().as_str(),
        "X" | "XX" | "CG" | "BB" | "SC"
    )
}

/// Elements that a type of a force field may mean: by the rules of GAFF for lower case ones, else by their first letters, those
/// first that the name agrees with.
fn of_type(kind: &str, one: &str, two: &str) -> Vec<String> {
    let letters: String = kind
        .chars()
        .skip_while(|c| !c.is_ascii_alphabetic())
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let first = letters.get(..1).unwrap_or_default().to_owned();
    let pair = letters.get(..2).unwrap_or_default().to_owned();
    let gaff = kind.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    let two_letters = matches!(pair.to_ascii_lowercase().as_str(), "cl" | "br")
        || (!gaff
            && matches!(
                pair.as_str(),
                "Na" | "Mg" | "Zn" | "Fe" | "Li" | "Si" | "Se" | "Cu" | "Mn"
            ));
    let mut candidates = match two_letters {
        true => vec![pair.clone(), first.clone()],
        false => vec![first.clone(), pair.clone()],
    };
    if gaff {
        candidates.truncate(1);
    }
    // The name begins with an element as well; where both agree, that is it.
    let agrees =
        |symbol: &String| symbol.eq_ignore_ascii_case(one) || symbol.eq_ignore_ascii_case(two);
    candidates.sort_by_key(|symbol| !agrees(symbol) || symbol.is_empty());
    if candidates.first().is_none_or(|symbol| !agrees(symbol)) {
        candidates.insert(0, one.to_owned());
    }
    candidates.retain(|symbol| lookup(symbol).is_some() || symbol == "D");
    candidates
}

#[cfg(test)]
mod tests {
    use super::super::super::BondTerm;
    use super::*;

    /// A potential that holds neighbours and next neighbours of a long chain: only the former are bonds, however many atoms there are.
    #[test]
    fn terms_over_an_angle_are_no_bonds() {
        let n = 20_003;
        let raw = Raw {
            atoms: vec![RawAtom::default(); n],
            ..Raw::default()
        };
        let term = |step: usize, length| {
            (0..n - step).map(move |a| BondTerm {
                atoms: [a, a + step],
                length,
                k: 1e5,
            })
        };
        let bonds: Vec<BondTerm> = term(1, 0.15).chain(term(2, 0.25)).collect();
        let particles = Particles {
            source: "chain.xml",
            masses: &[],
            bonds: &bonds,
        };
        let found = masses(&raw, Some(&particles));
        for (atom, bonds) in [(0, 1), (1, 2), (n / 2, 2), (n - 1, 1)] {
            assert_eq!(found[atom].bonds, Some(bonds), "{atom}");
        }
    }
}
