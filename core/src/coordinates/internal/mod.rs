//! Bonds, angles and torsions of a Z-matrix.

mod reverse;
pub(in crate::coordinates) mod turning;
mod walk;
mod z_matrix;

use std::f64::consts::PI;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::batch::{ConfigurationMap, Fault};
use super::cut::{Cut, CutFit};
use super::source::{ConfigurationSource, Rows};
use super::standardise::{self, Standardise};
use super::storage::Arrays;
use super::{CoordinateOptions, CoordinatesError, Feature, FeatureKind};
use crate::math::angle::wrap;
use crate::system::Topology;

pub use z_matrix::ZMatrix;

/// From bonds, angles and torsions to features, atom by atom in the order of the Z-matrix.
///
/// The torsion of an atom whose bond and angle reference are those of an earlier one (its leader) is replaced by its
/// difference from the leader's: a shear of unit Jacobian. So a methyl or an amide group turns by its leader's torsion alone,
/// and the differences hardly vary. Bonds, angles and torsions that do not turn are standardised together.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Internal {
    z_matrix: ZMatrix,
    torsions: Vec<Torsion>,
    standardise: Standardise,
    /// Follow from the Z-matrix and the torsions.
    leaders: Vec<Option<usize>>,
    linear: Vec<usize>,
}

/// How the torsion of one row (or its difference from its leader's) becomes a feature.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Torsion {
    /// Does not turn: its deviation from the circular mean (rad), in `(-pi, pi)`, is one of the linear features.
    Linear { mean: f64 },
    /// Turns: the angle itself.
    Circular,
    /// Turns, for an architecture that is not circular.
    Cut(Cut),
}

/// What is stored beside the arrays.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    z_matrix: ZMatrix,
    torsions: Vec<Torsion>,
    standardise: standardise::Settings,
}

impl Settings {
    pub(super) fn restore(self, n_atoms: usize, arrays: &mut Arrays) -> Result<Internal, String> {
        let Settings {
            z_matrix,
            torsions,
            standardise,
        } = self;
        if z_matrix.n_atoms() != n_atoms {
            return Err("the Z-matrix has another number of atoms".to_owned());
        }
        if torsions.len() != z_matrix.rows().len() {
            return Err("the Z-matrix has another number of torsions".to_owned());
        }
        for torsion in &torsions {
            match torsion {
                Torsion::Cut(cut) => cut.validate()?,
                Torsion::Linear { mean } if mean.abs() > PI => {
                    return Err("the mean of a torsion is no angle".to_owned());
                }
                Torsion::Linear { .. } | Torsion::Circular => {}
            }
        }
        let linear = linear_columns(&torsions);
        Ok(Internal {
            standardise: Standardise::restore(&standardise, linear.len(), arrays)?,
            leaders: z_matrix.leaders(),
            z_matrix,
            torsions,
            linear,
        })
    }
}

impl Internal {
    pub(super) fn fit(
        topology: &Topology,
        source: &dyn ConfigurationSource,
        options: &CoordinateOptions,
    ) -> Result<Self, CoordinatesError> {
        let n_atoms = topology.atoms.len();
        let z_matrix = match &options.z_matrix {
            Some(z_matrix) if z_matrix.n_atoms() == n_atoms => z_matrix.clone(),
            Some(z_matrix) => {
                return Err(CoordinatesError::ZMatrixAtoms {
                    expected: n_atoms,
                    found: z_matrix.n_atoms(),
                });
            }
            None => walk::z_matrix(topology)?,
        };
        let leaders = z_matrix.leaders();
        let torsions = classify(&z_matrix, &leaders, source, options.circular)?;
        let linear = linear_columns(&torsions);
        let labels: Vec<(usize, usize)> = z_matrix.labels().collect();
        let name = |column: usize| {
            (
                ["bond", "angle", "torsion"][labels[column].1],
                labels[column].0,
            )
        };
        let rows = Rows {
            source,
            n_atoms,
            width: 3 * n_atoms - 6,
            map: |x: &[f64], q: &mut [f64]| {
                z_matrix.measure(x, q)?;
                subtract_leaders(&leaders, q);
                for (row, torsion) in torsions.iter().enumerate() {
                    if let Torsion::Linear { mean } = torsion {
                        let angle = &mut q[torsion_column(row)];
                        *angle = wrap(*angle - mean);
                    }
                }
                Ok(())
            },
        };
        let standardise = Standardise::fit(&rows, &linear, options.whiten, name)?;
        Ok(Self {
            z_matrix,
            torsions,
            standardise,
            leaders,
            linear,
        })
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            z_matrix: self.z_matrix.clone(),
            torsions: self.torsions.clone(),
            standardise: self.standardise.settings(),
        }
    }

    pub(super) fn standardise(&self) -> &Standardise {
        &self.standardise
    }

    pub(super) fn z_matrix(&self) -> &ZMatrix {
        &self.z_matrix
    }

    pub(super) fn features(&self) -> Vec<Feature> {
        let mut features: Vec<Feature> = self
            .z_matrix
            .labels()
            .map(|(atom, axis)| Feature {
                kind: FeatureKind::Real,
                atom: atom as u32,
                axis: axis as u32,
            })
            .collect();
        for (row, torsion) in self.torsions.iter().enumerate() {
            if *torsion == Torsion::Circular {
                features[torsion_column(row)].kind = FeatureKind::Circular;
            }
        }
        features
    }

    /// `3N - 6` coordinates, and twice the linear features.
    fn split<'a>(&self, scratch: &'a mut [f64]) -> [&'a mut [f64]; 3] {
        let (q, linear) = scratch.split_at_mut(3 * self.z_matrix.n_atoms() - 6);
        let (y, z) = linear.split_at_mut(self.linear.len());
        [q, y, z]
    }
}

impl ConfigurationMap for Internal {
    fn scratch_len(&self) -> usize {
        3 * self.z_matrix.n_atoms() - 6 + 2 * self.linear.len()
    }

    fn to_features(&self, x: &[f64], z: &mut [f64], scratch: &mut [f64]) -> Result<f64, Fault> {
        let [q, linear_q, linear_z] = self.split(scratch);
        let mut log_volume = self.z_matrix.measure(x, q)? + self.standardise.log_det();
        subtract_leaders(&self.leaders, q);
        for (row, torsion) in self.torsions.iter().enumerate() {
            let column = torsion_column(row);
            match torsion {
                Torsion::Linear { mean } => q[column] = wrap(q[column] - mean),
                Torsion::Circular => z[column] = q[column],
                Torsion::Cut(cut) => {
                    let (feature, log_slope) = cut.forward(q[column]);
                    z[column] = feature;
                    log_volume += log_slope;
                }
            }
        }
        linear_q
            .iter_mut()
            .zip(&self.linear)
            .for_each(|(value, &column)| *value = q[column]);
        self.standardise.forward(linear_q, linear_z);
        linear_z
            .iter()
            .zip(&self.linear)
            .for_each(|(value, &column)| z[column] = *value);
        Ok(log_volume)
    }

    fn to_positions(&self, z: &[f64], x: &mut [f64], scratch: &mut [f64]) -> f64 {
        let [q, linear_q, linear_z] = self.split(scratch);
        linear_z
            .iter_mut()
            .zip(&self.linear)
            .for_each(|(value, &column)| *value = z[column]);
        self.standardise.inverse(linear_z, linear_q);
        linear_q
            .iter()
            .zip(&self.linear)
            .for_each(|(value, &column)| q[column] = *value);
        let mut log_volume = self.standardise.log_det();
        for (row, torsion) in self.torsions.iter().enumerate() {
            let column = torsion_column(row);
            match torsion {
                Torsion::Linear { mean } => {
                    if q[column].abs() >= PI {
                        log_volume = f64::NEG_INFINITY;
                    }
                    q[column] += mean;
                }
                Torsion::Circular => q[column] = z[column],
                Torsion::Cut(cut) => {
                    let (angle, log_slope) = cut.inverse(z[column]);
                    q[column] = angle;
                    log_volume += log_slope;
                }
            }
            // Leaders come first, and are whole by now.
            if let Some(leader) = self.leaders[row] {
                q[column] += q[torsion_column(leader)];
            }
        }
        log_volume + self.z_matrix.place(q, x)
    }

    fn pull_back(
        &self,
        z: &[f64],
        x: &[f64],
        d_x: &mut [f64],
        d_z: &mut [f64],
        scratch: &mut [f64],
    ) {
        let [d_q, linear_q, linear_z] = self.split(scratch);
        self.z_matrix.pull_back(x, d_x, d_q);
        // Leaders come first, so that each has those of all that follow it when its own turn comes.
        for (row, torsion) in self.torsions.iter().enumerate().rev() {
            let column = torsion_column(row);
            if let Some(leader) = self.leaders[row] {
                d_q[torsion_column(leader)] += d_q[column];
            }
            match torsion {
                Torsion::Linear { .. } => {}
                Torsion::Circular => d_z[column] = d_q[column],
                Torsion::Cut(cut) => d_z[column] = cut.pull_back(z[column], d_q[column]),
            }
        }
        linear_q
            .iter_mut()
            .zip(&self.linear)
            .for_each(|(value, &column)| *value = d_q[column]);
        self.standardise.pull_back(linear_q, linear_z);
        linear_z
            .iter()
            .zip(&self.linear)
            .for_each(|(value, &column)| d_z[column] = *value);
    }

    fn pull_to_positions(
        &self,
        x: &[f64],
        z: &[f64],
        d_z: &mut [f64],
        d_x: &mut [f64],
        scratch: &mut [f64],
    ) {
        let [d_q, linear_q, linear_z] = self.split(scratch);
        linear_z
            .iter_mut()
            .zip(&self.linear)
            .for_each(|(value, &column)| *value = d_z[column]);
        self.standardise.pull_forward(linear_z, linear_q);
        linear_q
            .iter()
            .zip(&self.linear)
            .for_each(|(value, &column)| d_q[column] = *value);
        for (row, torsion) in self.torsions.iter().enumerate() {
            let column = torsion_column(row);
            match torsion {
                Torsion::Linear { .. } => {}
                Torsion::Circular => d_q[column] = d_z[column],
                Torsion::Cut(cut) => d_q[column] = cut.pull_forward(z[column], d_z[column]),
            }
        }
        // A leader has none itself, so that the order of the rows does not matter.
        for (row, leader) in self.leaders.iter().enumerate() {
            if let Some(leader) = leader {
                d_q[torsion_column(*leader)] -= d_q[torsion_column(row)];
            }
        }
        d_x.fill(0.0);
        self.z_matrix.pull_to_positions(x, d_q, d_x);
    }
}

/// How each torsion becomes a feature, by what it does over the configurations.
fn classify(
    z_matrix: &ZMatrix,
    leaders: &[Option<usize>],
    source: &dyn ConfigurationSource,
    circular: bool,
) -> Result<Vec<Torsion>, CoordinatesError> {
    let rows = Rows {
        source,
        n_atoms: z_matrix.n_atoms(),
        width: 3 * z_matrix.n_atoms() - 6,
        map: |x: &[f64], q: &mut [f64]| {
            z_matrix.measure(x, q)?;
            subtract_leaders(leaders, q);
            Ok(())
        },
    };
    let column = |rows: &[f64], torsion: usize, add: &mut dyn FnMut(f64)| {
        let angles = rows.iter().skip(torsion_column(torsion));
        angles
            .step_by(3 * z_matrix.n_atoms() - 6)
            .for_each(|&angle| add(angle));
    };
    let mut survey = vec![turning::Survey::default(); leaders.len()];
    rows.pass(|_, rows| {
        let torsions = survey.par_iter_mut().enumerate();
        torsions
            .for_each(|(torsion, survey)| column(rows, torsion, &mut |angle| survey.add(angle)));
    })?;
    let mut cuts: Vec<Option<CutFit>> = Vec::new();
    let mut torsions = Vec::new();
    for survey in &survey {
        let rest = survey.rest();
        let cut = (rest.is_none() && !circular).then(|| CutFit::new(survey.least_populated()));
        torsions.push(match rest {
            Some(mean) => Torsion::Linear { mean },
            None => Torsion::Circular,
        });
        cuts.push(cut);
    }
    if cuts.iter().any(Option::is_some) {
        rows.pass(|_, rows| {
            let cuts = cuts.par_iter_mut().enumerate();
            cuts.for_each(|(torsion, cut)| {
                if let Some(cut) = cut {
                    column(rows, torsion, &mut |angle| cut.add(angle));
                }
            });
        })?;
        for (torsion, cut) in torsions.iter_mut().zip(cuts) {
            if let Some(cut) = cut {
                *torsion = Torsion::Cut(cut.finish());
            }
        }
    }
    Ok(torsions)
}

/// Column of the torsion of a row among the `3N - 6` coordinates.
fn torsion_column(row: usize) -> usize {
    3 * row + 5
}

fn subtract_leaders(leaders: &[Option<usize>], q: &mut [f64]) {
    for (row, leader) in leaders.iter().enumerate() {
        if let Some(leader) = leader {
            q[torsion_column(row)] = wrap(q[torsion_column(row)] - q[torsion_column(*leader)]);
        }
    }
}

/// The columns that are standardised: all bonds and angles, and the torsions that do not turn.
fn linear_columns(torsions: &[Torsion]) -> Vec<usize> {
    let is_linear = |column: &usize| {
        *column < 5
            || column % 3 != 2
            || matches!(torsions[(column - 5) / 3], Torsion::Linear { .. })
    };
    (0..3 + 3 * torsions.len()).filter(is_linear).collect()
}
