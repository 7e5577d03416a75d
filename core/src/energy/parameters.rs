//! The terms of a potential, as read and merged, in f64 and independent of how they are evaluated.

use std::collections::BTreeMap;

use super::system_xml::COULOMB;

/// `k/2 (r - length)^2`.
pub(super) use crate::system::BondTerm as Bond;

/// `k/2 (theta - angle)^2`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Angle {
    pub atoms: [usize; 3],
    /// rad
    pub angle: f64,
    /// kJ/(mol rad^2)
    pub k: f64,
}

/// `sum_n cos[n] cos(n phi) + sin[n] sin(n phi)`: everything that acts on one torsion angle, kJ/mol.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Torsion {
    pub atoms: [usize; 4],
    pub cos: Vec<f64>,
    pub sin: Vec<f64>,
}

/// Collects torsion terms and merges those on the same four atoms.
#[derive(Debug, Default)]
pub(super) struct TorsionSeries(BTreeMap<[usize; 4], (Vec<f64>, Vec<f64>)>);

impl TorsionSeries {
    /// Adds `cos cos(n phi) + sin sin(n phi)`.
    pub fn add(&mut self, atoms: [usize; 4], n: usize, cos: f64, sin: f64) {
        let [a, b, c, d] = atoms;
        // phi(a,b,c,d) = phi(d,c,b,a)
        let key = if (a, b) <= (d, c) {
            atoms
        } else {
            [d, c, b, a]
        };
        let (cosines, sines) = self.0.entry(key).or_default();
        if cosines.len() <= n {
            cosines.resize(n + 1, 0.0);
            sines.resize(n + 1, 0.0);
        }
        cosines[n] += cos;
        sines[n] += sin;
    }

    /// Adds `k (1 + cos(n phi - phase))`.
    pub fn add_periodic(&mut self, atoms: [usize; 4], n: usize, phase: f64, k: f64) {
        self.add(atoms, 0, k, 0.0);
        self.add(atoms, n, k * phase.cos(), k * phase.sin());
    }

    /// Adds `sum_i c[i] cos(phi - pi)^i`, the Ryckaert-Bellemans form, as a Fourier series.
    pub fn add_ryckaert_bellemans(&mut self, atoms: [usize; 4], c: [f64; 6]) {
        // Row i: cos(x)^i = sum_n POWER[i][n] cos(n x); and cos(n (phi - pi)) = (-1)^n cos(n phi).
        const POWER: [[f64; 6]; 6] = [
            [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
            [0.5, 0.0, 0.5, 0.0, 0.0, 0.0],
            [0.0, 0.75, 0.0, 0.25, 0.0, 0.0],
            [0.375, 0.0, 0.5, 0.0, 0.125, 0.0],
            [0.0, 0.625, 0.0, 0.3125, 0.0, 0.0625],
        ];
        for (c, row) in c.into_iter().zip(POWER) {
            for (n, factor) in row.into_iter().enumerate() {
                let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
                self.add(atoms, n, sign * c * factor, 0.0);
            }
        }
    }

    pub fn finish(self) -> Vec<Torsion> {
        let torsion = |(atoms, (cos, sin))| Torsion { atoms, cos, sin };
        self.0.into_iter().map(torsion).collect()
    }
}

/// How nonbonded pairs are truncated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cutoff {
    /// nm
    pub distance: f64,
    /// Reaction field `k_rf` (nm^-3) and `c_rf` (nm^-1): `1/r + k_rf r^2 - c_rf`.
    pub k_rf: f64,
    pub c_rf: f64,
    /// Where the switching function of the Lennard-Jones part begins, nm.
    pub switch: Option<f64>,
}

/// A particle of the Lennard-Jones and Coulomb interactions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NonbondedParticle {
    /// e
    pub charge: f64,
    /// nm
    pub sigma: f64,
    /// kJ/mol
    pub epsilon: f64,
}

/// A Lennard-Jones and Coulomb interaction of one pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NonbondedPair {
    /// Coulomb constant times both charges, kJ nm/mol.
    pub charges: f64,
    /// nm
    pub sigma: f64,
    /// kJ/mol
    pub epsilon: f64,
    /// Exceptions (1-4 pairs) know neither cutoff nor reaction field.
    pub exception: bool,
}

/// Interactions of all pairs of particles. They are told pair by pair and not listed: there may be millions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nonbonded {
    pub cutoff: Option<Cutoff>,
    pub particles: Vec<NonbondedParticle>,
    /// For each particle, those of the pairs with a later one that have parameters of their own, by that one, ascending.
    pub exceptions: Vec<Vec<(usize, NonbondedPair)>>,
}

impl Nonbonded {
    /// Calls `found` with all later particles that a particle interacts with, ascending.
    pub fn row(&self, i: usize, mut found: impl FnMut(usize, NonbondedPair)) {
        let a = self.particles[i];
        let mut exceptions = self.exceptions[i].iter().peekable();
        for (j, b) in self.particles.iter().enumerate().skip(i + 1) {
            let pair = match exceptions.next_if(|exception| exception.0 == j) {
                Some(&(_, pair)) => pair,
                None => NonbondedPair {
                    charges: COULOMB * a.charge * b.charge,
                    sigma: 0.5 * (a.sigma + b.sigma),
                    epsilon: (a.epsilon * b.epsilon).sqrt(),
                    exception: false,
                },
            };
            if pair.charges != 0.0 || pair.epsilon != 0.0 {
                found(j, pair);
            }
        }
    }
}

/// Generalized Born solvation after Onufriev, Bashford and Case, Proteins 55, 383 (2004), with the surface-area term
/// of OpenMM: `sum_i surface[i] / B_i^6`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GeneralizedBorn {
    /// e
    pub charges: Vec<f64>,
    /// Intrinsic radius minus offset, nm.
    pub offset_radii: Vec<f64>,
    /// Offset radius times screening factor, nm.
    pub scaled_radii: Vec<f64>,
    /// `1/B = 1/offset_radius - tanh(alpha psi - beta psi^2 + gamma psi^3)/radius`, nm.
    pub radii: Vec<f64>,
    pub alpha_beta_gamma: [f64; 3],
    /// `-k (1/eps_solute - 1/eps_solvent)` of the pair term and of the self term (`0.5 q^2/B` times this), kJ nm/mol.
    pub pair_prefactor: f64,
    pub self_prefactor: f64,
    /// kJ/mol nm^6
    pub surface: Vec<f64>,
    /// Pairs beyond it (nm) are skipped in the descreening integrals and the pair energy.
    pub cutoff: Option<f64>,
    /// Subtracted from `1/f` in the pair energy, nm^-1.
    pub shift: f64,
    /// Whether the integral has the term for an atom that lies wholly inside its neighbour (GBSAOBCForce has it,
    /// CustomGBForce lacks it).
    pub engulfed_term: bool,
}

/// A whole potential.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Parameters {
    /// u
    pub masses: Vec<f64>,
    pub bonds: Vec<Bond>,
    pub angles: Vec<Angle>,
    pub torsions: Vec<Torsion>,
    pub nonbonded: Option<Nonbonded>,
    pub generalized_born: Option<GeneralizedBorn>,
}
