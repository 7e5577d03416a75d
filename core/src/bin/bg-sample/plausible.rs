//! Whether the frames of each file can be those of the molecule, told while they are read.

use std::path::PathBuf;

use regflow::coordinates::{ConfigurationSource, FrameStore};
use regflow::energy::Energy;
use regflow::sample::{PlausibilityError, check_plausible, most_looked_at};
use regflow::system::Topology;

use crate::Outcome;

/// What frames are to be a sample of.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The potential, where there is one.
    pub energy: Option<&'a dyn Energy>,
    /// The temperature (K), where it is known.
    pub temperature: Option<f64>,
}

/// Checks files one by one: each is judged by an even sample of its frames, once when there are enough and again at its end.
pub struct Check<'a> {
    files: &'a [PathBuf],
    topology: &'a Topology,
    expected: Expected<'a>,
    /// The file that is read.
    file: usize,
    sample: EvenSample,
}

impl<'a> Check<'a> {
    pub fn new(files: &'a [PathBuf], topology: &'a Topology, expected: Expected<'a>) -> Self {
        Check {
            files,
            topology,
            expected,
            file: 0,
            sample: EvenSample::new(topology.n_atoms()),
        }
    }

    /// Takes in the next frame, which is of the file with this index.
    pub fn add(&mut self, file: usize, frame: &[f64]) -> Outcome {
        if file != self.file {
            self.finish()?;
            self.file = file;
            self.sample = EvenSample::new(self.topology.n_atoms());
        }
        if self.sample.add(frame)? {
            self.finish()?;
        }
        Ok(())
    }

    /// Judges the file that is read by what was seen of it.
    pub fn finish(&self) -> Outcome {
        let Expected {
            energy,
            temperature,
        } = self.expected;
        check_plausible(self.topology, energy, &self.sample.kept, temperature).map_err(|error| {
            let file = self.files[self.file].display();
            match error {
                PlausibilityError::Implausible(_) => {
                    format!("{file}: {error}; --accept-implausible takes the frames as they are")
                        .into()
                }
                _ => error.into(),
            }
        })
    }
}

/// Frames of equal distance in time, of a file whose length is not known: every other one is let go when they are twice as many
/// as needed.
struct EvenSample {
    kept: FrameStore,
    stride: usize,
    seen: usize,
    most: usize,
}

impl EvenSample {
    fn new(n_atoms: usize) -> Self {
        EvenSample {
            kept: FrameStore::new(n_atoms),
            stride: 1,
            seen: 0,
            most: 2 * most_looked_at(n_atoms),
        }
    }

    /// Takes in the next frame; tells whether there are enough for the first time.
    fn add(&mut self, frame: &[f64]) -> Outcome<bool> {
        if self.kept.n() == self.most {
            let mut kept = FrameStore::new(self.kept.n_atoms());
            let mut x = vec![0.0; frame.len()];
            for index in (0..self.most).step_by(2) {
                self.kept.copy(index, &mut x);
                kept.extend(&x)?;
            }
            self.kept = kept;
            self.stride *= 2;
        }
        if self.seen.is_multiple_of(self.stride) {
            self.kept.extend(frame)?;
        }
        self.seen += 1;
        Ok(self.seen == self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_stays_even_however_long_the_file_is() {
        let mut sample = EvenSample::new(2);
        sample.most = 8;
        let mut told = Vec::new();
        for frame in 0..50 {
            let half = f64::from(frame);
            if sample.add(&[-half, 0.0, 0.0, half, 0.0, 0.0]).unwrap() {
                told.push(frame);
            }
        }
        let first = |index: usize| sample.kept.configuration(index)[3];
        let kept: Vec<f32> = (0..sample.kept.n()).map(first).collect();
        assert_eq!(kept, [0.0, 8.0, 16.0, 24.0, 32.0, 40.0, 48.0]);
        assert_eq!(told, [7]);
    }
}
