//! GROMACS GRO files, read here: chemfiles joins all residues of one number.

use super::super::Residue;
use super::raw::{Label, Raw, RawAtom, RawResidue};

/// Reads the first frame. `Err` holds the reason.
pub(super) fn read(text: &str) -> Result<Raw, String> {
    let mut lines = text.lines();
    lines.next().ok_or("it has no title")?;
    let count = lines.next().ok_or("it has no number of atoms")?.trim();
    let count: usize = count
        .parse()
        .map_err(|_| format!("'{count}' on line 2 is no number of atoms"))?;
    let mut raw = Raw::default();
    for index in 0..count {
        let line = lines
            .next()
            .ok_or_else(|| format!("{index} of {count} atoms are there"))?;
        let field = |from: usize, to: usize| {
            line.get(from..to.min(line.len()))
                .unwrap_or_default()
                .trim()
        };
        // The number of decimals is free; the distance of the points is the width of a column.
        let rest = line.get(20..).unwrap_or_default();
        let width = rest
            .find('.')
            .and_then(|first| Some(1 + rest[first + 1..].find('.')?))
            .ok_or_else(|| format!("line {}: no coordinates behind column 20", index + 3))?;
        let mut position = [0.0; 3];
        for (k, x) in position.iter_mut().enumerate() {
            let text = field(20 + k * width, 20 + (k + 1) * width);
            let nm: f64 = text
                .parse()
                .map_err(|_| format!("line {}: '{text}' is no coordinate", index + 3))?;
            *x = nm / super::super::NM_PER_ANGSTROM;
        }
        let name = field(5, 10);
        let residue = raw.enter(RawResidue {
            residue: Residue {
                name: if name.is_empty() { "UNK" } else { name }.to_owned(),
                id: field(0, 5).parse().unwrap_or(1),
                chain: String::new(),
            },
            insertion: String::new(),
            segment: String::new(),
            standard: false,
        });
        raw.atoms.push(RawAtom {
            name: field(10, 15).to_owned(),
            label: Label::None,
            letters: None,
            residue,
            position,
            mass: 0.0,
            location: String::new(),
        });
    }
    // Diagonal first, then v1(y) v1(z) v2(x) v2(z) v3(x) v3(y).
    let numbers: Vec<f64> = lines
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|x| x.parse().ok())
        .collect();
    raw.cell = match numbers[..] {
        [a, b, c] => Some([[a, 0.0, 0.0], [0.0, b, 0.0], [0.0, 0.0, c]]),
        [a, b, c, ab, ac, ba, bc, ca, cb] => Some([[a, ab, ac], [ba, b, bc], [ca, cb, c]]),
        _ => None,
    }
    .filter(|cell| cell.iter().flatten().any(|x| *x != 0.0));
    Ok(raw)
}
