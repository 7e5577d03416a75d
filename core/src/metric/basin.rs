use super::average::delta_method;
use super::reliability::{effective, error_of_certainty};
use super::{Blocks, Estimate, MetricError, check_length, relative_weights, tells_errors};
use crate::math::angle::wrap;
use crate::system::Topology;

/// Where the psi of residues with negative phi is least populated, degrees: the bounds between the helical (alpha) and the extended
/// (beta, polyproline II) basin. Of 98,000 frames of alanine dipeptide (amber99sbildn, 300 K), 4 in 10 degrees at the
/// first, 300 at the second.
const ALPHA: (f64, f64) = (-110.0, 80.0);

/// An interval `[lower, upper)` of one torsion, which may wrap around the end of the circle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TorsionRange {
    torsion: usize,
    lower: f64,
    upper: f64,
}

impl TorsionRange {
    /// `[lower, upper)` in rad of the torsion with index `torsion`, read on the circle: `(pi / 2, -pi / 2)` is the half around pi,
    /// and two bounds that are the same angle make the whole circle. Adjacent ranges share no angle and leave none out.
    pub fn new(torsion: usize, lower: f64, upper: f64) -> Self {
        Self {
            torsion,
            lower: wrap(lower),
            upper: wrap(upper),
        }
    }

    /// [`TorsionRange::new`] with bounds in degrees.
    pub fn degrees(torsion: usize, lower: f64, upper: f64) -> Self {
        Self::new(torsion, lower.to_radians(), upper.to_radians())
    }

    /// Index of the torsion.
    pub fn torsion(&self) -> usize {
        self.torsion
    }

    /// The same range of another torsion.
    pub fn with_torsion(&self, torsion: usize) -> Self {
        Self { torsion, ..*self }
    }

    /// Whether an angle (rad) lies in the range; false for an angle that is not finite.
    pub fn contains(&self, angle: f64) -> bool {
        let angle = wrap(angle);
        if self.lower < self.upper {
            self.lower <= angle && angle < self.upper
        } else {
            angle >= self.lower || angle < self.upper
        }
    }
}

/// A box in torsion space.
#[derive(Clone, Debug, PartialEq)]
pub struct Basin {
    /// Name, e.g. "ALA2 phi>0".
    pub name: String,
    /// Ranges that all hold.
    pub ranges: Vec<TorsionRange>,
}

impl Basin {
    /// Whether a frame's torsions (rad) lie in the box.
    ///
    /// # Panics
    /// If a range's torsion is beyond those given.
    pub fn contains(&self, torsions: &[f64]) -> bool {
        self.ranges
            .iter()
            .all(|range| range.contains(torsions[range.torsion]))
    }
}

/// Populations of basins in weighted independent samples, with delta-method standard errors: infinite where the weights do not
/// [tell](tells_errors) one, and of a basin that has none or all of the weight that of the posterior of as many effective samples.
///
/// `torsions` is `[n, n_torsions]`, rad; `log_weights` `[n]`.
///
/// # Errors
/// The lengths differ, a basin asks for a torsion beyond `n_torsions`, or all weights are 0.
pub fn weighted_populations(
    basins: &[Basin],
    torsions: &[f64],
    n_torsions: usize,
    log_weights: &[f64],
) -> Result<Vec<Estimate>, MetricError> {
    check_length("torsions", log_weights.len() * n_torsions, torsions.len())?;
    check_torsions(basins, n_torsions)?;
    let (weights, _) = relative_weights(log_weights).ok_or(MetricError::NoWeight {
        n: log_weights.len(),
    })?;
    let (tells_error, n) = (tells_errors(log_weights), effective(&weights));
    let population = |basin| {
        let inside = membership(basin, torsions, n_torsions);
        uncertain(delta_method(&weights, &inside, tells_error), n)
    };
    Ok(basins.iter().map(population).collect())
}

/// Populations of basins in a trajectory (`torsions`: `[n, n_torsions]`, rad, in the order of time), with standard errors from
/// [`Blocks`] of time. Of a basin that no frame is in, or every one, that of the posterior of so many
/// independent samples as there are blocks.
///
/// # Errors
/// A basin asks for a torsion beyond `n_torsions`, or there are not as many frames as in the blocks.
pub fn block_populations(
    basins: &[Basin],
    torsions: &[f64],
    n_torsions: usize,
    blocks: &Blocks,
) -> Result<Vec<Estimate>, MetricError> {
    check_length("torsions", blocks.n() * n_torsions, torsions.len())?;
    check_torsions(basins, n_torsions)?;
    let population = |basin| {
        let inside = membership(basin, torsions, n_torsions);
        uncertain(blocks.average(&inside), blocks.len() as f64)
    };
    Ok(basins.iter().map(population).collect())
}

/// A share of which `n` independent samples show no variance has an error all the same.
fn uncertain(share: Estimate, n: f64) -> Estimate {
    match share.error == 0.0 {
        true => Estimate {
            error: error_of_certainty(n),
            ..share
        },
        false => share,
    }
}

pub(super) fn check_torsions(basins: &[Basin], n_torsions: usize) -> Result<(), MetricError> {
    for basin in basins {
        if let Some(range) = basin.ranges.iter().find(|r| r.torsion >= n_torsions) {
            return Err(MetricError::NoTorsion {
                basin: basin.name.clone(),
                torsion: range.torsion,
                n_torsions,
            });
        }
    }
    Ok(())
}

/// 1 for each frame in the basin, 0 for the others.
pub(super) fn membership(basin: &Basin, torsions: &[f64], n_torsions: usize) -> Vec<f64> {
    // A molecule without torsions has no frames to tell apart.
    torsions
        .chunks_exact(n_torsions.max(1))
        .map(|frame| f64::from(u8::from(basin.contains(frame))))
        .collect()
}

/// Backbone torsions of a peptide and the basins that part them: for each residue with a phi, positive phi (left-handed), and negative
/// phi, where the residue has a psi split into alpha (helical) and beta (extended). The basins of a residue cover all
/// angles. Empty for a molecule without a peptide backbone.
pub fn default_basins(topology: &Topology) -> (Vec<[usize; 4]>, Vec<Basin>) {
    let (mut torsions, mut basins) = (Vec::new(), Vec::new());
    for residue in topology.backbone_torsions() {
        let Some(phi) = residue.phi else {
            continue;
        };
        let mut add = |label: &str, ranges: Vec<TorsionRange>| {
            let name = format!("{} {label}", residue.name);
            basins.push(Basin { name, ranges });
        };
        let index = torsions.len();
        torsions.push(phi);
        let negative = TorsionRange::degrees(index, -180.0, 0.0);
        if let Some(psi) = residue.psi {
            torsions.push(psi);
            let (lower, upper) = ALPHA;
            let alpha = TorsionRange::degrees(index + 1, lower, upper);
            let beta = TorsionRange::degrees(index + 1, upper, lower);
            add("alpha", vec![negative, alpha]);
            add("beta", vec![negative, beta]);
        } else {
            add("phi<0", vec![negative]);
        }
        add("phi>0", vec![TorsionRange::degrees(index, 0.0, 180.0)]);
    }
    (torsions, basins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixtures::{numbers, table};
    use crate::system::{Atom, Residue};
    use std::f64::consts::PI;

    #[test]
    fn adjacent_ranges_share_nothing_and_leave_nothing_out() {
        let bounds = [-170.0, -110.0, 0.0, 80.0, 179.5];
        let ranges: Vec<TorsionRange> = (0..bounds.len())
            .map(|i| TorsionRange::degrees(0, bounds[i], bounds[(i + 1) % bounds.len()]))
            .collect();
        let mut angles: Vec<f64> = (-3600..=3600).map(|i| f64::from(i) * 0.1).collect();
        angles.extend(bounds);
        let mut angles: Vec<f64> = angles.into_iter().map(f64::to_radians).collect();
        angles.extend([
            PI,
            -PI,
            0.0,
            -0.0,
            1e-300,
            -1e-300,
            PI.next_down(),
            PI.next_up(),
        ]);
        for angle in angles {
            let holding = ranges.iter().filter(|range| range.contains(angle)).count();
            assert_eq!(holding, 1, "{angle}");
        }
    }

    #[test]
    fn bounds_wrap_around_the_circle() {
        let around_trans = TorsionRange::degrees(0, 90.0, -90.0);
        assert!(around_trans.contains(PI) && around_trans.contains(-PI));
        assert!(around_trans.contains(-2.0) && !around_trans.contains(0.5));
        // The lower bound belongs to the range, the upper one does not; turns do not matter.
        let range = TorsionRange::new(0, 1.0, 2.0);
        assert!(range.contains(1.0) && !range.contains(2.0));
        assert_eq!(TorsionRange::degrees(3, 270.0, 450.0).torsion(), 3);
        assert!(TorsionRange::degrees(0, 270.0, 450.0).contains(0.0));
        // From -180 to 0 holds an angle of +180, which is the same one.
        assert!(TorsionRange::degrees(0, -180.0, 0.0).contains(PI));
        let circle = TorsionRange::degrees(0, -180.0, 180.0);
        assert!(
            [-PI, -1.0, 0.0, 3.0, PI]
                .iter()
                .all(|&a| circle.contains(a))
        );
        assert!(!circle.contains(f64::NAN));
    }

    /// The dipeptide's backbone, and an isolated amino acid without phi or psi.
    fn dipeptide() -> Topology {
        let names = [("C", 0), ("N", 1), ("CA", 1), ("C", 1), ("N", 2)];
        let atom = |&(name, residue): &(&str, usize)| Atom {
            name: name.to_owned(),
            element: name[..1].to_owned(),
            atomic_number: 6,
            mass: 12.0,
            residue,
        };
        let residue = |(name, id): (&str, i64)| Residue {
            name: name.to_owned(),
            id,
            chain: String::new(),
        };
        Topology {
            atoms: names.iter().map(atom).collect(),
            residues: [("ACE", 1), ("ALA", 2), ("NME", 3)].map(residue).to_vec(),
            bonds: vec![[0, 1], [1, 2], [2, 3], [3, 4]],
        }
    }

    #[test]
    fn populations_of_a_trajectory_agree_with_numpy() {
        let (torsions, basins) = default_basins(&dipeptide());
        assert_eq!(torsions, [[0, 1, 2, 3], [1, 2, 3, 4]]);
        let (phi, psi) = (numbers("torsions.csv", 0), numbers("torsions.csv", 1));
        let frames: Vec<f64> = phi.iter().zip(psi).flat_map(|(&a, b)| [a, b]).collect();
        let found = block_populations(&basins, &frames, 2, &Blocks::equal(phi.len(), 10)).unwrap();
        let expected = table("populations.csv");
        assert_eq!(expected.len(), 3);
        for ((basin, found), row) in basins.iter().zip(&found).zip(expected) {
            assert_eq!(basin.name, format!("ALA2 {}", row[0]));
            let [population, error]: [f64; 2] = [1, 2].map(|i| row[i].parse().unwrap());
            assert!((found.value - population).abs() < 1e-14);
            assert!((found.error - error).abs() < 1e-14);
        }
        assert!((found.iter().map(|e| e.value).sum::<f64>() - 1.0).abs() < 1e-14);

        // Equal weights give the same populations, with the binomial error of independent frames.
        let weights = vec![-7.0; phi.len()];
        let equal = weighted_populations(&basins, &frames, 2, &weights).unwrap();
        for (equal, found) in equal.iter().zip(&found) {
            let p = found.value;
            assert!((equal.value - p).abs() < 1e-14);
            assert!((equal.error - (p * (1.0 - p) / phi.len() as f64).sqrt()).abs() < 1e-14);
        }
    }

    #[test]
    fn weights_move_populations() {
        let basins = [Basin {
            name: "right".to_owned(),
            ranges: vec![TorsionRange::degrees(0, 0.0, 180.0)],
        }];
        // Twenty times the weights of the test of averages: 3/4, sqrt(18) / 16 / sqrt(20).
        let weights = [0.0, 3f64.ln(), f64::NEG_INFINITY].repeat(20);
        let torsions = [-1.0, 1.0, 1.0].repeat(20);
        let found = weighted_populations(&basins, &torsions, 1, &weights).unwrap();
        assert!((found[0].value - 0.75).abs() < 1e-15);
        assert!((found[0].error - (18f64 / 20.0).sqrt() / 16.0).abs() < 1e-15);
        // Two samples tell no error, nor does one that has all the weight.
        let few = weighted_populations(&basins, &torsions[..3], 1, &weights[..3]).unwrap();
        assert_eq!((few[0].value, few[0].error), (0.75, f64::INFINITY));
        let mut one = vec![0.0; 60];
        one[1] = 1e3;
        let found = weighted_populations(&basins, &torsions, 1, &one).unwrap();
        assert_eq!((found[0].value, found[0].error), (1.0, f64::INFINITY));
    }

    #[test]
    fn empty_and_full_basins_have_errors() {
        let basins =
            [("right", 0.0, 180.0), ("left", -180.0, 0.0)].map(|(name, lower, upper)| Basin {
                name: name.to_owned(),
                ranges: vec![TorsionRange::degrees(0, lower, upper)],
            });
        let n = 400;
        let torsions = vec![1.0; n];
        let weighted = weighted_populations(&basins, &torsions, 1, &vec![0.0; n]).unwrap();
        let blocks = block_populations(&basins, &torsions, 1, &Blocks::equal(n, 20)).unwrap();
        for (found, n) in [(&weighted, 400.0), (&blocks, 20.0)] {
            assert_eq!((found[0].value, found[1].value), (1.0, 0.0));
            // About 1 / n, from below.
            for error in [found[0].error, found[1].error] {
                assert!(0.8 / n < error && error < 1.0 / n, "{error}");
            }
        }
    }

    #[test]
    fn refusals() {
        let (_, basins) = default_basins(&dipeptide());
        let found = block_populations(&basins, &[0.0; 4], 1, &Blocks::equal(4, 2)).unwrap_err();
        assert!(
            found.to_string().contains("\"ALA2 alpha\" uses torsion 1"),
            "{found}"
        );
        assert!(block_populations(&basins, &[0.0; 3], 2, &Blocks::equal(2, 2)).is_err());
        assert!(weighted_populations(&basins, &[0.0; 4], 2, &[0.0]).is_err());
        let none = weighted_populations(&basins, &[0.0; 2], 2, &[f64::NAN]);
        assert_eq!(none, Err(MetricError::NoWeight { n: 1 }));
        let bare = Topology {
            bonds: Vec::new(),
            ..dipeptide()
        };
        assert_eq!(default_basins(&bare), (Vec::new(), Vec::new()));
    }
}
