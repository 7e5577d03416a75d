//! Reads the System XML of OpenMM's `XmlSerializer`.

mod element;
mod forces;
mod generalized_born;
mod nonbonded;

use roxmltree::Document;

use self::element::Element;
use super::error::{EnergyError, Remedy};
use super::parameters::{Parameters, TorsionSeries};
use crate::system::BondTerm;

/// Vacuum Coulomb constant of OpenMM 8.1 and later, kJ nm/(mol e^2): 1/(4 pi eps0) from CODATA 2018.
pub(super) const COULOMB: f64 = 138.935_457_644_381_98;

const SUPPORTED: &str = "HarmonicBondForce, HarmonicAngleForce, PeriodicTorsionForce, RBTorsionForce, NonbondedForce, \
                         GBSAOBCForce, CustomGBForce (obc1, obc2), and those without energy (thermostats, barostats, ...)";

/// Reads a whole System.
pub(super) fn parse(text: &str) -> Result<Parameters, EnergyError> {
    let document = Document::parse(text)?;
    let system = Element::new(document.root_element());
    if system.name() != "System" {
        return Err(EnergyError::NotASystem {
            found: system.name().to_owned(),
        });
    }
    let mut parameters = Parameters {
        masses: masses(&system)?,
        ..Parameters::default()
    };
    refuse_constraints(&system)?;
    let mut torsions = TorsionSeries::default();
    for force in system.child("Forces")?.children() {
        read_force(&force, &mut parameters, &mut torsions)?;
    }
    parameters.torsions = torsions.finish();
    Ok(parameters)
}

fn masses(system: &Element) -> Result<Vec<f64>, EnergyError> {
    let particles = system.child("Particles")?;
    let mut masses = Vec::new();
    for particle in particles.children() {
        if let Some(site) = particle.children().next() {
            return Err(EnergyError::UnsupportedOption {
                force: "System",
                option: format!(
                    "the virtual site <{}> of particle {}",
                    site.name(),
                    masses.len()
                ),
                remedy: Remedy::Change("use a model whose particles are all atoms"),
            });
        }
        masses.push(particle.number("mass")?);
    }
    if masses.is_empty() {
        return Err(particles.missing("Particle"));
    }
    Ok(masses)
}

fn refuse_constraints(system: &Element) -> Result<(), EnergyError> {
    match system
        .optional_child("Constraints")
        .map_or(0, |c| c.children().count())
    {
        0 => Ok(()),
        count => Err(EnergyError::UnsupportedOption {
            force: "System",
            option: format!(
                "{count} constraints: a constrained system has another configuration space, which"
            ),
            remedy: Remedy::Change("create the System with constraints=None and rigidWater=False"),
        }),
    }
}

fn read_force(
    force: &Element,
    parameters: &mut Parameters,
    torsions: &mut TorsionSeries,
) -> Result<(), EnergyError> {
    let n = parameters.masses.len();
    match force.text("type")? {
        "HarmonicBondForce" => parameters.bonds.extend(forces::bonds(force, n)?),
        "HarmonicAngleForce" => parameters.angles.extend(forces::angles(force, n)?),
        "PeriodicTorsionForce" => forces::periodic_torsions(force, n, torsions)?,
        "RBTorsionForce" => forces::ryckaert_bellemans(force, n, torsions)?,
        "NonbondedForce" => once(
            "NonbondedForce",
            &mut parameters.nonbonded,
            nonbonded::read(force, n)?,
        )?,
        "GBSAOBCForce" => once(
            "GBSAOBCForce",
            &mut parameters.generalized_born,
            generalized_born::gbsa_obc(force, n)?,
        )?,
        "CustomGBForce" => once(
            "CustomGBForce",
            &mut parameters.generalized_born,
            generalized_born::custom(force, n)?,
        )?,
        other if has_no_energy(other, force) => {}
        other => {
            return Err(EnergyError::UnsupportedForce {
                force: other.to_owned(),
                line: force.line(),
                supported: SUPPORTED.to_owned(),
            });
        }
    }
    Ok(())
}

/// Whether a force of another type than the supported ones adds nothing: it acts on velocities or on the box, or has no terms.
fn has_no_energy(kind: &str, force: &Element) -> bool {
    let terms: &[&str] = match kind {
        "CMMotionRemover" | "AndersenThermostat" => return true,
        _ if kind.starts_with("MonteCarlo") && kind.ends_with("Barostat") => return true,
        "CMAPTorsionForce" | "CustomTorsionForce" => &["Torsions"],
        "CustomBondForce" | "CustomCompoundBondForce" | "CustomCentroidBondForce" => &["Bonds"],
        "CustomAngleForce" => &["Angles"],
        "CustomExternalForce" => &["Particles"],
        "CustomHbondForce" => &["Donors", "Acceptors"],
        _ => return false,
    };
    let is_empty = |list: &&str| {
        let list = force.optional_child(list);
        list.is_some_and(|list| list.children().next().is_none())
    };
    terms.iter().any(is_empty)
}

/// The harmonic bonds and constraints of a System, of which the rest may be anything; none if the text is no System.
pub(crate) fn bond_terms(text: &str) -> Vec<BondTerm> {
    let Ok(document) = Document::parse(text) else {
        return Vec::new();
    };
    let system = Element::new(document.root_element());
    let Ok(masses) = system
        .child("Particles")
        .map(|list| list.children().count())
    else {
        return Vec::new();
    };
    let mut terms = Vec::new();
    let forces = system.optional_child("Forces");
    for force in forces.iter().flat_map(|forces| forces.children()) {
        if force.optional_text("type") == Some("HarmonicBondForce") {
            terms.extend(forces::bond_terms(&force, masses).unwrap_or_default());
        }
    }
    let constraints = system.optional_child("Constraints");
    let constraint = |constraint: Element| {
        Some(BondTerm {
            atoms: constraint.particles(masses).ok()?,
            length: constraint.number("d").ok()?,
            k: f64::INFINITY,
        })
    };
    terms.extend(
        constraints
            .iter()
            .flat_map(|list| list.children())
            .filter_map(constraint),
    );
    terms
}

/// Stores a force of which a System may have one.
fn once<T>(force: &'static str, place: &mut Option<T>, value: T) -> Result<(), EnergyError> {
    if place.replace(value).is_some() {
        return Err(EnergyError::UnsupportedOption {
            force,
            option: "a second force of this kind in one System".to_owned(),
            remedy: Remedy::OpenMm,
        });
    }
    Ok(())
}
