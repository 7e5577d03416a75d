//! Bonded forces.

use super::super::EnergyError;
use super::super::parameters::{Angle, Bond, TorsionSeries};
use super::element::Element;

/// Largest periodicity accepted; force fields use up to 6.
const MAX_PERIODICITY: usize = 64;

pub(super) fn bonds(force: &Element, n: usize) -> Result<Vec<Bond>, EnergyError> {
    force.refuse_periodic("HarmonicBondForce", "usesPeriodic")?;
    bond_terms(force, n)
}

/// The bonds, whatever else the force says.
pub(super) fn bond_terms(force: &Element, n: usize) -> Result<Vec<Bond>, EnergyError> {
    let bonds = force.child("Bonds")?;
    let read = |b: Element| {
        Ok(Bond {
            atoms: b.particles(n)?,
            length: b.number("d")?,
            k: b.number("k")?,
        })
    };
    bonds.children().map(read).collect()
}

pub(super) fn angles(force: &Element, n: usize) -> Result<Vec<Angle>, EnergyError> {
    force.refuse_periodic("HarmonicAngleForce", "usesPeriodic")?;
    let angles = force.child("Angles")?;
    let read = |a: Element| {
        Ok(Angle {
            atoms: a.particles(n)?,
            angle: a.number("a")?,
            k: a.number("k")?,
        })
    };
    angles.children().map(read).collect()
}

pub(super) fn periodic_torsions(
    force: &Element,
    n: usize,
    series: &mut TorsionSeries,
) -> Result<(), EnergyError> {
    force.refuse_periodic("PeriodicTorsionForce", "usesPeriodic")?;
    for torsion in force.child("Torsions")?.children() {
        let periodicity = usize::try_from(torsion.integer("periodicity")?)
            .ok()
            .filter(|n| (1..=MAX_PERIODICITY).contains(n))
            .ok_or_else(|| {
                torsion.invalid(
                    "periodicity",
                    format!("an integer from 1 to {MAX_PERIODICITY}"),
                )
            })?;
        let (phase, k) = (torsion.number("phase")?, torsion.number("k")?);
        series.add_periodic(torsion.particles(n)?, periodicity, phase, k);
    }
    Ok(())
}

pub(super) fn ryckaert_bellemans(
    force: &Element,
    n: usize,
    series: &mut TorsionSeries,
) -> Result<(), EnergyError> {
    force.refuse_periodic("RBTorsionForce", "usesPeriodic")?;
    for torsion in force.child("Torsions")?.children() {
        let mut c = [0.0; 6];
        for (i, c) in c.iter_mut().enumerate() {
            *c = torsion.number(&format!("c{i}"))?;
        }
        series.add_ryckaert_bellemans(torsion.particles(n)?, c);
    }
    Ok(())
}
