//! Evaluation of one block of `L` configurations, one configuration per SIMD lane.
//!
//! Every kernel is a plain loop over lanes around branch-free arithmetic, generic over the floating-point type, and is
//! inlined into one function per instruction set ([`vectorised!`]), where the compiler vectorises it.

mod bonded;
mod distances;
mod generalized_born;
mod nonbonded;
mod tables;
mod workspace;

use crate::math::Real;
use crate::math::simd::vectorised;
pub(super) use tables::Tables;
pub(super) use workspace::Workspace;

/// Configurations per block: one AVX-512 register of f32, two of f64. Fewer would fill a register of f64 exactly, but then
/// the compiler unrolls the loops over lanes before it could vectorise them.
pub(super) const LANES: usize = 16;

/// One number for each of `L` configurations.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Lanes<R, const L: usize>(pub [R; L]);

impl<R: Real, const L: usize> Lanes<R, L> {
    #[inline(always)]
    pub fn splat(value: R) -> Self {
        Lanes([value; L])
    }

    /// `self + other`, by value: the compiler cannot rule out that two places in memory overlap.
    #[inline(always)]
    pub fn plus(mut self, other: &Self) -> Self {
        for l in 0..L {
            self.0[l] += other.0[l];
        }
        self
    }
}

vectorised! {
    /// Computes energies (`work.energy`) and, if `forces`, gradients of the configurations loaded into `work`.
    pub(super) fn evaluate[isa]<R: Real>(forces: bool, tables: &Tables<R>, work: &mut Workspace<R, LANES>) {
        if forces {
            block::<R, LANES, true, FMA>(tables, work);
        } else {
            block::<R, LANES, false, FMA>(tables, work);
        }
    }
}

#[inline(always)]
fn block<R: Real, const L: usize, const FORCES: bool, const F: bool>(
    tables: &Tables<R>,
    work: &mut Workspace<R, L>,
) {
    bonded::bonds::<R, L, FORCES, F>(tables, work);
    bonded::angles::<R, L, FORCES, F>(tables, work);
    bonded::torsions::<R, L, FORCES, F>(tables, work);
    distances::distances::<R, L, F>(tables, work);
    nonbonded::nonbonded::<R, L, FORCES, F>(tables, work);
    if let Some(solvent) = &tables.generalized_born {
        if solvent.cutoff2.is_some() {
            generalized_born::solvation::<R, L, FORCES, true, F>(tables, solvent, work);
        } else {
            generalized_born::solvation::<R, L, FORCES, false, F>(tables, solvent, work);
        }
    }
    if FORCES {
        distances::pair_gradients::<R, L, F>(tables, work);
    }
}
