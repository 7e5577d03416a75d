//! PDB files, read here and not by chemfiles: CONECT records name serials, which chemfiles takes for positions; the element has
//! habits of its own in each program; residue names have four letters.

use super::super::Residue;
use super::raw::{Label, Raw, RawAtom, RawResidue};
use std::collections::HashMap;

/// Reads the first model. `Err` holds the reason.
pub(super) fn read(text: &str) -> Result<Raw, String> {
    let mut raw = Raw::default();
    let mut by_serial: HashMap<i64, Vec<usize>> = HashMap::new();
    let mut conect: Vec<(i64, i64)> = Vec::new();
    let mut names: Vec<[u8; 4]> = Vec::new();
    let mut unreadable = 0;
    // CONECT records stand behind the last model and refer to the first as well.
    let mut model_is_over = false;
    for (line_number, line) in text.lines().enumerate() {
        let line = Columns(line.as_bytes());
        match line.text(0, 6).trim_end() {
            "ATOM" | "HETATM" if !model_is_over => {
                let (serial, name, mut atom, residue) =
                    atom(&line).map_err(|reason| format!("line {}: {reason}", line_number + 1))?;
                atom.residue = raw.enter(residue);
                if let Some(serial) = serial {
                    by_serial.entry(serial).or_default().push(raw.atoms.len());
                }
                names.push(name);
                raw.atoms.push(atom);
            }
            "ENDMDL" | "END" if !raw.atoms.is_empty() => model_is_over = true,
            "CONECT" => match bonded(&line) {
                Some(serials) => {
                    let (first, others) = (serials[0], &serials[1..]);
                    conect.extend(others.iter().map(|&other| (first, other)));
                }
                None => unreadable += 1,
            },
            "CRYST1" => raw.cell = cell(&line),
            _ => {}
        }
    }
    set_letters(&mut raw.atoms, &names);
    let mut unknown = 0;
    for (a, b) in conect {
        match (
            by_serial.get(&a).map(Vec::as_slice),
            by_serial.get(&b).map(Vec::as_slice),
        ) {
            (Some(&[a]), Some(&[b])) if a != b => raw.bonds.push([a, b]),
            _ => unknown += 1,
        }
    }
    if unreadable + unknown > 0 {
        raw.notes.push(format!(
            "{} CONECT entries name no atom, or serial numbers that several atoms have, and are ignored",
            unreadable + unknown
        ));
    }
    Ok(raw)
}

/// A line by its columns, which are bytes.
struct Columns<'a>(&'a [u8]);

impl Columns<'_> {
    /// Columns `from..to`, counted from 0, as far as the line has them.
    fn text(&self, from: usize, to: usize) -> String {
        let to = to.min(self.0.len());
        String::from_utf8_lossy(self.0.get(from..to).unwrap_or_default()).into_owned()
    }

    fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(b' ')
    }
}

/// Serial, name with its blanks, atom, residue.
fn atom(line: &Columns) -> Result<(Option<i64>, [u8; 4], RawAtom, RawResidue), String> {
    let mut position = [0.0; 3];
    for (k, x) in position.iter_mut().enumerate() {
        let text = line.text(30 + 8 * k, 38 + 8 * k);
        *x = text
            .trim()
            .parse()
            .map_err(|_| format!("'{text}' is no coordinate (columns 31 to 54)"))?;
    }
    let name = [12, 13, 14, 15].map(|at| line.byte(at));
    // Column 21 is blank by the book; programs put the fourth letter of a residue's name there.
    let residue_name = line.text(17, 21).trim().to_owned();
    let location = line.text(16, 17).trim().to_owned();
    let residue = RawResidue {
        residue: Residue {
            name: if residue_name.is_empty() {
                "UNK".to_owned()
            } else {
                residue_name
            },
            id: hybrid36(&line.text(22, 26)).unwrap_or(1),
            chain: line.text(21, 22).trim().to_owned(),
        },
        insertion: line.text(26, 27).trim().to_owned(),
        segment: line.text(72, 76).trim().to_owned(),
        standard: line.text(0, 4) == "ATOM",
    };
    let atom = RawAtom {
        name: line.text(12, 16).trim().to_owned(),
        label: symbol(line).map_or(Label::None, Label::Symbol),
        letters: None,
        residue: 0,
        position,
        mass: 0.0,
        location,
    };
    Ok((hybrid36(&line.text(6, 11)), name, atom, residue))
}

/// The element in columns 77 and 78, right-justified by the book; found one column off as well, behind a segment name as well.
fn symbol(line: &Columns) -> Option<String> {
    let is_letter = |at: usize| line.byte(at).is_ascii_alphabetic();
    let start = [77, 76, 78].into_iter().find(|&at| is_letter(at))?;
    let first = (66..=start).rev().take_while(|&at| is_letter(at)).last()?;
    let last = (start..80).take_while(|&at| is_letter(at)).last()?;
    if last - first < 2 {
        return Some(line.text(first, last + 1));
    }
    // A segment name runs into it.
    is_letter(77).then(|| line.text(76, 78).trim().to_owned())
}

/// By the book, a symbol of one letter begins in column 14 and one of two letters in column 13. Names of four characters fill
/// both; and many programs begin all names in column 13, which shows where no name begins in column 14.
fn set_letters(atoms: &mut [RawAtom], names: &[[u8; 4]]) {
    if names.iter().all(|name| name[0] != b' ') {
        return;
    }
    for (atom, name) in atoms.iter_mut().zip(names) {
        atom.letters = match name {
            [b' ', ..] => Some(1),
            [a, b, _, b' '] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => Some(2),
            _ => None,
        };
    }
}

/// The serials of a CONECT record: up to four partners (further columns once held hydrogen bonds and salt bridges).
fn bonded(line: &Columns) -> Option<Vec<i64>> {
    let fields = (0..5).map(|k| line.text(6 + 5 * k, 11 + 5 * k));
    let filled: Vec<String> = fields.filter(|field| !field.trim().is_empty()).collect();
    let serials: Vec<i64> = filled.iter().filter_map(|field| hybrid36(field)).collect();
    (!serials.is_empty() && serials.len() == filled.len()).then_some(serials)
}

/// A decimal number, or one of hybrid-36: beyond the largest decimal of the field, letters count on (A0000 is 100000 in five
/// columns, a0000 follows ZZZZZ). <https://cci.lbl.gov/hybrid_36/>
fn hybrid36(field: &str) -> Option<i64> {
    let text = field.trim();
    let first = text.chars().next()?;
    if !first.is_ascii_alphabetic() {
        return text.parse().ok();
    }
    let width = u32::try_from(text.len()).ok()?;
    if text.len() != field.len() || !text.is_ascii() {
        return None;
    }
    let upper = first.is_ascii_uppercase();
    let cased = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase() == upper;
    if !text.chars().all(|c| c.is_ascii_alphanumeric() && cased(c)) {
        return None;
    }
    let value = i64::from_str_radix(text, 36).ok()?;
    let (block, decimals) = (36i64.pow(width - 1), 10i64.pow(width));
    let start = value - 10 * block + decimals;
    Some(if upper { start } else { start + 26 * block })
}

/// Cell vectors in nm from lengths and angles; `None` for the placeholder of files without a cell.
fn cell(line: &Columns) -> Option<[[f64; 3]; 3]> {
    let number = |from: usize, to: usize| line.text(from, to).trim().parse::<f64>().ok();
    let lengths = [number(6, 15)?, number(15, 24)?, number(24, 33)?];
    let angles = [number(33, 40)?, number(40, 47)?, number(47, 54)?];
    super::cell_vectors(lengths, angles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_beyond_99999() {
        assert_eq!(hybrid36("99999"), Some(99_999));
        assert_eq!(hybrid36("A0000"), Some(100_000));
        assert_eq!(hybrid36("A000Z"), Some(100_035));
        assert_eq!(hybrid36("ZZZZZ"), Some(43_770_015));
        assert_eq!(hybrid36("a0000"), Some(43_770_016));
        assert_eq!(hybrid36("zzzzz"), Some(87_440_031));
        assert_eq!(hybrid36("A000"), Some(10_000));
        assert_eq!(hybrid36("   -1"), Some(-1));
        for no in ["*****", "", "A00a0", " A000", "A-000"] {
            assert_eq!(hybrid36(no), None, "{no}");
        }
    }

    #[test]
    fn elements_in_and_beside_their_columns() {
        let line = |tail: &str| {
            let line = format!(
                "{:66}{tail}",
                "HETATM    1 CL1  LIG A   1       3.590  -0.714  -0.320  1.00  0.00"
            );
            symbol(&Columns(line.as_bytes()))
        };
        for (tail, expected) in [
            ("          CL", Some("CL")),
            ("           C", Some("C")),
            ("          C ", Some("C")),
            ("            C", Some("C")),
            ("           CL", Some("CL")),
            ("         CL", Some("CL")),
            ("           N1+", Some("N")),
            ("      SEGACL", Some("CL")),
            ("      SEGA C", Some("C")),
            ("      SEGA  ", None),
            ("      A    H", Some("H")),
            ("", None),
        ] {
            assert_eq!(line(tail).as_deref(), expected, "{tail}");
        }
    }
}
