//! Whether an input does what an energy source needs: nothing moves the atoms, and forces belong to the energy.

use crate::LammpsError;
use crate::engine::Context;

/// Size of the changes of the input's positions, nm: these may be a minimum, where no force tells anything.
const SHIFT: f64 = 2e-3;
/// Step of the numerical derivative, nm.
const STEP: f64 = 1e-5;
/// Largest distance by which rounding moves an atom, nm.
const ROUNDING: f64 = 1e-9;
/// Largest deviation of the derivative along a random direction, as a fraction of the force's mean component: tabulated
/// potentials and mesh methods are not exact, while thermostats and constraints are off by far more.
const TOLERANCE: f64 = 0.05;

/// Made-up numbers in (-1, 1), no two alike.
fn waves(n: usize, phase: f64) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| (1.7 * i as f64 + phase).sin())
}

/// Checks the input near its own positions. Where these have no finite energy, nothing can be told.
///
/// # Errors
/// What is wrong with the input.
pub fn check(context: &mut Context, file: &str) -> Result<(), LammpsError> {
    let n = 3 * context.n_atoms();
    let mut forces = vec![0.0; n];
    let mut evaluate = |context: &mut Context, positions: &[f64]| {
        let energy = context.evaluate(positions, Some(&mut forces));
        let energy = energy.map_err(|failure| failure.describe(file, n / 3))?;
        Ok::<_, LammpsError>((energy, forces.clone()))
    };
    let shifted = |positions: &[f64], by: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
        positions.iter().zip(by).map(|(x, by)| x + by).collect()
    };
    let positions = |context: &Context| {
        let positions = context.positions();
        positions.map_err(|failure| failure.describe(file, n / 3))
    };
    let near = shifted(&positions(context)?, &mut waves(n, 0.3).map(|x| SHIFT * x));
    evaluate(context, &near)?;
    // The same, where the box is periodic inside of it: now an evaluation must leave them alone.
    let near = positions(context)?;
    let (energy, forces_near) = evaluate(context, &near)?;
    let after = positions(context)?;
    let moved = near.iter().zip(&after);
    let moved = moved.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if moved > ROUNDING {
        return Err(LammpsError::Moves {
            file: file.into(),
            distance: moved,
        });
    }
    let norm = forces_near.iter().map(|f| f * f).sum::<f64>().sqrt();
    if !(energy.is_finite() && norm.is_finite()) {
        return Ok(());
    }
    let length = waves(n, 0.9).map(|x| x * x).sum::<f64>().sqrt();
    let direction = || waves(n, 0.9).map(|x| x / length);
    let (ahead, _) = evaluate(context, &shifted(&near, &mut direction().map(|x| STEP * x)))?;
    let (behind, _) = evaluate(
        context,
        &shifted(&near, &mut direction().map(|x| -STEP * x)),
    )?;
    let expected = (behind - ahead) / (2.0 * STEP);
    let found: f64 = forces_near
        .iter()
        .zip(direction())
        .map(|(f, d)| f * d)
        .sum();
    // Differences of energies are no more exact than these are, and forces may be exactly 0.
    let rounding = 1e-12 * energy.abs().max(1.0) / STEP;
    if (found - expected).abs() > TOLERANCE * norm / (n as f64).sqrt() + rounding {
        return Err(LammpsError::Forces {
            file: file.into(),
            expected,
            found,
        });
    }
    Ok(())
}
