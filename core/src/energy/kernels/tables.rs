//! The terms of a potential in the layout that the kernels read.

use super::super::parameters::{Angle, Bond, GeneralizedBorn, Parameters, Torsion};
use crate::math::Real;

/// Lennard-Jones and Coulomb coefficients of a pair: `c12/r^12 - c6/r^6 + q (1/r) + q_rf r^2 - q_shift`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairTerm<R> {
    /// Position in `Tables::pairs`.
    pub pair: usize,
    pub c12: R,
    pub c6: R,
    pub q: R,
    pub q_rf: R,
    pub q_shift: R,
}

/// The switching function of the Lennard-Jones part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Switch<R> {
    pub start: R,
    /// 1/(cutoff - start)
    pub inverse_width: R,
}

/// Nonbonded terms by the way they are truncated.
#[derive(Debug, Clone)]
pub(crate) struct NonbondedTables<R> {
    /// Without cutoff, and all exceptions.
    pub plain: Vec<PairTerm<R>>,
    /// With cutoff and reaction field.
    pub truncated: Vec<PairTerm<R>>,
    pub cutoff2: R,
    pub switch: Option<Switch<R>>,
}

/// Generalized Born parameters.
#[derive(Debug, Clone)]
pub(crate) struct SolventTables<R> {
    pub charges: Vec<R>,
    pub offset_radii: Vec<R>,
    pub inverse_offset_radii: Vec<R>,
    pub inverse_radii: Vec<R>,
    pub scaled_radii: Vec<R>,
    pub surface: Vec<R>,
    pub alpha: R,
    pub beta: R,
    pub gamma: R,
    pub pair_prefactor: R,
    pub self_prefactor: R,
    pub cutoff2: Option<R>,
    pub shift: R,
    pub engulfed_term: bool,
}

/// Everything a block evaluation reads. Bonded terms stay in f64, where they need it: bonds are stiff.
#[derive(Debug, Clone)]
pub(crate) struct Tables<R> {
    pub n_atoms: usize,
    pub bonds: Vec<Bond>,
    pub angles: Vec<Angle>,
    pub torsions: Vec<Torsion>,
    /// Pairs whose distances are needed, sorted by the first atom.
    pub pairs: Vec<[usize; 2]>,
    pub nonbonded: NonbondedTables<R>,
    pub generalized_born: Option<SolventTables<R>>,
}

impl<R: Real> Tables<R> {
    pub fn new(parameters: &Parameters) -> Self {
        let n = parameters.masses.len();
        let nonbonded = parameters.nonbonded.as_ref();
        let mut pairs: Vec<[usize; 2]> = if parameters.generalized_born.is_some() {
            (0..n)
                .flat_map(|i| (i + 1..n).map(move |j| [i, j]))
                .collect()
        } else {
            nonbonded.map_or_else(Vec::new, |nb| nb.pairs.iter().map(|p| p.atoms).collect())
        };
        pairs.sort_unstable();
        pairs.dedup();

        let cutoff = nonbonded.and_then(|nb| nb.cutoff);
        let (mut plain, mut truncated) = (Vec::new(), Vec::new());
        for term in nonbonded.map_or(&[][..], |nb| &nb.pairs) {
            let Ok(pair) = pairs.binary_search(&term.atoms) else {
                continue;
            };
            let sigma6 = term.sigma.powi(6);
            let (k_rf, c_rf) = cutoff.map_or((0.0, 0.0), |c| (c.k_rf, c.c_rf));
            let target = if cutoff.is_some() && !term.exception {
                &mut truncated
            } else {
                &mut plain
            };
            target.push(PairTerm {
                pair,
                c12: R::of(4.0 * term.epsilon * sigma6 * sigma6),
                c6: R::of(4.0 * term.epsilon * sigma6),
                q: R::of(term.charges),
                q_rf: R::of(term.charges * k_rf),
                q_shift: R::of(term.charges * c_rf),
            });
        }
        plain.sort_by_key(|t| t.pair);
        truncated.sort_by_key(|t| t.pair);
        let switch = cutoff
            .and_then(|c| c.switch.map(|start| (start, c.distance)))
            .map(|(start, end)| Switch {
                start: R::of(start),
                inverse_width: R::of(1.0 / (end - start)),
            });
        Tables {
            n_atoms: n,
            bonds: parameters.bonds.clone(),
            angles: parameters.angles.clone(),
            torsions: parameters.torsions.clone(),
            pairs,
            nonbonded: NonbondedTables {
                plain,
                truncated,
                cutoff2: R::of(cutoff.map_or(f64::INFINITY, |c| c.distance * c.distance)),
                switch,
            },
            generalized_born: parameters.generalized_born.as_ref().map(SolventTables::new),
        }
    }
}

impl<R: Real> SolventTables<R> {
    fn new(gb: &GeneralizedBorn) -> Self {
        let convert = |values: &[f64]| values.iter().map(|&v| R::of(v)).collect::<Vec<R>>();
        let inverse = |values: &[f64]| values.iter().map(|&v| R::of(1.0 / v)).collect::<Vec<R>>();
        let [alpha, beta, gamma] = gb.alpha_beta_gamma.map(R::of);
        SolventTables {
            charges: convert(&gb.charges),
            offset_radii: convert(&gb.offset_radii),
            inverse_offset_radii: inverse(&gb.offset_radii),
            inverse_radii: inverse(&gb.radii),
            scaled_radii: convert(&gb.scaled_radii),
            surface: convert(&gb.surface),
            alpha,
            beta,
            gamma,
            pair_prefactor: R::of(gb.pair_prefactor),
            self_prefactor: R::of(gb.self_prefactor),
            cutoff2: gb.cutoff.map(|c| R::of(c * c)),
            shift: R::of(gb.shift),
            engulfed_term: gb.engulfed_term,
        }
    }
}
