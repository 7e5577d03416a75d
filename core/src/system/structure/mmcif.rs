//! mmCIF files, read here: chemfiles keeps the quotes of names such as "O5'", takes `.cif` for the format of small molecules, and
//! knows no alternate locations, insertion codes or bonds.

use std::collections::HashMap;

use super::super::Residue;
use super::raw::{Label, Raw, RawAtom, RawResidue};

/// Whether a CIF holds atoms by Cartesian coordinates, as macromolecules do. Crystals have fractional ones.
pub(super) fn is_mmcif(text: &str) -> bool {
    text.contains("_atom_site.Cartn_x")
}

/// Rows of one category, by the names of its items.
#[derive(Default)]
struct Table {
    items: Vec<String>,
    values: Vec<String>,
}

impl Table {
    /// The item of a row; `None` for an absent one, and for the marks of unknown and inapplicable values.
    fn get(&self, row: usize, item: &str) -> Option<&str> {
        let column = self.items.iter().position(|name| name == item)?;
        let value = self.values.get(row * self.items.len() + column)?.as_str();
        (value != "." && value != "?").then_some(value)
    }

    fn rows(&self) -> usize {
        self.values.len() / self.items.len().max(1)
    }
}

/// Reads the first model. `Err` holds the reason.
pub(super) fn read(text: &str) -> Result<Raw, String> {
    let tables = tables(text)?;
    let sites = tables.get("atom_site").ok_or("it has no _atom_site")?;
    let mut raw = Raw::default();
    let mut bonds_by: HashMap<[String; 5], usize> = HashMap::new();
    let first_model = sites.get(0, "pdbx_PDB_model_num").map(str::to_owned);
    for row in 0..sites.rows() {
        let get = |item: &str| sites.get(row, item);
        let either = |a: &str, b: &str| get(a).or_else(|| get(b)).unwrap_or_default().to_owned();
        if get("pdbx_PDB_model_num").map(str::to_owned) != first_model {
            continue;
        }
        let mut position = [0.0; 3];
        for (x, item) in position.iter_mut().zip(["Cartn_x", "Cartn_y", "Cartn_z"]) {
            let text = get(item).unwrap_or_default();
            // A standard deviation in brackets may follow.
            let number = text.split('(').next().unwrap_or_default();
            *x = number
                .parse()
                .map_err(|_| format!("atom {}: {item} is '{text}'", row + 1))?;
        }
        let name = either("label_atom_id", "auth_atom_id");
        let residue_name = either("label_comp_id", "auth_comp_id");
        let (chain, number) = (
            either("auth_asym_id", "label_asym_id"),
            either("auth_seq_id", "label_seq_id"),
        );
        let residue = raw.enter(RawResidue {
            residue: Residue {
                name: if residue_name.is_empty() {
                    "UNK".to_owned()
                } else {
                    residue_name.clone()
                },
                id: number.parse().unwrap_or(1),
                chain: chain.clone(),
            },
            insertion: get("pdbx_PDB_ins_code").unwrap_or_default().to_owned(),
            segment: String::new(),
            standard: get("group_PDB") != Some("HETATM"),
        });
        let location = get("label_alt_id").unwrap_or_default().to_owned();
        let key = [chain, number, residue_name, name.clone(), location.clone()];
        bonds_by.entry(key).or_insert(raw.atoms.len());
        raw.atoms.push(RawAtom {
            name,
            label: get("type_symbol")
                .map_or(Label::None, |symbol| Label::Symbol(symbol.to_owned())),
            letters: None,
            residue,
            position,
            mass: 0.0,
            location,
        });
    }
    within_components(&tables, &mut raw);
    if let Some(connections) = tables.get("struct_conn") {
        between_residues(connections, &bonds_by, &mut raw);
    }
    if let Some(cell) = tables.get("cell") {
        let numbers = |items: [&str; 3]| -> Option<[f64; 3]> {
            let value = |item| cell.get(0, item)?.split('(').next()?.parse().ok();
            Some([value(items[0])?, value(items[1])?, value(items[2])?])
        };
        let lengths = numbers(["length_a", "length_b", "length_c"]);
        let angles = numbers(["angle_alpha", "angle_beta", "angle_gamma"]);
        raw.cell = lengths
            .zip(angles)
            .and_then(|(l, a)| super::cell_vectors(l, a));
    }
    Ok(raw)
}

/// Bonds of the components (residues) that the file describes.
fn within_components(tables: &HashMap<String, Table>, raw: &mut Raw) {
    let Some(table) = tables.get("chem_comp_bond") else {
        return;
    };
    let mut named: HashMap<(usize, &str), usize> = HashMap::new();
    for (index, atom) in raw.atoms.iter().enumerate() {
        named
            .entry((atom.residue, atom.name.as_str()))
            .or_insert(index);
    }
    let mut of_component: HashMap<&str, Vec<usize>> = HashMap::new();
    for (residue, known) in raw.residues.iter().enumerate() {
        let residues = of_component.entry(&known.residue.name).or_default();
        residues.push(residue);
    }
    let mut bonds = Vec::new();
    for row in 0..table.rows() {
        let get = |item: &str| table.get(row, item).unwrap_or_default();
        for &residue in of_component.get(get("comp_id")).into_iter().flatten() {
            let atoms = ["atom_id_1", "atom_id_2"].map(|item| named.get(&(residue, get(item))));
            if let [Some(&a), Some(&b)] = atoms {
                bonds.push([a, b]);
            }
        }
    }
    raw.bonds.extend(bonds);
}

/// Covalent bonds and disulfides between residues; hydrogen bonds and contacts of metals are in the same table.
fn between_residues(table: &Table, atoms: &HashMap<[String; 5], usize>, raw: &mut Raw) {
    for row in 0..table.rows() {
        let kind = table.get(row, "conn_type_id").unwrap_or_default();
        if !(kind.starts_with("covale") || kind == "disulf") {
            continue;
        }
        let partner = |k: usize| {
            let get = |items: [String; 2]| {
                let value = items.iter().find_map(|item| table.get(row, item));
                value.unwrap_or_default().to_owned()
            };
            let item = |auth: &str| {
                get([
                    format!("ptnr{k}_auth_{auth}"),
                    format!("ptnr{k}_label_{auth}"),
                ])
            };
            atoms.get(&[
                item("asym_id"),
                item("seq_id"),
                get([
                    format!("ptnr{k}_label_comp_id"),
                    format!("ptnr{k}_auth_comp_id"),
                ]),
                get([
                    format!("ptnr{k}_label_atom_id"),
                    format!("ptnr{k}_auth_atom_id"),
                ]),
                get([format!("pdbx_ptnr{k}_label_alt_id"), String::new()]),
            ])
        };
        // Partners in another asymmetric unit are not in the file.
        let same_unit = table.get(row, "ptnr1_symmetry") == table.get(row, "ptnr2_symmetry");
        if let (Some(&a), Some(&b), true) = (partner(1), partner(2), same_unit) {
            raw.bonds.push([a, b]);
        }
    }
}

/// The categories of the first block.
fn tables(text: &str) -> Result<HashMap<String, Table>, String> {
    let mut tables: HashMap<String, Table> = HashMap::new();
    let tokens = tokens(text)?;
    let (mut at, mut blocks) = (0, 0);
    let category = |token: &Token| {
        let name = token.word()?.strip_prefix('_')?;
        let (category, item) = name.split_once('.')?;
        Some((category.to_owned(), item.to_owned()))
    };
    while let Some(token) = tokens.get(at) {
        at += 1;
        if token
            .word()
            .is_some_and(|word| word.to_ascii_lowercase().starts_with("data_"))
        {
            blocks += 1;
            if blocks > 1 {
                break;
            }
        } else if token
            .word()
            .is_some_and(|word| word.eq_ignore_ascii_case("loop_"))
        {
            let mut table = Table::default();
            let mut name = String::new();
            while let Some((category, item)) = tokens.get(at).and_then(category) {
                name = category;
                table.items.push(item);
                at += 1;
            }
            let is_value = |token: &&Token| !token.is_key();
            while let Some(value) = tokens.get(at).filter(is_value) {
                table.values.push(value.text.clone());
                at += 1;
            }
            if !table.items.is_empty() && !table.values.len().is_multiple_of(table.items.len()) {
                return Err(format!(
                    "the loop of _{name} has {} values for {} columns",
                    table.values.len(),
                    table.items.len()
                ));
            }
            tables.insert(name, table);
        } else if let Some((category, item)) = category(token)
            && let Some(value) = tokens.get(at).filter(|token| !token.is_key())
        {
            let table = tables.entry(category).or_default();
            table.items.push(item);
            table.values.push(value.text.clone());
            at += 1;
        }
    }
    Ok(tables)
}

struct Token {
    text: String,
    quoted: bool,
}

impl Token {
    fn word(&self) -> Option<&str> {
        (!self.quoted).then_some(self.text.as_str())
    }

    fn is_key(&self) -> bool {
        self.word().is_some_and(|word| {
            let lower = word.to_ascii_lowercase();
            word.starts_with('_') || lower == "loop_" || lower.starts_with("data_")
        })
    }
}

/// Words, quoted strings, and texts between lines that begin with a semicolon. <https://www.iucr.org/resources/cif/spec>
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(start) = line.strip_prefix(';') {
            let mut value = start.to_owned();
            loop {
                match lines.next() {
                    Some((_, line)) if line.starts_with(';') => break,
                    Some((_, line)) => value = value + "\n" + line,
                    None => {
                        return Err(format!(
                            "the text that begins on line {} has no end",
                            number + 1
                        ));
                    }
                }
            }
            tokens.push(Token {
                text: value,
                quoted: true,
            });
            continue;
        }
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            if first == '#' {
                break;
            }
            let (token, after) = if first == '\'' || first == '"' {
                // The quote that ends a string is followed by a blank.
                let end = rest
                    .char_indices()
                    .skip(1)
                    .find(|&(at, c)| {
                        c == first
                            && rest[at + 1..]
                                .chars()
                                .next()
                                .is_none_or(char::is_whitespace)
                    })
                    .ok_or_else(|| format!("line {}: a quote without an end", number + 1))?
                    .0;
                (
                    Token {
                        text: rest[1..end].to_owned(),
                        quoted: true,
                    },
                    &rest[end + 1..],
                )
            } else {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (
                    Token {
                        text: rest[..end].to_owned(),
                        quoted: false,
                    },
                    &rest[end..],
                )
            };
            tokens.push(token);
            rest = after.trim_start();
        }
    }
    Ok(tokens)
}
