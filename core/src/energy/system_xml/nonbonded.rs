//! NonbondedForce without periodic boundaries.

use std::collections::BTreeMap;

use super::super::error::{EnergyError, Remedy};
use super::super::parameters::{Cutoff, Nonbonded, NonbondedPair, NonbondedParticle};
use super::COULOMB;
use super::element::Element;

const FORCE: &str = "NonbondedForce";

pub(super) fn read(force: &Element, n: usize) -> Result<Nonbonded, EnergyError> {
    force.refuse_periodic(FORCE, "exceptionsUsePeriodic")?;
    for offsets in ["ParticleOffsets", "ExceptionOffsets"] {
        if force
            .optional_child(offsets)
            .is_some_and(|o| o.children().next().is_some())
        {
            return Err(EnergyError::UnsupportedOption {
                force: FORCE,
                option: format!("<{offsets}> (parameter offsets)"),
                remedy: Remedy::OpenMm,
            });
        }
    }
    if !force.flag("includeDirectSpace", true)? {
        return Err(EnergyError::UnsupportedOption {
            force: FORCE,
            option: "includeDirectSpace=\"0\"".to_owned(),
            remedy: Remedy::OpenMm,
        });
    }
    let cutoff = match force.cutoff(FORCE)? {
        None => None,
        Some(distance) => Some(read_cutoff(force, distance)?),
    };
    let particles = read_particles(force, n)?;
    let mut exceptions: Vec<BTreeMap<usize, NonbondedPair>> = vec![BTreeMap::new(); n];
    for exception in force.child("Exceptions")?.children() {
        let mut atoms: [usize; 2] = exception.particles(n)?;
        atoms.sort_unstable();
        let pair = NonbondedPair {
            charges: COULOMB * exception.number("q")?,
            sigma: exception.number("sig")?,
            epsilon: exception.number("eps")?,
            exception: true,
        };
        let [a, b] = atoms;
        if exceptions[a].insert(b, pair).is_some() {
            return Err(exception.invalid("p2", "a pair that no other exception names"));
        }
    }
    Ok(Nonbonded {
        cutoff,
        particles,
        exceptions: exceptions
            .into_iter()
            .map(|row| row.into_iter().collect())
            .collect(),
    })
}

fn read_cutoff(force: &Element, distance: f64) -> Result<Cutoff, EnergyError> {
    let dielectric = force.positive("rfDielectric")?;
    let switch = if force.flag("useSwitchingFunction", false)? {
        let start = force.number("switchingDistance")?;
        if !(0.0..distance).contains(&start) {
            return Err(force.invalid(
                "switchingDistance",
                format!("a distance from 0 to below the cutoff, {distance} nm"),
            ));
        }
        Some(start)
    } else {
        None
    };
    Ok(Cutoff {
        distance,
        k_rf: (dielectric - 1.0) / (2.0 * dielectric + 1.0) / distance.powi(3),
        c_rf: 3.0 * dielectric / (2.0 * dielectric + 1.0) / distance,
        switch,
    })
}

fn read_particles(force: &Element, n: usize) -> Result<Vec<NonbondedParticle>, EnergyError> {
    let read = |p: Element| {
        let epsilon = p.number("eps")?;
        if epsilon < 0.0 {
            return Err(p.invalid("eps", "a number of at least 0"));
        }
        Ok(NonbondedParticle {
            charge: p.number("q")?,
            sigma: p.number("sig")?,
            epsilon,
        })
    };
    let particles: Vec<NonbondedParticle> = force
        .child("Particles")?
        .children()
        .map(read)
        .collect::<Result<_, _>>()?;
    if particles.len() != n {
        return Err(EnergyError::ParticleCount {
            force: FORCE,
            expected: n,
            found: particles.len(),
        });
    }
    Ok(particles)
}
