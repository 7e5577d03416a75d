//! Torsions and basins by the names that users give them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{EvaluationError, RamaPair, Torsions};
use crate::metric::{self, Basin, TorsionRange};
use crate::system::Topology;

/// A basin in words: its name, and ranges of torsions that all hold.
///
/// As text `NAME=TORSION:LOWER:UPPER,...`, e.g. `left=phi-ALA2:0:180,psi-ALA2:-60:120`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasinBox {
    /// Name.
    pub name: String,
    /// At least one range.
    pub ranges: Vec<BoxRange>,
}

/// An interval `[lower, upper)` of a torsion, on the circle: see [`TorsionRange`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxRange {
    /// The torsion, e.g. "phi-ALA2".
    pub torsion: String,
    /// Lower bound, degrees.
    pub lower: f64,
    /// Upper bound, degrees.
    pub upper: f64,
}

impl FromStr for BasinBox {
    type Err = EvaluationError;

    fn from_str(text: &str) -> Result<Self, EvaluationError> {
        let refused = |reason: String| EvaluationError::Basin {
            basin: text.to_owned(),
            reason,
        };
        let (name, ranges) = text
            .split_once('=')
            .ok_or_else(|| refused("there is no = after a name".to_owned()))?;
        let range = |text: &str| {
            // Atoms of a torsion have colons too: the bounds are the last two fields.
            let mut fields = text.rsplitn(3, ':');
            let mut bound = || fields.next().and_then(|field| field.trim().parse().ok());
            let (upper, lower) = (bound(), bound());
            match (fields.next(), lower, upper) {
                (Some(torsion), Some(lower), Some(upper)) => Ok(BoxRange {
                    torsion: torsion.trim().to_owned(),
                    lower,
                    upper,
                }),
                _ => Err(refused(format!("\"{text}\" is no range"))),
            }
        };
        Ok(Self {
            name: name.trim().to_owned(),
            ranges: ranges.split(',').map(range).collect::<Result<_, _>>()?,
        })
    }
}

/// The torsions and basins of an evaluation.
pub(super) struct Selection {
    pub torsions: Torsions,
    /// The distance on the torus and the time-lagged components are of the first so many torsions.
    pub compared: usize,
    pub basins: Vec<Basin>,
    /// `[from, to]` of the free-energy differences.
    pub pairs: Vec<[usize; 2]>,
}

impl Selection {
    /// All phi and psi and the torsions in `named`; the basins in `boxes`, or the default ones of the backbone if there are none.
    pub fn new(
        topology: &Topology,
        named: &[String],
        boxes: &[BasinBox],
    ) -> Result<Self, EvaluationError> {
        let mut torsions = backbone(topology);
        for name in named {
            add(&mut torsions, topology, name)?;
        }
        let compared = torsions.names.len();
        let (mut basins, mut pairs) = (Vec::new(), Vec::new());
        if boxes.is_empty() {
            let (atoms, defaults) = metric::default_basins(topology);
            let index = |atoms: [usize; 4]| position(&mut torsions, atoms);
            let columns: Vec<usize> = atoms.into_iter().map(index).collect();
            basins = defaults;
            for basin in &mut basins {
                for range in &mut basin.ranges {
                    *range = range.with_torsion(columns[range.torsion()]);
                }
            }
            // Within each residue, whose basins follow each other, from the first to each other one.
            let residue = |basin: usize| basins[basin].name.rsplit_once(' ').map(|name| name.0);
            let mut first = 0;
            for basin in 0..basins.len() {
                if residue(basin) != residue(first) {
                    first = basin;
                } else if basin != first {
                    pairs.push([first, basin]);
                }
            }
        } else {
            for (index, basin) in boxes.iter().enumerate() {
                // Figures are told apart by the names of basins.
                if boxes[..index].iter().any(|other| other.name == basin.name) {
                    return Err(EvaluationError::Basin {
                        basin: basin.name.clone(),
                        reason: "there are two of this name".to_owned(),
                    });
                }
                basins.push(read_box(&mut torsions, topology, basin)?);
            }
            pairs.extend((1..basins.len()).map(|basin| [0, basin]));
        }
        Ok(Self {
            torsions,
            compared,
            basins,
            pairs,
        })
    }
}

fn read_box(
    torsions: &mut Torsions,
    topology: &Topology,
    basin: &BasinBox,
) -> Result<Basin, EvaluationError> {
    let refused = |reason: &str| EvaluationError::Basin {
        basin: basin.name.clone(),
        reason: reason.to_owned(),
    };
    if basin.name.is_empty() {
        return Err(refused("it has no name"));
    }
    if basin.ranges.is_empty() {
        return Err(refused("it has no range of a torsion"));
    }
    let mut ranges = Vec::new();
    for range in &basin.ranges {
        if !(range.lower.is_finite() && range.upper.is_finite()) {
            return Err(refused("a bound is not finite"));
        }
        let torsion = add(torsions, topology, &range.torsion)?;
        ranges.push(TorsionRange::degrees(torsion, range.lower, range.upper));
    }
    Ok(Basin {
        name: basin.name.clone(),
        ranges,
    })
}

/// All phi and psi.
fn backbone(topology: &Topology) -> Torsions {
    let mut torsions = Torsions::default();
    for residue in topology.backbone_torsions() {
        let mut add = |kind: &str, atoms: Option<[usize; 4]>| {
            let atoms = atoms?;
            torsions.names.push(format!("{kind}-{}", residue.name));
            torsions.atoms.push(atoms);
            Some(torsions.names.len() - 1)
        };
        if let (Some(phi), Some(psi)) = (add("phi", residue.phi), add("psi", residue.psi)) {
            let residue = residue.name;
            torsions.pairs.push(RamaPair { residue, phi, psi });
        }
    }
    torsions
}

/// The index of a torsion by its atoms; it is added if it is not there, named by its indices.
fn position(torsions: &mut Torsions, atoms: [usize; 4]) -> usize {
    let reversed = [atoms[3], atoms[2], atoms[1], atoms[0]];
    let same = |&found: &[usize; 4]| found == atoms || found == reversed;
    torsions.atoms.iter().position(same).unwrap_or_else(|| {
        torsions
            .names
            .push(atoms.map(|atom| atom.to_string()).join("-"));
        torsions.atoms.push(atoms);
        torsions.atoms.len() - 1
    })
}

/// The index of a named torsion; it is added under that name if it is not there.
fn add(torsions: &mut Torsions, topology: &Topology, name: &str) -> Result<usize, EvaluationError> {
    let named = |found: &String| found.eq_ignore_ascii_case(name);
    let mut matches = torsions.names.iter().enumerate().filter(|(_, n)| named(n));
    if let (Some((index, _)), None) = (matches.next(), matches.next()) {
        return Ok(index);
    }
    let refused = |reason: String| {
        let residues: Vec<String> = topology
            .backbone_torsions()
            .into_iter()
            .map(|residue| residue.name)
            .collect();
        let example: Vec<String> = (0..topology.n_atoms().min(4))
            .map(|atom| atom_name(topology, atom))
            .collect();
        EvaluationError::Torsion {
            torsion: name.to_owned(),
            reason,
            residues: if residues.is_empty() {
                "no residue (the molecule has no peptide backbone)".to_owned()
            } else {
                residues.join(", ")
            },
            example: example.join("-"),
        }
    };
    let fields: Vec<&str> = name.split('-').map(str::trim).collect();
    let Ok(fields) = <[&str; 4]>::try_from(fields) else {
        return Err(refused(
            "the molecule has no torsion of this name, or several".to_owned(),
        ));
    };
    let mut atoms = [0; 4];
    for (atom, field) in atoms.iter_mut().zip(fields) {
        *atom = find_atom(topology, field).map_err(refused)?;
    }
    if (1..4).any(|k| atoms[..k].contains(&atoms[k])) {
        return Err(refused("an atom comes twice".to_owned()));
    }
    let before = torsions.names.len();
    let index = position(torsions, atoms);
    if index == before {
        torsions.names[index] = name.to_owned();
    }
    Ok(index)
}

/// Residue name, number, and name of an atom: "ALA2:CA".
fn atom_name(topology: &Topology, atom: usize) -> String {
    let facts = &topology.atoms[atom];
    let residue = &topology.residues[facts.residue];
    format!("{}{}:{}", residue.name, residue.id, facts.name)
}

fn find_atom(topology: &Topology, field: &str) -> Result<usize, String> {
    let n = topology.n_atoms();
    if let Ok(index) = field.parse::<usize>() {
        return if index < n {
            Ok(index)
        } else {
            Err(format!("there is no atom {index} among {n}"))
        };
    }
    let mut found = (0..n).filter(|&atom| atom_name(topology, atom).eq_ignore_ascii_case(field));
    match (found.next(), found.next()) {
        (Some(atom), None) => Ok(atom),
        (None, _) => Err(format!("there is no atom \"{field}\"")),
        (Some(_), Some(_)) => Err(format!(
            "there are several atoms \"{field}\": give their indices"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn topology(name: &str) -> Topology {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/system");
        Topology::read(&Path::new(folder).join(name)).unwrap()
    }

    fn select(named: &[&str], boxes: &[&str]) -> Result<Selection, EvaluationError> {
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        let boxes: Result<Vec<BasinBox>, _> = boxes.iter().map(|text| text.parse()).collect();
        Selection::new(&topology("aldp.pdb"), &named, &boxes?)
    }

    #[test]
    fn defaults_are_the_backbone() {
        let found = Selection::new(&topology("al4.pdb"), &[], &[]).unwrap();
        let names = [
            "phi-ALA2", "psi-ALA2", "phi-ALA3", "psi-ALA3", "phi-ALA4", "psi-ALA4",
        ];
        assert_eq!(found.torsions.names, names);
        assert_eq!((found.compared, found.basins.len()), (6, 9));
        assert_eq!(
            found.pairs,
            [[0, 1], [0, 2], [3, 4], [3, 5], [6, 7], [6, 8]]
        );
        assert_eq!(found.basins[8].ranges[0].torsion(), 4);
        let pair = RamaPair {
            residue: "ALA3".to_owned(),
            phi: 2,
            psi: 3,
        };
        assert_eq!(found.torsions.pairs[1], pair);
        // A zwitterion's ends have one of the two only.
        let ends = Selection::new(&topology("al3.pdb"), &[], &[]).unwrap();
        assert_eq!(
            ends.torsions.names,
            ["psi-ALA1", "phi-ALA2", "psi-ALA2", "phi-ALA3"]
        );
        assert_eq!(ends.torsions.pairs.len(), 1);
        assert_eq!(ends.basins[4].name, "ALA3 phi>0");
        assert_eq!(ends.basins[4].ranges[0].torsion(), 3);
    }

    #[test]
    fn torsions_by_name_by_index_and_by_atoms() {
        let omega = "ACE1:CH3-ACE1:C-ALA2:N-ALA2:CA";
        let found = select(&["psi-ala2", omega, "4-6-8-10"], &[]).unwrap();
        // The last is phi, by its indices.
        assert_eq!(found.torsions.atoms[0], [4, 6, 8, 10]);
        assert_eq!(found.torsions.names, ["phi-ALA2", "psi-ALA2", omega]);
        assert_eq!(found.torsions.atoms[2], [0, 4, 6, 8]);
        assert_eq!(found.compared, 3);
    }

    #[test]
    fn basins_of_the_user() {
        let omega = "right=ACE1:CH3-ACE1:C-ALA2:N-ALA2:CA:90:-90,phi-ALA2:-180:0";
        let found = select(&[], &["left=phi-ALA2:0:180", omega]).unwrap();
        assert_eq!((found.compared, found.torsions.names.len()), (2, 3));
        assert_eq!(found.basins[1].name, "right");
        assert_eq!(
            found.basins[1].ranges[0],
            TorsionRange::degrees(2, 90.0, -90.0)
        );
        assert_eq!(found.pairs, [[0, 1]]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let says = |named: &[&str], boxes: &[&str], words: &[&str]| {
            let message = match select(named, boxes) {
                Ok(_) => panic!("{named:?} {boxes:?} passed"),
                Err(error) => error.to_string(),
            };
            for word in words {
                assert!(message.contains(word), "{message}");
            }
        };
        says(&["phi-GLY7"], &[], &["phi-GLY7", "ALA2", "ACE1:C"]);
        says(&["0-1-2-22"], &[], &["no atom 22 among 22"]);
        says(&["0-1-1-2"], &[], &["twice"]);
        says(&["0-1-2-ALA2:XX"], &[], &["no atom \"ALA2:XX\""]);
        says(&[], &["left"], &["no ="]);
        says(&[], &["left=phi-ALA2:0"], &["no range"]);
        says(&[], &["=phi-ALA2:0:1"], &["no name"]);
        says(&[], &["a=phi-ALA2:0:NaN"], &["not finite"]);
        says(&[], &["a=chi-ALA2:0:1"], &["chi-ALA2"]);
        let twice = ["a=phi-ALA2:0:1", "a=phi-ALA2:1:2"];
        says(&[], &twice, &["\"a\"", "two of this name"]);
    }
}
