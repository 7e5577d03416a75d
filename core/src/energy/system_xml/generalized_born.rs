//! GBSAOBCForce, and the CustomGBForce of OpenMM's `implicit/obc1.xml` and `implicit/obc2.xml`.

use std::collections::HashMap;
use std::f64::consts::PI;

use super::super::error::{EnergyError, Remedy};
use super::super::parameters::GeneralizedBorn;
use super::COULOMB;
use super::element::Element;

/// Fixed parameters of GBSAOBCForce: dielectric offset and solvent probe, nm.
const OFFSET: f64 = 0.009;
const PROBE: f64 = 0.14;

/// `ParticlePairNoExclusions` and `SingleParticle` of CustomGBForce.
const PAIR: i64 = 2;
const SINGLE: i64 = 0;

const INTEGRAL: &str =
    "select(step(r+sr2-or1),0.5*(1/L-1/U+0.25*(r-sr2^2/r)*(1/(U^2)-1/(L^2))+0.5*log(L/U)/r),0)";
const INTEGRAL_NAMES: [(&str, &str); 3] =
    [("U", "r+sr2"), ("L", "max(or1,D)"), ("D", "abs(r-sr2)")];

pub(super) fn gbsa_obc(force: &Element, n: usize) -> Result<GeneralizedBorn, EnergyError> {
    const FORCE: &str = "GBSAOBCForce";
    let cutoff = force.cutoff(FORCE)?;
    let (solute, solvent) = (
        force.positive("soluteDielectric")?,
        force.positive("solventDielectric")?,
    );
    let surface_energy = match force.optional_text("surfaceAreaEnergy") {
        Some(_) => force.number("surfaceAreaEnergy")?,
        // Files of version 1 have no such attribute.
        None => 2.25936,
    };
    let prefactor = -COULOMB * (1.0 / solute - 1.0 / solvent);
    let mut model = GeneralizedBorn {
        charges: Vec::new(),
        offset_radii: Vec::new(),
        scaled_radii: Vec::new(),
        radii: Vec::new(),
        alpha_beta_gamma: [1.0, 0.8, 4.85],
        pair_prefactor: prefactor,
        self_prefactor: prefactor,
        surface: Vec::new(),
        cutoff,
        shift: cutoff.map_or(0.0, |c| 1.0 / c),
        engulfed_term: true,
    };
    for particle in force.child("Particles")?.children() {
        let radius = particle.number("r")?;
        if radius <= OFFSET {
            return Err(particle.invalid(
                "r",
                format!("a radius above the dielectric offset, {OFFSET} nm"),
            ));
        }
        model.charges.push(particle.number("q")?);
        model.radii.push(radius);
        model.offset_radii.push(radius - OFFSET);
        model
            .scaled_radii
            .push((radius - OFFSET) * particle.number("scale")?);
        model
            .surface
            .push(4.0 * PI * surface_energy * (radius + PROBE).powi(2) * radius.powi(6));
    }
    check_count(FORCE, model, n)
}

pub(super) fn custom(force: &Element, n: usize) -> Result<GeneralizedBorn, EnergyError> {
    const FORCE: &str = "CustomGBForce";
    let cutoff = force.cutoff(FORCE)?;
    for element in [
        "GlobalParameters",
        "EnergyParameterDerivatives",
        "Functions",
    ] {
        if force
            .optional_child(element)
            .is_some_and(|e| e.children().next().is_some())
        {
            return Err(EnergyError::UnsupportedOption {
                force: FORCE,
                option: format!("<{element}>"),
                remedy: Remedy::OpenMm,
            });
        }
    }
    let (alpha_beta_gamma, radius_offset) = computed_values(force)?;
    let terms = energy_terms(force)?;

    let names: Vec<&str> = force
        .child("PerParticleParameters")?
        .children()
        .map(|p| p.text("name"))
        .collect::<Result<_, _>>()?;
    let attribute = |name: &str| {
        let index = names.iter().position(|&n| n == name);
        index
            .map(|i| format!("param{}", i + 1))
            .ok_or_else(|| EnergyError::UnknownExpression {
                what: format!("the list of per-particle parameters (it lacks `{name}`)"),
                found: names.join(", "),
            })
    };
    let (charge, offset_radius, scaled_radius) =
        (attribute("charge")?, attribute("or")?, attribute("sr")?);
    let mut model = GeneralizedBorn {
        charges: Vec::new(),
        offset_radii: Vec::new(),
        scaled_radii: Vec::new(),
        radii: Vec::new(),
        alpha_beta_gamma,
        pair_prefactor: terms.pair_prefactor,
        self_prefactor: terms.self_prefactor,
        surface: Vec::new(),
        cutoff,
        shift: terms.shift,
        engulfed_term: false,
    };
    for particle in force.child("Particles")?.children() {
        let offset = particle.positive(&offset_radius)?;
        model.charges.push(particle.number(&charge)?);
        model.offset_radii.push(offset);
        model.radii.push(offset + radius_offset);
        model.scaled_radii.push(particle.number(&scaled_radius)?);
        let [coefficient, probe, surface_offset] = terms.surface;
        let radius = offset + surface_offset;
        model
            .surface
            .push(coefficient * (radius + probe).powi(2) * radius.powi(6));
    }
    check_count(FORCE, model, n)
}

fn check_count(
    force: &'static str,
    model: GeneralizedBorn,
    n: usize,
) -> Result<GeneralizedBorn, EnergyError> {
    match model.charges.len() {
        found if found != n => Err(EnergyError::ParticleCount {
            force,
            expected: n,
            found,
        }),
        _ => Ok(model),
    }
}

/// `alpha, beta, gamma` and the radius offset, from the definitions of `I` and `B`.
fn computed_values(force: &Element) -> Result<([f64; 3], f64), EnergyError> {
    let mut values = Vec::new();
    for value in force.child("ComputedValues")?.children() {
        values.push((
            value.text("name")?,
            value.integer("type")?,
            value.text("expression")?,
        ));
    }
    let (integral, born) = match values[..] {
        [("I", PAIR, integral), ("B", SINGLE, born)] => (integral, born),
        _ => {
            return Err(EnergyError::UnknownExpression {
                what: "the list of computed values (expected I of type 2, B of type 0)".to_owned(),
                found: values
                    .iter()
                    .map(|(name, kind, _)| format!("{name} of type {kind}"))
                    .collect::<Vec<_>>()
                    .join(", "),
            });
        }
    };
    let parsed = Expression::parse("the computed value I", integral)?;
    let as_expected = INTEGRAL_NAMES
        .iter()
        .all(|(name, text)| parsed.names.get(*name).is_some_and(|t| t == text));
    if parsed.main != INTEGRAL || !as_expected {
        return Err(parsed.unknown());
    }
    let parsed = Expression::parse("the computed value B", born)?;
    parsed.require("psi", "I*or")?;
    parsed.require("radius", "or+offset")?;
    let coefficients = if let Some([alpha, gamma]) =
        capture("1/(1/or-tanh({}*psi+{}*psi^3)/radius)", &parsed.main)
    {
        [alpha, 0.0, gamma]
    } else if let Some([beta, gamma]) =
        capture("1/(1/or-tanh(psi-{}*psi^2+{}*psi^3)/radius)", &parsed.main)
    {
        [1.0, beta, gamma]
    } else {
        return Err(parsed.unknown());
    };
    Ok((coefficients, parsed.number("offset")?))
}

/// Constants of the energy terms.
struct EnergyTerms {
    self_prefactor: f64,
    pair_prefactor: f64,
    shift: f64,
    /// Coefficient, probe radius and offset of the surface term.
    surface: [f64; 3],
}

fn energy_terms(force: &Element) -> Result<EnergyTerms, EnergyError> {
    let (mut polar, mut pair, mut surface) = (None, None, None);
    for term in force.child("EnergyTerms")?.children() {
        let kind = term.integer("type")?;
        let parsed = Expression::parse("an energy term", term.text("expression")?)?;
        if parsed.names.contains_key("kappa") && parsed.number("kappa")? != 0.0 {
            return Err(EnergyError::UnsupportedOption {
                force: "CustomGBForce",
                option: format!("kappa={} (salt)", parsed.names["kappa"]),
                remedy: Remedy::OpenMm,
            });
        }
        let main = parsed.main.as_str();
        let place = match kind {
            SINGLE => {
                if let Some([k]) = capture(
                    "-0.5*{}*(1/soluteDielectric-1/solventDielectric)*charge^2/B",
                    main,
                ) {
                    polar.replace(-k * parsed.dielectric_factor()?).is_some()
                } else if let Some([k, probe]) = capture("{}*(radius+{})^2*(radius/B)^6", main) {
                    parsed.require("radius", "or+offset")?;
                    surface
                        .replace([k, probe, parsed.number("offset")?])
                        .is_some()
                } else {
                    return Err(parsed.unknown());
                }
            }
            PAIR => {
                parsed.require("f", "sqrt(r^2+B1*B2*exp(-r^2/(4*B1*B2)))")?;
                let [k, shift] = if let Some([k]) = capture(
                    "-{}*(1/soluteDielectric-1/solventDielectric)*charge1*charge2/f",
                    main,
                ) {
                    [k, 0.0]
                } else if let Some(captured) = capture(
                    "-{}*(1/soluteDielectric-1/solventDielectric)*charge1*charge2*(1/f-{})",
                    main,
                ) {
                    captured
                } else {
                    return Err(parsed.unknown());
                };
                pair.replace((-k * parsed.dielectric_factor()?, shift))
                    .is_some()
            }
            _ => return Err(parsed.unknown()),
        };
        if place {
            return Err(parsed.unknown());
        }
    }
    match (polar, pair) {
        (Some(self_prefactor), Some((pair_prefactor, shift))) => Ok(EnergyTerms {
            self_prefactor,
            pair_prefactor,
            shift,
            surface: surface.unwrap_or_default(),
        }),
        _ => Err(EnergyError::UnknownExpression {
            what: "the list of energy terms (expected a self and a pair term)".to_owned(),
            found: force.child("EnergyTerms")?.children().count().to_string() + " terms",
        }),
    }
}

/// `main; name=definition; ...` without white space.
struct Expression {
    what: &'static str,
    original: String,
    main: String,
    names: HashMap<String, String>,
}

impl Expression {
    fn parse(what: &'static str, text: &str) -> Result<Self, EnergyError> {
        let compact: String = text.split_whitespace().collect();
        let mut parts = compact.split(';').filter(|p| !p.is_empty());
        let main = parts.next().unwrap_or_default().to_owned();
        let mut expression = Expression {
            what,
            original: text.to_owned(),
            main,
            names: HashMap::new(),
        };
        for part in parts {
            let Some((name, definition)) = part.split_once('=') else {
                return Err(expression.unknown());
            };
            if expression
                .names
                .insert(name.to_owned(), definition.to_owned())
                .is_some()
            {
                return Err(expression.unknown());
            }
        }
        Ok(expression)
    }

    fn unknown(&self) -> EnergyError {
        EnergyError::UnknownExpression {
            what: self.what.to_owned(),
            found: self.original.clone(),
        }
    }

    fn require(&self, name: &str, definition: &str) -> Result<(), EnergyError> {
        match self.names.get(name) {
            Some(found) if found == definition => Ok(()),
            _ => Err(self.unknown()),
        }
    }

    fn number(&self, name: &str) -> Result<f64, EnergyError> {
        let value = self.names.get(name).and_then(|text| text.parse().ok());
        value
            .filter(|v: &f64| v.is_finite())
            .ok_or_else(|| self.unknown())
    }

    fn dielectric_factor(&self) -> Result<f64, EnergyError> {
        let factor =
            1.0 / self.number("soluteDielectric")? - 1.0 / self.number("solventDielectric")?;
        if factor.is_finite() {
            Ok(factor)
        } else {
            Err(self.unknown())
        }
    }
}

/// The numbers that stand in `text` where `template` has `{}`, if the rest is equal.
fn capture<const K: usize>(template: &str, text: &str) -> Option<[f64; K]> {
    let mut numbers = [0.0; K];
    let mut parts = template.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    for number in &mut numbers {
        let part = parts.next()?;
        let end = if part.is_empty() {
            rest.len()
        } else {
            rest.find(part)?
        };
        *number = rest[..end].parse().ok().filter(|v: &f64| v.is_finite())?;
        rest = &rest[end + part.len()..];
    }
    (rest.is_empty() && parts.next().is_none()).then_some(numbers)
}
