//! The comment line of XYZ files: extended XYZ (`key=value`), i-PI (`positions{angstrom} CELL(abcABC): ...`), and words.

use super::cell;
use crate::math::vector::Vector;

/// Bohr radius in nm (CODATA 2018).
pub(super) const BOHR: f64 = 0.052_917_721_090_3;

/// What the comment says of a frame.
#[derive(Debug, PartialEq)]
pub(super) struct Comment {
    /// Length unit of the positions in nm.
    pub unit: f64,
    /// Cell vectors, nm.
    pub cell: Option<[Vector; 3]>,
    /// Columns of the atom lines, where the comment names them.
    pub columns: Option<Columns>,
    /// The first column is a number that the program gave the atom's type (LAMMPS' `dump xyz`), no nuclear charge.
    pub typed: bool,
}

/// Where things stand in an atom line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Columns {
    /// Of the symbol or nuclear charge.
    pub species: Option<usize>,
    /// Of x; y and z follow.
    pub position: usize,
    /// All columns.
    pub count: usize,
}

/// A unit of length in nm.
pub(super) fn length_unit(name: &str) -> Option<f64> {
    Some(match name.to_ascii_lowercase().as_str() {
        "angstrom" | "angstroms" | "angstroem" | "angstroemd0" | "ang" | "a" | "å" => 0.1,
        "bohr" | "bohrs" | "bohrd0" | "atomic_unit" | "atomic_units" | "atomic" | "atomicd0"
        | "au" | "a.u." | "a0" => BOHR,
        "nm" | "nanometer" | "nanometers" | "nanometre" => 1.0,
        "pm" | "picometer" | "picometers" | "picometre" => 1e-3,
        "micrometer" | "micrometre" => 1e3,
        "m" | "meter" | "metre" => 1e9,
        _ => return None,
    })
}

impl Comment {
    /// Reads a comment line.
    ///
    /// # Errors
    /// What cannot be understood, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut result = Self {
            unit: 0.1,
            cell: None,
            columns: None,
            typed: text.trim_start().starts_with("Atoms. Timestep"),
        };
        let mut cell_unit = None;
        let mut unit = None;
        let pairs = pairs(text);
        for (key, value) in &pairs {
            match key.to_ascii_lowercase().as_str() {
                "properties" => result.columns = Some(columns(value)?),
                "units" | "unit" | "length_unit" | "length_units" | "distance_unit"
                | "distance_units" | "pos_unit" | "pos_units" | "position_unit"
                | "positions_unit" | "positions_units" | "coordinate_unit" | "coordinates_unit" => {
                    unit = length_unit(value).or(unit);
                }
                _ => {}
            }
        }
        if let Some(ipi) = ipi(text)? {
            unit = Some(ipi.positions);
            cell_unit = Some(ipi.cell);
            result.cell = ipi.vectors;
        } else if unit.is_none() && pairs.is_empty() {
            unit = unit_in_words(text);
        }
        result.unit = unit.unwrap_or(0.1);
        let scale = cell_unit.unwrap_or(result.unit);
        for (key, value) in &pairs {
            match key.to_ascii_lowercase().as_str() {
                "lattice" => {
                    result.cell = lattice(value).map_err(|reason| format!("{key}: {reason}"))?;
                }
                // No convention: whatever else this may be is no fault.
                "cell" => result.cell = lattice(value).unwrap_or(result.cell),
                _ => {}
            }
        }
        result.cell = result
            .cell
            .map(|vectors| vectors.map(|vector| vector.map(|x| x * scale)));
        Ok(result)
    }
}

/// The `key=value` pairs of a comment, with or without quotes and blanks around the sign.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some(sign) = rest.find('=') {
        let key = rest[..sign].split_whitespace().next_back();
        let key = key.unwrap_or_default().trim_matches(['"', '\'']).to_owned();
        let value = rest[sign + 1..].trim_start();
        let close = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => Some(quote),
            Some('{') => Some('}'),
            Some('[') => Some(']'),
            _ => None,
        };
        let (value, after) = match close {
            // Brackets may be nested: up to the last one that a bracket or blanks do not follow.
            Some(']') => {
                let mut depth = 0;
                let end = value.find(|c| {
                    depth += i32::from(c == '[') - i32::from(c == ']');
                    depth == 0
                });
                end.map_or((&value[1..], ""), |end| (&value[1..end], &value[end + 1..]))
            }
            Some(close) => {
                let end = value[1..].find(close).map(|end| end + 1);
                end.map_or((&value[1..], ""), |end| (&value[1..end], &value[end + 1..]))
            }
            None => {
                let end = value.find(char::is_whitespace).unwrap_or(value.len());
                value.split_at(end)
            }
        };
        pairs.push((key, value.to_owned()));
        rest = after;
    }
    pairs
}

/// Columns from `species:S:1:pos:R:3:...`: name, type and number of columns.
fn columns(text: &str) -> Result<Columns, String> {
    let fields: Vec<&str> = text.split(':').map(str::trim).collect();
    let (groups, rest) = fields.as_chunks::<3>();
    if !rest.is_empty() || groups.is_empty() {
        return Err(format!(
            "Properties='{text}' are not groups of name:type:columns"
        ));
    }
    let (mut species, mut charge, mut position, mut count) = (None, None, None, 0_usize);
    for &[name, kind, width] in groups {
        let width: usize = width
            .parse()
            .ok()
            .filter(|width| (1..=1000).contains(width))
            .ok_or_else(|| format!("Properties: '{width}' columns of '{name}'"))?;
        match name.to_ascii_lowercase().as_str() {
            "pos" | "position" | "positions" | "coordinates" | "xyz" if width == 3 => {
                position = position.or(Some(count));
            }
            "species" | "element" | "elements" | "symbol" | "symbols" | "atomic_symbol"
                if kind.eq_ignore_ascii_case("S") && width == 1 =>
            {
                species = species.or(Some(count));
            }
            "z" | "numbers" | "atomic_number" | "atomic_numbers" | "species"
                if kind.eq_ignore_ascii_case("I") && width == 1 =>
            {
                charge = charge.or(Some(count));
            }
            _ => {}
        }
        count += width;
    }
    let position =
        position.ok_or_else(|| format!("Properties='{text}' have no positions (pos:R:3)"))?;
    Ok(Columns {
        species: species.or(charge),
        position,
        count,
    })
}

/// Cell vectors from nine numbers (vector after vector), or three lengths of a rectangular cell.
fn lattice(text: &str) -> Result<Option<[Vector; 3]>, String> {
    let numbers: Result<Vec<f64>, _> = text
        .split(|c: char| c.is_whitespace() || ",[]{}".contains(c))
        .filter(|token| !token.is_empty())
        .map(str::parse)
        .collect();
    match numbers.as_deref() {
        Ok(&[ax, ay, az, bx, by, bz, cx, cy, cz]) => {
            Ok(cell::checked([[ax, ay, az], [bx, by, bz], [cx, cy, cz]]))
        }
        Ok(&[a, b, c]) => Ok(cell::from_lengths([a, b, c], [90.0; 3])),
        _ => Err(format!("'{text}' are not nine numbers")),
    }
}

/// What i-PI writes.
struct IPi {
    positions: f64,
    cell: f64,
    /// In units of `cell`.
    vectors: Option<[Vector; 3]>,
}

/// i-PI's comment: quantities with units in braces, `positions{angstrom} cell{atomic_unit}`; without any, atomic units.
fn ipi(text: &str) -> Result<Option<IPi>, String> {
    let (mut positions, mut cell_unit, mut other) = (None, None, None);
    for word in text.split_whitespace() {
        let Some((name, unit)) = word.strip_suffix('}').and_then(|word| word.split_once('{'))
        else {
            continue;
        };
        let known = || {
            if unit == "automatic" {
                return Ok(BOHR);
            }
            length_unit(unit).ok_or_else(|| format!("'{unit}' is no unit of length in '{word}'"))
        };
        match name {
            "positions" | "x_centroid" | "positions_centroid" => positions = Some(known()?),
            "cell" => cell_unit = Some(known()?),
            _ => other = Some(word),
        }
    }
    let shape = text.find("CELL").map(|at| &text[at + 4..]);
    if positions.is_none() && cell_unit.is_none() && shape.is_none() {
        return Ok(None);
    }
    if let (None, Some(other)) = (positions, other) {
        return Err(format!("the frame holds {other}, no positions"));
    }
    let vectors = match shape {
        None => None,
        Some(shape) => {
            let (kind, numbers) = shape
                .trim_start_matches(['(', '[', '{'])
                .split_once([')', ']', '}'])
                .unwrap_or_default();
            let numbers: Vec<f64> = numbers
                .trim_start_matches(':')
                .split_whitespace()
                .map_while(|number| number.parse().ok())
                .collect();
            match (kind, numbers.as_slice()) {
                ("abcABC", &[a, b, c, alpha, beta, gamma]) => {
                    cell::from_lengths([a, b, c], [alpha, beta, gamma])
                }
                // Matrices whose columns are the vectors.
                ("H" | "GENH", &[xx, xy, xz, yx, yy, yz, zx, zy, zz]) => {
                    cell::checked([[xx, yx, zx], [xy, yy, zy], [xz, yz, zz]])
                }
                _ => return Err(format!("'CELL{shape}' is no cell")),
            }
        }
    };
    Ok(Some(IPi {
        positions: positions.unwrap_or(BOHR),
        cell: cell_unit.unwrap_or(BOHR),
        vectors,
    }))
}

/// A unit in a sentence: "coordinates in bohr", "units: nm".
fn unit_in_words(text: &str) -> Option<f64> {
    let words: Vec<String> = text
        .split(|c: char| c.is_whitespace() || ":,;()[]".contains(c))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let subject = |word: &str| {
        [
            "coordinates",
            "coords",
            "positions",
            "geometry",
            "units",
            "unit",
            "lengths",
            "distances",
        ]
        .contains(&word)
    };
    words.iter().enumerate().find_map(|(at, word)| {
        let next = words[at + 1..]
            .iter()
            .find(|word| !["in", "are", "is", "of", "given"].contains(&word.as_str()))?;
        // "a" and "m" are words of English too.
        length_unit(next).filter(|_| subject(word) && next.len() > 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Comment {
        Comment::parse(text).unwrap()
    }

    #[test]
    fn columns_in_any_order() {
        let at = |text: &str| parse(text).columns.unwrap();
        let columns = |species, position, count| Columns {
            species,
            position,
            count,
        };
        assert_eq!(
            at("Properties=species:S:1:forces:R:3:pos:R:3 pbc=\"F F F\""),
            columns(Some(0), 4, 7)
        );
        assert_eq!(
            at("energy = -1.5 properties='id:I:1:momenta:R:3:pos:R:3:Z:I:1:tag:L:2'"),
            columns(Some(7), 4, 10)
        );
        assert_eq!(at("Properties=pos:R:3"), columns(None, 0, 3));
        for bad in [
            "species:S:1:forces:R:3",
            "species:S",
            "pos:R:x",
            "frac:R:3",
            "",
        ] {
            assert!(
                Comment::parse(&format!("Properties={bad} a=1")).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn cells_of_any_spelling() {
        let cell = Some([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [0.0, 0.0, 3.0]]);
        for text in [
            "Lattice=\"10 0 0 5 20 0 0 0 30\"",
            "pbc=\"T T T\" LATTICE='10. 0 0 5.0 2e1 0 0 0 30' energy=1",
            "Lattice={10 0 0 5 20 0 0 0 30}",
            "Lattice=[[10, 0, 0], [5, 20, 0], [0, 0, 30]] Properties=species:S:1:pos:R:3",
            "Lattice = \"10 0 0 5 20 0 0 0 30\" name = \"a = b\"",
        ] {
            let found = parse(text).cell.unwrap();
            for (x, y) in found.iter().flatten().zip(cell.iter().flatten().flatten()) {
                assert!((x - y).abs() < 1e-15, "{text}: {found:?}");
            }
        }
        assert!(parse("Lattice=\"10 20 30\"").cell.is_some());
        assert!(parse("Lattice=\"0 0 0 0 0 0 0 0 0\"").cell.is_none());
        assert!(Comment::parse("Lattice=\"1 2 3 4\"").is_err());
    }

    #[test]
    fn units_of_other_programs() {
        for (text, unit) in [
            ("", 0.1),
            ("frame 3, E = -12.5 hartree, gradient in hartree/bohr", 0.1),
            ("Step: 0 positions{atomic_unit} cell{atomic_unit}", BOHR),
            (
                "# Step: 1 Bead: 0 x_centroid{nanometer} cell{angstrom}",
                1.0,
            ),
            ("# CELL(abcABC): 30 30 30 90 90 90 Step: 0 Bead: 0", BOHR),
            (
                "# CELL(abcABC): 30 30 30 90 90 90 Traj: positions{angstrom} cell{atomic_unit}",
                0.1,
            ),
            ("Properties=species:S:1:pos:R:3 units=bohr", BOHR),
            ("Coordinates in Bohr", BOHR),
            ("units: nm", 1.0),
            ("units in a box", 0.1),
        ] {
            assert_eq!(parse(text).unit, unit, "{text}");
        }
        let cell = parse("# CELL(abcABC): 30 30 30 90 90 90 positions{angstrom} cell{bohr}").cell;
        assert!((cell.unwrap()[2][2] - 30.0 * BOHR).abs() < 1e-12);
        let cell = parse("# CELL(H): 10 2 3 0 11 4 0 0 12 positions{angstrom} cell{angstrom}").cell;
        assert!((cell.unwrap()[2][0] - 0.3).abs() < 1e-15);
        for bad in [
            "Step: 0 Traj: forces{atomic_unit} cell{atomic_unit}",
            "positions{kelvin} cell{atomic_unit}",
            "# CELL(abcABC): 30 30 positions{angstrom}",
        ] {
            assert!(Comment::parse(bad).is_err(), "{bad}");
        }
    }
}
