//! Tripos MOL2 files, read here: chemfiles takes types of force fields (GAFF's os, ca, nb, ...) for symbols, and numbers of atoms
//! for positions.

use std::collections::HashMap;

use super::super::Residue;
use super::raw::{Label, Raw, RawAtom, RawResidue};

/// Reads the first molecule. `Err` holds the reason.
pub(super) fn read(text: &str) -> Result<Raw, String> {
    let mut raw = Raw::default();
    let mut place: HashMap<String, usize> = HashMap::new();
    let (mut section, mut molecules) = (String::new(), 0);
    let mut sybyl = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("@<TRIPOS>") {
            name.trim().clone_into(&mut section);
            molecules += usize::from(section == "MOLECULE");
            if molecules > 1 {
                break;
            }
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = |what: &str| format!("line {}: {what}", number + 1);
        let fields: Vec<&str> = line.split_whitespace().collect();
        match section.as_str() {
            "ATOM" => {
                let [id, name, x, y, z, kind, rest @ ..] = &fields[..] else {
                    return Err(at(
                        "an atom has a number, a name, three coordinates and a type",
                    ));
                };
                let mut position = [0.0; 3];
                for (x, text) in position.iter_mut().zip([x, y, z]) {
                    *x = text
                        .parse()
                        .map_err(|_| at(&format!("'{text}' is no coordinate")))?;
                }
                if place.insert((*id).to_owned(), raw.atoms.len()).is_some() {
                    return Err(at(&format!("a second atom of number {id}")));
                }
                let residue = raw.enter(RawResidue {
                    residue: residue(rest),
                    insertion: String::new(),
                    segment: String::new(),
                    standard: false,
                });
                sybyl.push(symbol(kind));
                raw.atoms.push(RawAtom {
                    name: (*name).to_owned(),
                    label: Label::Type((*kind).to_owned()),
                    letters: None,
                    residue,
                    position,
                    mass: 0.0,
                    location: String::new(),
                });
            }
            "BOND" => {
                let [_, a, b, ..] = &fields[..] else {
                    return Err(at("a bond has a number and two atoms"));
                };
                let find = |id: &str| {
                    place
                        .get(id)
                        .copied()
                        .ok_or_else(|| at(&format!("a bond of atom {id}, which is not there")))
                };
                raw.bonds.push([find(a)?, find(b)?]);
            }
            _ => {}
        }
    }
    // Types with a dot (C.3, N.am) are Sybyl's, and then all are; files of a force field have none.
    let is_sybyl = raw
        .atoms
        .iter()
        .any(|atom| matches!(&atom.label, Label::Type(kind) if kind.contains('.')))
        || raw.atoms.iter().zip(&sybyl).all(|(atom, symbol)| {
            let Label::Type(kind) = &atom.label else {
                return false;
            };
            symbol.as_ref() == Some(kind) && atom.name.starts_with(kind.as_str())
        });
    if is_sybyl {
        for (atom, symbol) in raw.atoms.iter_mut().zip(sybyl) {
            if let Some(symbol) = symbol {
                atom.label = Label::Symbol(symbol);
            }
        }
    }
    Ok(raw)
}

/// The chemical symbol in a Sybyl type.
fn symbol(kind: &str) -> Option<String> {
    let symbol = kind.split('.').next().unwrap_or_default();
    match symbol {
        // Dummy atoms and lone pairs.
        "Du" | "LP" => Some("EP".to_owned()),
        _ => {
            let proper = symbol
                .chars()
                .next()
                .is_some_and(|c| c.is_ascii_uppercase())
                && symbol.chars().skip(1).all(|c| c.is_ascii_lowercase());
            (proper && super::super::elements::lookup(symbol).is_some()).then(|| symbol.to_owned())
        }
    }
}

/// From the fields behind the type: number and name of the substructure, which may have its number in it ("ALA2").
fn residue(fields: &[&str]) -> Residue {
    let id = fields.first().and_then(|id| id.parse().ok()).unwrap_or(1);
    let name = fields.get(1).copied().unwrap_or("UNK");
    let bare = name
        .strip_suffix(&id.to_string())
        .filter(|bare| !bare.is_empty());
    Residue {
        name: bare.unwrap_or(name).to_owned(),
        id,
        chain: String::new(),
    }
}
