//! Densities of configurations, and their weights where there is an energy.

use std::path::Path;

use regflow::energy::Energy;
use regflow::sample::WeightedSamples;
use regflow::system::{ArrayData, NamedArray, write_npz};

use crate::Outcome;
use crate::figures::Figures;

/// `log q` of each configuration, and with an energy its energy and weight.
pub struct Scores<'a> {
    energy: Option<&'a dyn Energy>,
    weighted: WeightedSamples,
    log_q: Vec<f64>,
}

impl<'a> Scores<'a> {
    /// None yet, for a target at `temperature` (K).
    pub fn new(temperature: f64, energy: Option<&'a dyn Energy>) -> Self {
        Scores {
            energy,
            weighted: WeightedSamples::new(temperature),
            log_q: Vec::new(),
        }
    }

    /// Takes in configurations, `[n, N, 3]`, and their densities, `[n]`.
    pub fn extend(&mut self, positions: &[f64], log_q: &[f64]) -> Outcome {
        match self.energy {
            None => self.log_q.extend_from_slice(log_q),
            Some(energy) => {
                let mut energies = vec![0.0; log_q.len()];
                energy.energies(positions, &mut energies)?;
                self.weighted.extend(log_q, &energies);
            }
        }
        Ok(())
    }

    /// What there is with an energy.
    pub fn weighted(&self) -> Option<&WeightedSamples> {
        self.energy.map(|_| &self.weighted)
    }

    /// `log q` of each configuration.
    pub fn log_q(&self) -> &[f64] {
        self.weighted().map_or(&self.log_q, |all| &all.log_q)
    }

    /// Adds what is known without an energy, and says what is not.
    pub fn add_log_q(&self, figures: &mut Figures) {
        let finite = self.log_q.iter().copied().filter(|x| x.is_finite());
        let (n, finite): (_, Vec<f64>) = (self.log_q.len(), finite.collect());
        let mean = finite.iter().sum::<f64>() / finite.len() as f64;
        let non_finite = (n - finite.len()) as f64 / n as f64;
        figures.add("n", n, n.to_string());
        figures.add("mean_log_q", mean, format!("{mean:.4} (finite ones)"));
        figures.add(
            "non_finite_fraction",
            non_finite,
            format!("{non_finite:.5}"),
        );
        figures.warn("no energies and no weights: they need --energy");
    }

    /// Writes one row per configuration. Of resampled configurations, `index` tells which of the drawn ones they are, and their
    /// log weights are 0: they count alike.
    pub fn write(&self, path: &Path, resampled: Option<&[usize]>) -> Outcome {
        let pick = |values: &[f64]| match resampled {
            None => values.to_vec(),
            Some(indices) => indices.iter().map(|&i| values[i]).collect(),
        };
        let Some(all) = self.weighted() else {
            let log_q = NamedArray {
                name: "log_q",
                shape: &[self.log_q.len()],
                data: ArrayData::F64(&self.log_q),
            };
            return Ok(write_npz(path, &[log_q])?);
        };
        let (log_q, energy) = (pick(&all.log_q), pick(&all.energy));
        let log_weight = match resampled {
            None => all.log_weight.clone(),
            Some(indices) => vec![0.0; indices.len()],
        };
        let index = resampled.unwrap_or_default().iter();
        let index: Vec<u64> = index.map(|&i| i as u64).collect();
        let shape = [log_q.len()];
        let array = |name, data| NamedArray {
            name,
            shape: &shape,
            data,
        };
        let mut arrays = vec![
            array("log_q", ArrayData::F64(&log_q)),
            array("energy", ArrayData::F64(&energy)),
            array("log_weight", ArrayData::F64(&log_weight)),
        ];
        if resampled.is_some() {
            arrays.push(array("index", ArrayData::U64(&index)));
        }
        Ok(write_npz(path, &arrays)?)
    }
}
