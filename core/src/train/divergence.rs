//! When a stage has diverged: told by the training batches, never by what is held out.
//!
//! A loss or a gradient that is not finite, or stays far above where it was, is divergence. A worse validation while the training loss falls
//! is not: that is overfitting, which patience ends.

use serde::{Deserialize, Serialize};

/// Steps of which the medians tell where training stands: half of them may be outliers.
const WINDOW: usize = 16;
/// Fewest of them that tell.
const FEWEST: usize = 8;
/// How many standard deviations of a batch's loss the median may rise, and how much for each feature (nats or squared
/// units), whichever is more. A median of 16 has a standard deviation of 0.3 of them; the rest is for the ups and downs of large
/// learning rates, and for a polish that leaves frames of another potential: what these lose, the validations see.
const DEVIATIONS: f64 = 20.0;
const PER_FEATURE: f64 = 0.25;
/// How many times its lowest, and how many times the norm to which it is cut, the median norm of the gradient may be, whichever is
/// more. The slopes of path gradients explode before the loss does.
const TIMES_LOWEST: f64 = 20.0;
const TIMES_CLIP: f64 = 10.0;

/// What shows that a stage has diverged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// The loss, the norm of the gradient, or the median of either over the last steps.
    pub what: String,
    /// Its value, in words: it need not be a number.
    pub value: String,
    /// Step, over all stages.
    pub step: usize,
    /// Learning rate of the step.
    pub learning_rate: f64,
}

/// The losses and gradients of the last steps, and the lowest level that they had.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Watch {
    losses: Window,
    /// Lowest median, and the standard deviation of a loss there.
    lowest: Option<[f64; 2]>,
    norms: Window,
    /// Lowest median.
    calmest: Option<f64>,
}

impl Watch {
    /// Takes in a finite loss, above its floor, of a model with so many features; the median of the last losses if they have
    /// exploded.
    pub fn observe(&mut self, loss: f64, features: usize) -> Option<f64> {
        let level = self.losses.push(loss);
        // The first loss is that before the first step, and the level from which to tell whether the first steps were too large.
        let [lowest, deviation] = *self.lowest.get_or_insert([loss, 0.0]);
        let level = level?;
        if level < lowest {
            self.lowest = Some([level, self.losses.deviation()]);
        }
        let most = (DEVIATIONS * deviation).max(PER_FEATURE * features as f64);
        (level > lowest + most).then_some(level)
    }

    /// Takes in the finite norm of a gradient that is cut to `clip`; the median of the last norms if they have exploded.
    pub fn observe_gradient(&mut self, norm: f64, clip: f64) -> Option<f64> {
        let level = self.norms.push(norm)?;
        let lowest = self.calmest.map_or(level, |calmest| calmest.min(level));
        self.calmest = Some(lowest);
        (level > (TIMES_LOWEST * lowest).max(TIMES_CLIP * clip)).then_some(level)
    }

    /// Median of the last losses, if there are any.
    pub fn level(&self) -> Option<f64> {
        (!self.losses.0.is_empty()).then(|| median(self.losses.0.clone()))
    }

    /// Forgets the steps since a state that was left, but not the lowest levels.
    pub fn retreat(&mut self) {
        self.losses.0.clear();
        self.norms.0.clear();
    }
}

/// Values of the last steps, newest last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Window(Vec<f64>);

impl Window {
    /// Takes in a value; the median, once there are enough of them.
    fn push(&mut self, value: f64) -> Option<f64> {
        self.0.push(value);
        if self.0.len() > WINDOW {
            self.0.remove(0);
        }
        (self.0.len() >= FEWEST).then(|| median(self.0.clone()))
    }

    /// Standard deviation of a value, from the differences of neighbours: a slow fall does not count.
    fn deviation(&self) -> f64 {
        let steps = self.0.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        // Of normal numbers the median of absolute differences is 0.6745 sqrt(2) deviations.
        median(steps.collect()) / (0.674_489_75 * std::f64::consts::SQRT_2)
    }
}

/// NaN of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => f64::NAN,
        _ => 0.5 * (values[(n - 1) / 2] + values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;

    use super::*;

    /// A course of losses with normal noise, of a model with 60 features: the step at which they have exploded, if they do.
    fn watch(course: impl Fn(f64) -> f64, noise: f64, steps: usize) -> (Watch, Option<usize>) {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        let mut watch = Watch::default();
        let exploded = (0..steps).position(|step| {
            let normal: f64 = random.sample(StandardNormal);
            let loss = course(step as f64) + noise * normal;
            watch.observe(loss, 60).is_some()
        });
        (watch, exploded)
    }

    #[test]
    fn a_falling_or_resting_loss_has_not_exploded() {
        let (falling, exploded) = watch(|t| 80.0 + 10.0 * (-t / 100.0).exp(), 0.25, 5000);
        assert_eq!(exploded, None);
        assert!((falling.losses.deviation() / 0.25 - 1.0).abs() < 0.6);
        assert!((falling.level().unwrap() - 80.0).abs() < 0.4);
        // Nor one with a tenth of outliers, whatever they are.
        let spikes = |t: f64| if t % 10.0 == 3.0 { 1e30 } else { 80.0 };
        assert_eq!(watch(spikes, 0.25, 1000).1, None);
    }

    #[test]
    fn one_that_rises_has() {
        // By 16 nats, a quarter for each of 60 features and more than 20 deviations, within a few steps of half a window above it.
        let jump = |t: f64| if t < 500.0 { 80.0 } else { 96.5 };
        let at = watch(jump, 0.25, 1000).1.unwrap();
        assert!((507..512).contains(&at), "{at}");
        // At once, in a run whose first step was far too large.
        let lost = |t: f64| if t < 1.0 { 80.0 } else { 1e9 };
        assert_eq!(watch(lost, 0.25, 100).1, Some(FEWEST - 1));
        // Slowly.
        assert!(watch(|t| 80.0 + 0.03 * t, 0.25, 1000).1.is_some());
        // After a retreat the level to compare with is still the lowest.
        let (mut watch, _) = watch(|_| 80.0, 0.25, 50);
        watch.retreat();
        let exploded = (0..10).position(|_| watch.observe(100.0, 60).is_some());
        assert_eq!(exploded, Some(FEWEST - 1));
    }

    #[test]
    fn a_gradient_that_explodes_has_diverged_though_the_loss_has_not() {
        let explodes = |norms: &dyn Fn(usize) -> f64| {
            let mut watch = Watch::default();
            (0..400).position(|step| watch.observe_gradient(norms(step), 4.0).is_some())
        };
        // Of single steps, however large, and of a rise that does not yet matter nothing is told.
        assert_eq!(
            explodes(&|step| if step % 4 == 3 { 1e9 } else { 3.0 }),
            None
        );
        assert_eq!(explodes(&|step| if step < 200 { 0.01 } else { 30.0 }), None);
        // Nor of gradients that are large from the beginning.
        assert_eq!(explodes(&|step| 1e4 - step as f64), None);
        let at = explodes(&|step| if step < 200 { 3.0 } else { 70.0 });
        assert_eq!(at, Some(200 + WINDOW / 2));
    }
}
