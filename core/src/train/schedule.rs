//! How far a run is, and the learning rate that follows from it.

use std::time::Instant;

use super::TrainOptions;

/// Counts steps or seconds, whichever bounds the run.
pub(super) struct Schedule {
    start: Instant,
    steps: usize,
    time_limit: Option<f64>,
    warm_up: f64,
    peak: f64,
}

impl Schedule {
    pub fn new(options: &TrainOptions) -> Self {
        Schedule {
            start: Instant::now(),
            steps: options.steps,
            time_limit: options.time_limit,
            warm_up: options.warm_up,
            peak: options.learning_rate,
        }
    }

    pub fn elapsed(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Part of the run that is done after `step` steps, 0 to 1.
    pub fn fraction(&self, step: usize) -> f64 {
        match self.time_limit {
            Some(limit) => self.elapsed() / limit,
            None => step as f64 / self.steps as f64,
        }
        .min(1.0)
    }

    /// Linear warm-up to the peak, then a half cosine to zero.
    pub fn learning_rate(&self, fraction: f64) -> f64 {
        // Never exactly zero: the first step of a run would be lost.
        const FLOOR: f64 = 1e-3;
        let factor = if fraction < self.warm_up {
            fraction / self.warm_up
        } else {
            let phase = (fraction - self.warm_up) / (1.0 - self.warm_up);
            0.5 * (1.0 + (std::f64::consts::PI * phase).cos())
        };
        self.peak * factor.max(FLOOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_the_peak_and_falls_to_the_floor() {
        let options = TrainOptions {
            steps: 100,
            warm_up: 0.1,
            learning_rate: 2.0,
            ..TrainOptions::default()
        };
        let schedule = Schedule::new(&options);
        let rate = |step| schedule.learning_rate(schedule.fraction(step));
        assert_eq!(rate(0), 2e-3);
        assert!((rate(5) - 1.0).abs() < 1e-12);
        assert!((rate(10) - 2.0).abs() < 1e-12);
        assert!((rate(55) - 1.0).abs() < 1e-12);
        assert_eq!(rate(100), 2e-3);
    }
}
