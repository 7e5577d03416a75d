//! Samples of the flow with what the energy said of them, the newest in the place of the oldest.

use crate::train::objectives::{Array, Arrays};

/// The samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Buffer {
    /// `[n, D]`.
    pub features: Vec<f32>,
    /// `[n, D]`, gradient of the target's log density by the features; empty without forces.
    pub scores: Vec<f32>,
    /// `[n]`, log of target over proposal; `-inf` where the target is zero.
    pub log_weight: Vec<f64>,
    /// `[n]`, log density of the flow that drew the sample.
    pub log_q: Vec<f64>,
    /// Row that the next sample takes.
    pub next: usize,
    /// Samples drawn so far: index of the next one in the prior's stream.
    pub drawn: u64,
}

impl Buffer {
    /// Whether nothing was drawn yet.
    pub fn is_empty(&self) -> bool {
        self.log_weight.is_empty()
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.log_weight.len()
    }

    /// Takes in samples, in the place of the oldest: those of the first time are all that it ever has room for.
    pub fn push(&mut self, new: Buffer) {
        let n = new.len() as u64;
        self.drawn += n;
        if self.is_empty() {
            let drawn = self.drawn;
            *self = Buffer { drawn, ..new };
            return;
        }
        let capacity = self.len();
        let width = self.features.len() / capacity;
        for i in 0..new.len() {
            let row = (self.next + i) % capacity;
            let (to, from) = (row * width, i * width);
            self.features[to..to + width].copy_from_slice(&new.features[from..from + width]);
            if !self.scores.is_empty() {
                self.scores[to..to + width].copy_from_slice(&new.scores[from..from + width]);
            }
            self.log_weight[row] = new.log_weight[i];
            self.log_q[row] = new.log_q[i];
        }
        self.next = (self.next + new.len()) % capacity;
    }

    /// Rows of the newest `n` samples that the target knows; those that it does not have no slope.
    pub fn newest(&self, n: usize) -> Vec<usize> {
        let capacity = self.len();
        (1..=capacity)
            .map(|age| (self.next + capacity - age) % capacity)
            .filter(|&row| self.log_weight[row].is_finite())
            .take(n)
            .collect()
    }

    /// As arrays of a checkpoint.
    pub fn save(&self, arrays: &mut Arrays) {
        let counts = vec![self.next as u64, self.drawn];
        for (name, array) in [
            ("features", Array::F32(self.features.clone())),
            ("scores", Array::F32(self.scores.clone())),
            ("log_weight", Array::F64(self.log_weight.clone())),
            ("log_q", Array::F64(self.log_q.clone())),
            ("counts", Array::U64(counts)),
        ] {
            arrays.insert(name.to_owned(), array);
        }
    }

    /// From those arrays, of samples of `dimension` features, with scores or without; or what is wrong with them.
    pub fn load(arrays: &mut Arrays, dimension: usize, scored: bool) -> Result<Buffer, String> {
        let mut take = |name: &str| {
            arrays
                .remove(name)
                .ok_or_else(|| format!("array {name} of the polish is missing"))
        };
        let arrays = (
            take("features")?,
            take("scores")?,
            take("log_weight")?,
            take("log_q")?,
            take("counts")?,
        );
        let (
            Array::F32(features),
            Array::F32(scores),
            Array::F64(log_weight),
            Array::F64(log_q),
            Array::U64(counts),
        ) = arrays
        else {
            return Err("an array of the polish is of another type".into());
        };
        let n = log_weight.len();
        let next = counts.first().map_or(0, |&next| next as usize);
        let fits = features.len() == n * dimension
            && scores.len() == if scored { n * dimension } else { 0 }
            && log_q.len() == n
            && counts.len() == 2
            && next < n.max(1);
        if !fits {
            return Err("the arrays of the polish do not fit each other".into());
        }
        Ok(Buffer {
            features,
            scores,
            log_weight,
            log_q,
            next,
            drawn: counts[1],
        })
    }
}

/// Log weights cut down to their `quantile`, and the part of the whole weight that this takes away.
pub(super) fn clip(log_weights: &[f64], quantile: f64) -> (Vec<f64>, f64) {
    let mut sorted = log_weights.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (Some(&largest), last) = (sorted.last(), sorted.len().saturating_sub(1)) else {
        return (Vec::new(), 0.0);
    };
    let limit = sorted[(quantile * last as f64).round() as usize];
    let clipped: Vec<f64> = log_weights.iter().map(|w| w.min(limit)).collect();
    let sum = |weights: &[f64]| weights.iter().map(|w| (w - largest).exp()).sum::<f64>();
    let share = 1.0 - sum(&clipped) / sum(log_weights).max(f64::MIN_POSITIVE);
    (clipped, share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_cut_at_the_quantile() {
        let log_weights: Vec<f64> = (1..=100).map(|i| f64::from(i).ln()).collect();
        let (clipped, share) = clip(&log_weights, 0.9);
        let limit = 90f64.ln();
        assert!(clipped.iter().all(|&w| w <= limit));
        assert_eq!(clipped[..90], log_weights[..90]);
        // 1 + ... + 10 of 1 + ... + 100.
        assert!((share - 55.0 / 5050.0).abs() < 1e-12, "{share}");
        assert_eq!(clip(&log_weights, 1.0), (log_weights.clone(), 0.0));
    }

    fn samples(range: std::ops::Range<u16>) -> Buffer {
        let numbers = || range.clone().map(f64::from);
        Buffer {
            features: numbers().map(|i| i as f32).collect(),
            scores: numbers().map(|i| -i as f32).collect(),
            log_weight: numbers().collect(),
            log_q: numbers().map(|i| 2.0 * i).collect(),
            ..Buffer::default()
        }
    }

    #[test]
    fn the_newest_take_the_place_of_the_oldest() {
        let mut buffer = Buffer::default();
        buffer.push(samples(0..5));
        buffer.push(samples(5..8));
        buffer.push(samples(8..11));
        assert_eq!(buffer.log_weight, [10.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!(buffer.features, [10.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!(buffer.log_q[4], 18.0);
        assert_eq!((buffer.next, buffer.drawn), (1, 11));
        buffer.log_weight[4] = f64::NEG_INFINITY;
        assert_eq!(buffer.newest(2), [0, 3]);

        let mut arrays = Arrays::new();
        buffer.save(&mut arrays);
        let mut damaged = arrays.clone();
        assert_eq!(Buffer::load(&mut arrays, 1, true), Ok(buffer));
        assert!(Buffer::load(&mut damaged.clone(), 2, true).is_err());
        assert!(Buffer::load(&mut damaged.clone(), 1, false).is_err());
        damaged.remove("counts");
        let error = Buffer::load(&mut damaged, 1, true).unwrap_err();
        assert!(error.contains("counts"), "{error}");
    }
}
