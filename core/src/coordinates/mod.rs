//! Maps between molecules and flow features, with exact volume elements.
//!
//! A flow works on `D` features `z`; a molecule is `N` positions `x` in nm. Each map is a bijection between the features
//! and the part of configuration space that matters, and knows the logarithm of the target's volume element
//! ([`Coordinates::to_features`], [`Coordinates::to_positions`]): the target density over features is
//! `exp(-u(x(z)) + log_volume(z))`, with every constant kept. [`Coordinates::pull_back`] gives the gradient of its logarithm.
//!
//! | kind | features | volume element, times that of the standardisation |
//! |---|---|---|
//! | [`CoordinateKind::Cartesian`] | `3N` positions over one scale | `N(c; 0, s^2 I_3)`, `c` the geometric centre |
//! | [`CoordinateKind::Gauge`] | `3N - 6` positions in a frame of three atoms | `x_b^2 y_c` |
//! | [`CoordinateKind::Internal`] | `N-1` bonds, `N-2` angles, `N-3` torsions | `prod r^2 prod sin(theta)` |
//!
//! The last two leave out the rigid motion. The three partition functions are related by
//! `Z_cartesian = 8 pi^2 Z_gauge` and `Z_gauge = Z_internal`.
//!
//! # Outside the domain
//! Features are unbounded, but no molecule has a negative bond length. Where a flow leaves the domain of the map (bond
//! or `x_b`, `y_c` below 1e-6 nm, an angle within 1e-6 of 0 or pi, a torsion that is treated as linear more than pi
//! from its mean), or where a feature is not finite, `to_positions` gives `log_volume = -inf`: the target density there is
//! zero, and so is the importance weight. Positions are then finite for finite features, but stand for nothing. The map is
//! injective on its domain, so that densities stay exact.

mod batch;
mod cartesian;
mod chirality;
mod cut;
mod error;
mod frame;
mod gauge;
mod internal;
mod shrinkage;
mod source;
mod standardise;
mod storage;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::system::Topology;
use batch::ConfigurationMap;
use cartesian::Cartesian;
use gauge::Gauge;
use internal::Internal;

pub use chirality::ChiralCentres;
pub(crate) use chirality::describe_mixed;
pub use error::{CoordinatesError, ZMatrixError};
pub use frame::Frame;
pub use internal::ZMatrix;
pub use regflow_plugin::{Feature, FeatureKind};
pub(crate) use source::Chunks;
pub use source::{ConfigurationSource, Configurations, FrameStore, Part};
pub(crate) use storage::{Arrays, CoordinateSettings};

/// The kinds of coordinates; named `cartesian`, `gauge`, `internal` in configuration files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoordinateKind {
    /// All `3N` positions over one scale; the centre has a Gaussian density, rotations are learnt from rotated data.
    Cartesian,
    /// Positions in the frame of three atoms: rigid motion removed.
    Gauge,
    /// Bonds, angles and torsions of a Z-matrix: rigid motion removed.
    Internal,
}

impl CoordinateKind {
    /// The name in configuration files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cartesian => "cartesian",
            Self::Gauge => "gauge",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for CoordinateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CoordinateKind {
    type Err = CoordinatesError;

    fn from_str(name: &str) -> Result<Self, CoordinatesError> {
        [Self::Cartesian, Self::Gauge, Self::Internal]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| CoordinatesError::UnknownKind {
                name: name.to_owned(),
            })
    }
}

/// How coordinates are fitted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordinateOptions {
    /// Whether the architecture understands circular features. If so, torsions that turn are circular features; if not
    /// (the default), each is cut at its least populated angle and mapped smoothly onto the real line. `internal` only.
    pub circular: bool,
    /// Decorrelate the linear features (ZCA), beside giving them zero mean and unit variance; default true. Where frames are few,
    /// as far as they tell how features are correlated. `gauge` and `internal`.
    pub whiten: bool,
    /// The Z-matrix of `internal`; by default it is built from the bonds.
    pub z_matrix: Option<ZMatrix>,
    /// The atoms a (origin), b (on +x), c (in the plane z = 0, y > 0) of `gauge`; by default three bonded heavy atoms, in
    /// whose frame the data vary least.
    pub gauge_atoms: Option<[usize; 3]>,
}

impl Default for CoordinateOptions {
    fn default() -> Self {
        Self {
            circular: false,
            whiten: true,
            z_matrix: None,
            gauge_atoms: None,
        }
    }
}

/// A fitted map between positions and features.
#[derive(Clone, PartialEq, Debug)]
pub struct Coordinates {
    n_atoms: usize,
    map: Map,
    features: Vec<Feature>,
}

#[derive(Clone, PartialEq, Debug)]
enum Map {
    Cartesian(Cartesian),
    Gauge(Gauge),
    Internal(Internal),
}

impl Coordinates {
    /// Fits the map to `positions` (`[n, N, 3]`, nm).
    ///
    /// # Errors
    /// As [`Coordinates::fit_to`]; positions that are not a whole number of configurations.
    pub fn fit(
        kind: CoordinateKind,
        topology: &Topology,
        positions: &[f64],
        options: &CoordinateOptions,
    ) -> Result<Self, CoordinatesError> {
        let n_atoms = topology.atoms.len();
        if n_atoms > 0 && !positions.len().is_multiple_of(3 * n_atoms) {
            return Err(CoordinatesError::PositionCount {
                n_atoms,
                found: positions.len(),
            });
        }
        Self::fit_to(
            kind,
            topology,
            &Configurations { positions, n_atoms },
            options,
        )
    }

    /// Fits the map to configurations, in the order of time, that are read several times and a few thousand at a time.
    ///
    /// # Errors
    /// Positions that are not finite, too few configurations, degenerate ones (named by their index), a Z-matrix or gauge
    /// atoms that do not fit the topology, features that do not vary.
    pub fn fit_to(
        kind: CoordinateKind,
        topology: &Topology,
        source: &dyn ConfigurationSource,
        options: &CoordinateOptions,
    ) -> Result<Self, CoordinatesError> {
        let n_atoms = topology.atoms.len();
        let needed = if kind == CoordinateKind::Cartesian {
            1
        } else {
            3
        };
        if n_atoms < needed {
            return Err(CoordinatesError::TooFewAtoms {
                kind,
                needed,
                found: n_atoms,
            });
        }
        if source.n() == 0 {
            return Err(CoordinatesError::PositionCount { n_atoms, found: 0 });
        }
        let map = match kind {
            CoordinateKind::Cartesian => Map::Cartesian(Cartesian::fit(n_atoms, source)?),
            CoordinateKind::Gauge => Map::Gauge(Gauge::fit(topology, source, options)?),
            CoordinateKind::Internal => Map::Internal(Internal::fit(topology, source, options)?),
        };
        Ok(Self::new(n_atoms, map))
    }

    fn new(n_atoms: usize, map: Map) -> Self {
        let features = match &map {
            Map::Cartesian(_) => cartesian::features(n_atoms),
            Map::Gauge(map) => map.features(n_atoms),
            Map::Internal(map) => map.features(),
        };
        Self {
            n_atoms,
            map,
            features,
        }
    }

    /// Number of atoms `N`.
    pub fn n_atoms(&self) -> usize {
        self.n_atoms
    }

    /// Number of features `D`: `3N`, or `3N - 6` where the rigid motion is removed.
    pub fn n_features(&self) -> usize {
        self.features.len()
    }

    /// What each feature is.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The kind of coordinates.
    pub fn kind(&self) -> CoordinateKind {
        match self.map {
            Map::Cartesian(_) => CoordinateKind::Cartesian,
            Map::Gauge(_) => CoordinateKind::Gauge,
            Map::Internal(_) => CoordinateKind::Internal,
        }
    }

    /// The Z-matrix of `internal`.
    pub fn z_matrix(&self) -> Option<&ZMatrix> {
        match &self.map {
            Map::Internal(map) => Some(map.z_matrix()),
            _ => None,
        }
    }

    /// The atoms a, b, c of `gauge`.
    pub fn gauge_atoms(&self) -> Option<[usize; 3]> {
        match &self.map {
            Map::Gauge(map) => Some(map.atoms()),
            _ => None,
        }
    }

    /// The atoms whose frame [`Coordinates::to_positions`] puts at the origin; `None` for `cartesian`, which has no such frame.
    pub fn frame_atoms(&self) -> Option<[usize; 3]> {
        match &self.map {
            Map::Cartesian(_) => None,
            Map::Gauge(map) => Some(map.atoms()),
            Map::Internal(map) => Some(map.z_matrix().seeds()),
        }
    }

    /// Features of a batch of positions.
    ///
    /// `positions` is `[n, 3N]` in nm, `features` `[n, D]`, `log_volume` `[n]`, where `log_volume[i]` is the logarithm of
    /// the target's volume element at that configuration, in nm to the power of the number of dimensions. Threaded over
    /// configurations; the result does not depend on the number of threads.
    ///
    /// `cartesian` takes the positions as they are, and their centre has the density `N(c; 0, s^2 I_3)`: pass frames of
    /// unknown origin through [`Coordinates::augment`] first.
    ///
    /// # Errors
    /// Arrays of the wrong length; the first configuration that is not finite or has no features (two atoms in one place,
    /// a collinear reference), by index. What the outputs then hold is unspecified.
    pub fn to_features(
        &self,
        positions: &[f64],
        features: &mut [f64],
        log_volume: &mut [f64],
    ) -> Result<(), CoordinatesError> {
        self.check_lengths(positions, features, log_volume)?;
        let (shape, map) = (self.shape_of_features(), self.map());
        batch::run(shape, positions, features, log_volume, |x, z, scratch| {
            batch::features(map, x, z, scratch)
        })
    }

    /// As [`Coordinates::to_features`], but a configuration that is not finite or has no features gets features 0 and a `log_volume` of
    /// NaN, and the others theirs.
    ///
    /// # Errors
    /// Arrays of the wrong length.
    pub fn to_features_where_defined(
        &self,
        positions: &[f64],
        features: &mut [f64],
        log_volume: &mut [f64],
    ) -> Result<(), CoordinatesError> {
        self.check_lengths(positions, features, log_volume)?;
        let map = self.map();
        batch::run(
            self.shape_of_features(),
            positions,
            features,
            log_volume,
            |x, z, scratch| {
                let mapped = batch::features(map, x, z, scratch);
                Ok(mapped.unwrap_or_else(|_| {
                    z.fill(0.0);
                    f64::NAN
                }))
            },
        )
    }

    fn shape_of_features(&self) -> batch::Shape {
        batch::Shape {
            input: 3 * self.n_atoms,
            output: self.n_features(),
            scratch: self.map().scratch_len(),
        }
    }

    /// Positions of a batch of features: the inverse of [`Coordinates::to_features`], in the same shapes.
    ///
    /// Where the rigid motion is removed, the first atom of the frame (a, or the first of the Z-matrix) is at the origin,
    /// the second on +x, the third in the plane z = 0 with y > 0. Outside the domain of the map `log_volume` is `-inf`
    /// (see the [module](self)).
    ///
    /// # Errors
    /// Arrays of the wrong length.
    pub fn to_positions(
        &self,
        features: &[f64],
        positions: &mut [f64],
        log_volume: &mut [f64],
    ) -> Result<(), CoordinatesError> {
        self.check_lengths(positions, features, log_volume)?;
        let map = self.map();
        let shape = batch::Shape {
            input: self.n_features(),
            output: 3 * self.n_atoms,
            scratch: map.scratch_len(),
        };
        batch::run(shape, features, positions, log_volume, |z, x, scratch| {
            Ok(batch::place(map, z, x, scratch))
        })
    }

    /// The reverse pass of [`Coordinates::to_positions`]: from the gradient of a scalar by positions, that of the scalar plus
    /// `log_volume` by features.
    ///
    /// `features` is `[n, D]`, `d_positions` `[n, 3N]` in 1/nm, and `d_features` becomes `[n, D]`: for each configuration
    /// `(dx/dz)^T d_positions + d log_volume / dz`. With `d_positions = beta * forces = -du/dx`, this is
    /// `d/dz [-u(x(z)) + log_volume(z)]`, the exact gradient of the logarithm of the target density over features. Threaded
    /// over configurations; the result does not depend on the number of threads. Computes the positions anew.
    ///
    /// A configuration gets a gradient of zeros outside the domain, where `to_positions` gives `log_volume = -inf`, and where
    /// `d_positions` is not finite or the gradient overflows; others of the batch are not affected.
    ///
    /// # Errors
    /// Arrays of the wrong length.
    pub fn pull_back(
        &self,
        features: &[f64],
        d_positions: &[f64],
        d_features: &mut [f64],
    ) -> Result<(), CoordinatesError> {
        let widths @ [width, n_features] = [3 * self.n_atoms, self.n_features()];
        let n = features.len() / n_features;
        for (array, width, found) in [
            ("features", n_features, features.len()),
            ("d_positions", width, d_positions.len()),
            ("d_features", n_features, d_features.len()),
        ] {
            check_length(n, array, width, found)?;
        }
        batch::pull_back(self.map(), widths, features, d_positions, d_features);
        Ok(())
    }

    /// The reverse pass of [`Coordinates::to_features`]: from the gradient of a scalar by features, that of the scalar less
    /// `log_volume` by positions.
    ///
    /// `positions` is `[n, 3N]` in nm, `d_features` `[n, D]`, and `d_positions` becomes `[n, 3N]` in 1/nm: for each configuration
    /// `(dz/dx)^T d_features - d log_volume / dx`. With the gradient of a log density over features this is that of the log
    /// density `log q(x) = log q(z(x)) - log_volume(x)` which importance weights compare with `-u(x)`. Threaded over
    /// configurations; the result does not depend on the number of threads. Computes the features anew.
    ///
    /// A configuration gets a gradient of zeros where `d_features` is not finite or the gradient overflows; others of the batch
    /// are not affected.
    ///
    /// # Errors
    /// Arrays of the wrong length; the first configuration that is not finite or has no features, by index.
    pub fn pull_to_positions(
        &self,
        positions: &[f64],
        d_features: &[f64],
        d_positions: &mut [f64],
    ) -> Result<(), CoordinatesError> {
        let widths @ [width, n_features] = [3 * self.n_atoms, self.n_features()];
        let n = positions.len() / width;
        for (array, width, found) in [
            ("positions", width, positions.len()),
            ("d_features", n_features, d_features.len()),
            ("d_positions", width, d_positions.len()),
        ] {
            check_length(n, array, width, found)?;
        }
        batch::pull_to_positions(self.map(), widths, positions, d_features, d_positions)
    }

    /// Whether features change when the molecule is rotated, so that training data must be rotated at random.
    pub fn needs_rotations(&self) -> bool {
        self.kind() == CoordinateKind::Cartesian
    }

    /// Gives each configuration of `positions` (`[n, 3N]`, nm) a random rigid motion of the distribution that the target
    /// of `cartesian` has: a rotation uniform on SO(3) about the geometric centre, and the centre drawn from
    /// `N(0, s^2 I_3)`, wherever it was before. Leaves positions as they are where features do not see the rigid motion.
    ///
    /// # Errors
    /// Positions that are not a whole number of configurations.
    pub fn augment<R: Rng + ?Sized>(
        &self,
        positions: &mut [f64],
        rng: &mut R,
    ) -> Result<(), CoordinatesError> {
        if !positions.len().is_multiple_of(3 * self.n_atoms) {
            return Err(CoordinatesError::PositionCount {
                n_atoms: self.n_atoms,
                found: positions.len(),
            });
        }
        if let Map::Cartesian(map) = &self.map {
            for configuration in positions.chunks_exact_mut(3 * self.n_atoms) {
                map.augment(configuration, rng);
            }
        }
        Ok(())
    }

    fn map(&self) -> &dyn ConfigurationMap {
        match &self.map {
            Map::Cartesian(map) => map,
            Map::Gauge(map) => map,
            Map::Internal(map) => map,
        }
    }

    fn check_lengths(
        &self,
        positions: &[f64],
        features: &[f64],
        log_volume: &[f64],
    ) -> Result<(), CoordinatesError> {
        let n = log_volume.len();
        for (array, width, found) in [
            ("positions", 3 * self.n_atoms, positions.len()),
            ("features", self.n_features(), features.len()),
        ] {
            check_length(n, array, width, found)?;
        }
        Ok(())
    }
}

fn check_length(
    configurations: usize,
    array: &'static str,
    width: usize,
    found: usize,
) -> Result<(), CoordinatesError> {
    if found == configurations * width {
        Ok(())
    } else {
        Err(CoordinatesError::Length {
            array,
            configurations,
            width,
            found,
        })
    }
}
