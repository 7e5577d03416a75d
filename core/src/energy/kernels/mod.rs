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
use tables::Tile;
pub(super) use tables::{PAIRS_PER_TILE, Tables};
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
    /// Computes energies (`work.energy`) of the configurations loaded into `work`.
    pub(super) fn energies[isa]<R: Real>(tables: &Tables<R>, work: &mut Workspace<R, LANES>) {
        block::<R, LANES, false, FMA>(tables, work);
    }
}

vectorised! {
    /// Computes energies and gradients. A function of its own, since in one with the energies alone the optimiser does less well.
    pub(super) fn energies_and_gradients[isa]<R: Real>(tables: &Tables<R>, work: &mut Workspace<R, LANES>) {
        block::<R, LANES, true, FMA>(tables, work);
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
    let solvent = tables.generalized_born.as_ref();
    if solvent.is_some_and(|solvent| solvent.cutoff2.is_some()) {
        pairs::<R, L, FORCES, true, F>(tables, work);
    } else {
        pairs::<R, L, FORCES, false, F>(tables, work);
    }
}

/// Nonbonded and solvation terms; `CUTOFF` is that of the solvation.
#[inline(always)]
fn pairs<R: Real, const L: usize, const FORCES: bool, const CUTOFF: bool, const F: bool>(
    tables: &Tables<R>,
    work: &mut Workspace<R, L>,
) {
    match &tables.whole {
        Some(tile) => in_one::<R, L, FORCES, CUTOFF, F>(tables, tile, work),
        None => in_tiles::<R, L, FORCES, CUTOFF, F>(tables, work),
    }
}

/// Everything about a pair is computed once and kept.
#[inline(always)]
fn in_one<R: Real, const L: usize, const FORCES: bool, const CUTOFF: bool, const F: bool>(
    tables: &Tables<R>,
    tile: &Tile<R>,
    work: &mut Workspace<R, L>,
) {
    distances::distances::<R, L, F>(tables, tile, work);
    nonbonded::nonbonded::<R, L, FORCES, F>(tables, tile, work);
    if let Some(solvent) = &tables.generalized_born {
        generalized_born::descreening::<R, L, FORCES, CUTOFF, F>(tables, tile, solvent, work);
        generalized_born::radii::<R, L, FORCES, F>(solvent, work);
        generalized_born::polarisation::<R, L, FORCES, CUTOFF, F>(tables, tile, solvent, work);
        if FORCES {
            generalized_born::integral_gradients(work);
            generalized_born::chain::<R, L, F>(tile, work);
        }
    }
    if FORCES {
        distances::pair_gradients::<R, L, F>(tables, tile, work);
    }
}

/// Memory is that of one tile: the solvation, whose radii depend on all pairs, goes through the pairs two or three times, and
/// computes distances and integrals anew.
#[inline(always)]
fn in_tiles<R: Real, const L: usize, const FORCES: bool, const CUTOFF: bool, const F: bool>(
    tables: &Tables<R>,
    work: &mut Workspace<R, L>,
) {
    let mut tile = std::mem::take(&mut work.tile);
    if let Some(solvent) = &tables.generalized_born {
        for rows in &tables.tiles {
            tables.fill(rows.clone(), &mut tile);
            distances::distances::<R, L, F>(tables, &tile, work);
            generalized_born::descreening::<R, L, false, CUTOFF, F>(tables, &tile, solvent, work);
        }
        generalized_born::radii::<R, L, FORCES, F>(solvent, work);
    }
    for rows in &tables.tiles {
        tables.fill(rows.clone(), &mut tile);
        distances::distances::<R, L, F>(tables, &tile, work);
        work.slope.fill(Lanes::splat(R::of(0.0)));
        nonbonded::nonbonded::<R, L, FORCES, F>(tables, &tile, work);
        if let Some(solvent) = &tables.generalized_born {
            generalized_born::polarisation::<R, L, FORCES, CUTOFF, F>(tables, &tile, solvent, work);
        }
        if FORCES {
            distances::pair_gradients::<R, L, F>(tables, &tile, work);
        }
    }
    if let Some(solvent) = &tables.generalized_born
        && FORCES
    {
        generalized_born::integral_gradients(work);
        for rows in &tables.tiles {
            tables.fill(rows.clone(), &mut tile);
            distances::distances::<R, L, F>(tables, &tile, work);
            work.slope.fill(Lanes::splat(R::of(0.0)));
            // The integrals were used; only their slopes are wanted now.
            generalized_born::descreening::<R, L, true, CUTOFF, F>(tables, &tile, solvent, work);
            generalized_born::chain::<R, L, F>(&tile, work);
            distances::pair_gradients::<R, L, F>(tables, &tile, work);
        }
    }
    work.tile = tile;
}
