//! How far a stage is, and the learning rate that follows from it.

use std::time::Instant;

use super::Stage;

/// Counts steps or seconds, whichever bounds the stage.
pub(super) struct Schedule {
    start: Instant,
    /// Seconds that the stage took before this process resumed it.
    before: f64,
    steps: usize,
    time_limit: Option<f64>,
    warm_up: f64,
    peak: f64,
}

impl Schedule {
    /// A stage of which `before` seconds are done, with `spare` seconds beyond its own limit.
    pub fn new(stage: &Stage, before: f64, spare: f64) -> Self {
        Schedule {
            start: Instant::now(),
            before,
            steps: stage.steps,
            time_limit: stage.time_limit.map(|limit| limit + spare),
            warm_up: stage.warm_up,
            peak: stage.learning_rate,
        }
    }

    /// Seconds that the stage has taken.
    pub fn elapsed(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }

    /// Part of the stage that is done after `step` steps, 0 to 1.
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
        let stage = Stage {
            steps: 100,
            warm_up: 0.1,
            learning_rate: 2.0,
            ..Stage::default()
        };
        let schedule = Schedule::new(&stage, 0.0, 0.0);
        let rate = |step| schedule.learning_rate(schedule.fraction(step));
        assert_eq!(rate(0), 2e-3);
        assert!((rate(5) - 1.0).abs() < 1e-12);
        assert!((rate(10) - 2.0).abs() < 1e-12);
        assert!((rate(55) - 1.0).abs() < 1e-12);
        assert_eq!(rate(100), 2e-3);
    }

    #[test]
    fn time_before_a_resumption_counts() {
        let stage = Stage {
            time_limit: Some(10.0),
            ..Stage::default()
        };
        let fraction = Schedule::new(&stage, 5.0, 0.0).fraction(1);
        assert!((0.5..0.6).contains(&fraction), "{fraction}");
        let fraction = Schedule::new(&stage, 5.0, 10.0).fraction(1);
        assert!((0.25..0.3).contains(&fraction), "{fraction}");
    }
}
