use super::average::delta_method;
use super::basin::{check_torsions, membership};
use super::{Basin, Blocks, Estimate, MetricError, check_length, relative_weights, tells_errors};

/// Differences of free energy `-ln(p_to / p_from)`, in kT, for pairs `[from, to]` of basins in weighted independent samples; errors by
/// the delta method, infinite where the weights do not [tell](tells_errors) one; `torsions` and `log_weights` as in
/// [`weighted_populations`](super::weighted_populations). Where one basin is empty, the difference and its error are infinite, if the
/// weights tell errors; without that, or where both are empty, there is no estimate (NaN).
///
/// # Errors
/// As [`weighted_populations`](super::weighted_populations); a pair names a basin that is not there.
pub fn weighted_free_energy_differences(
    basins: &[Basin],
    pairs: &[[usize; 2]],
    torsions: &[f64],
    n_torsions: usize,
    log_weights: &[f64],
) -> Result<Vec<Estimate>, MetricError> {
    check_length("torsions", log_weights.len() * n_torsions, torsions.len())?;
    let (weights, _) = relative_weights(log_weights).ok_or(MetricError::NoWeight {
        n: log_weights.len(),
    })?;
    let tells_error = tells_errors(log_weights);
    differences(basins, pairs, torsions, n_torsions, tells_error, |values| {
        delta_method(&weights, values, tells_error)
    })
}

/// The same in a trajectory, with errors from blocks of time as in [`block_populations`](super::block_populations).
///
/// # Errors
/// As [`block_populations`](super::block_populations); a pair names a basin that is not there.
pub fn block_free_energy_differences(
    basins: &[Basin],
    pairs: &[[usize; 2]],
    torsions: &[f64],
    n_torsions: usize,
    blocks: &Blocks,
) -> Result<Vec<Estimate>, MetricError> {
    check_length("torsions", blocks.n() * n_torsions, torsions.len())?;
    differences(basins, pairs, torsions, n_torsions, true, |values| {
        blocks.average(values)
    })
}

fn differences(
    basins: &[Basin],
    pairs: &[[usize; 2]],
    torsions: &[f64],
    n_torsions: usize,
    tells_error: bool,
    average: impl Fn(&[f64]) -> Estimate,
) -> Result<Vec<Estimate>, MetricError> {
    check_torsions(basins, n_torsions)?;
    let inside: Vec<Vec<f64>> = basins
        .iter()
        .map(|basin| membership(basin, torsions, n_torsions))
        .collect();
    let difference = |pair: &[usize; 2]| {
        if let Some(&index) = pair.iter().find(|&&index| index >= basins.len()) {
            return Err(MetricError::NoBasin {
                index,
                n_basins: basins.len(),
            });
        }
        let [from, to] = pair.map(|basin| &inside[basin]);
        let [p_from, p_to] = [from, to].map(|inside| average(inside).value);
        if p_from == 0.0 || p_to == 0.0 {
            // That a handful of weights leaves a basin empty tells nothing of it; and of two empty ones neither is known.
            if p_from == p_to || !tells_error {
                let (value, error) = (f64::NAN, f64::NAN);
                return Ok(Estimate { value, error });
            }
            let (value, error) = ((p_from / p_to).ln(), f64::INFINITY);
            return Ok(Estimate { value, error });
        }
        let value = (p_from / p_to).ln();
        // First-order change of the difference with the share of each configuration; its mean is zero.
        let influence: Vec<f64> = from
            .iter()
            .zip(to)
            .map(|(from, to)| from / p_from - to / p_to)
            .collect();
        let error = average(&influence).error;
        Ok(Estimate { value, error })
    };
    pairs.iter().map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::TorsionRange;

    fn halves() -> [Basin; 2] {
        [("left", -180.0, 0.0), ("right", 0.0, 180.0)].map(|(name, lower, upper)| Basin {
            name: name.to_owned(),
            ranges: vec![TorsionRange::degrees(0, lower, upper)],
        })
    }

    #[test]
    fn two_complementary_basins_have_the_textbook_error() {
        // Of n independent samples, q to the left: ln(p_left / p_right) has variance 1 / (n p (1 - p)).
        let n = 1000;
        let torsions: Vec<f64> = (0..n)
            .map(|i| if i % 4 == 0 { 1.0 } else { -1.0 })
            .collect();
        let pairs = [[0, 1], [1, 0]];
        let weighted =
            weighted_free_energy_differences(&halves(), &pairs, &torsions, 1, &vec![-5.0; n])
                .unwrap();
        let error = (1.0 / (n as f64 * 0.25 * 0.75)).sqrt();
        assert!((weighted[0].value - 3f64.ln()).abs() < 1e-12);
        assert!((weighted[1].value + 3f64.ln()).abs() < 1e-12);
        assert!(weighted.iter().all(|e| (e.error - error).abs() < 1e-12));
        // In blocks of one, the same up to (n - 1) / n.
        let blocks =
            block_free_energy_differences(&halves(), &pairs, &torsions, 1, &Blocks::equal(n, n))
                .unwrap();
        assert!((blocks[0].value - 3f64.ln()).abs() < 1e-12);
        assert!((blocks[0].error / error - 1.0).abs() < 1.0 / n as f64);
    }

    #[test]
    fn weights_shift_the_difference() {
        let found =
            weighted_free_energy_differences(&halves(), &[[0, 1]], &[-1.0, 1.0], 1, &[0.0, 2.0]);
        let found = found.unwrap()[0];
        assert!((found.value + 2.0).abs() < 1e-12);
        assert_eq!(found.error, f64::INFINITY);
    }

    #[test]
    fn empty_and_missing_basins() {
        let log_weights: Vec<f64> = (0..1000).map(|i| 1e-4 * f64::from(i)).collect();
        let left = vec![-1.0; log_weights.len()];
        let find = |pairs: &[[usize; 2]], log_weights: &[f64]| {
            weighted_free_energy_differences(&halves(), pairs, &left, 1, log_weights)
        };
        let found = find(&[[0, 1], [1, 0]], &log_weights).unwrap();
        assert_eq!(found[0].value, f64::INFINITY);
        assert_eq!(found[1].value, f64::NEG_INFINITY);
        assert!(found.iter().all(|e| e.error == f64::INFINITY));
        let is_none = |e: &Estimate| e.value.is_nan() && e.error.is_nan();
        // All the weight on one configuration: that it is to the left tells nothing of the right.
        let mut single = vec![-1e4; log_weights.len()];
        single[0] = 0.0;
        let found = find(&[[0, 1], [1, 0]], &single).unwrap();
        assert!(found.iter().all(is_none), "{found:?}");
        let nowhere = ["nowhere", "nor here"].map(|name| Basin {
            name: name.to_owned(),
            ranges: vec![TorsionRange::degrees(0, 10.0, 20.0)],
        });
        let both =
            weighted_free_energy_differences(&nowhere, &[[0, 1]], &left, 1, &log_weights).unwrap();
        assert!(is_none(&both[0]), "{both:?}");
        assert_eq!(both[0].to_string(), "n/a");
        let blocks = Blocks::equal(left.len(), 10);
        let both = block_free_energy_differences(&nowhere, &[[0, 1]], &left, 1, &blocks).unwrap();
        assert!(is_none(&both[0]), "{both:?}");
        let expected = MetricError::NoBasin {
            index: 2,
            n_basins: 2,
        };
        assert_eq!(find(&[[0, 2]], &log_weights), Err(expected));
    }
}
