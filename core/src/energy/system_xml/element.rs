//! Elements and attributes, with errors that say where.

use roxmltree::Node;

use super::super::error::{EnergyError, Remedy};

/// An XML element.
#[derive(Clone, Copy)]
pub(super) struct Element<'a>(Node<'a, 'a>);

impl<'a> Element<'a> {
    pub fn new(node: Node<'a, 'a>) -> Self {
        Element(node)
    }

    pub fn name(&self) -> &'a str {
        self.0.tag_name().name()
    }

    /// Line in the text, from 1.
    pub fn line(&self) -> u32 {
        self.0.document().text_pos_at(self.0.range().start).row
    }

    pub fn children(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        self.0.children().filter(Node::is_element).map(Element)
    }

    pub fn optional_child(&self, name: &str) -> Option<Element<'a>> {
        self.children().find(|c| c.name() == name)
    }

    pub fn child(&self, name: &'static str) -> Result<Element<'a>, EnergyError> {
        self.optional_child(name).ok_or_else(|| self.missing(name))
    }

    /// The error of a missing child.
    pub fn missing(&self, element: &'static str) -> EnergyError {
        EnergyError::MissingElement {
            parent: self.name().to_owned(),
            element,
            line: self.line(),
        }
    }

    pub fn optional_text(&self, attribute: &str) -> Option<&'a str> {
        self.0.attribute(attribute)
    }

    pub fn text(&self, attribute: &str) -> Result<&'a str, EnergyError> {
        self.optional_text(attribute)
            .ok_or_else(|| EnergyError::MissingAttribute {
                element: self.name().to_owned(),
                attribute: attribute.to_owned(),
                line: self.line(),
            })
    }

    /// The error of an attribute with a wrong value.
    pub fn invalid(&self, attribute: &str, expected: impl Into<String>) -> EnergyError {
        EnergyError::InvalidAttribute {
            element: self.name().to_owned(),
            attribute: attribute.to_owned(),
            found: self.optional_text(attribute).unwrap_or_default().to_owned(),
            expected: expected.into(),
            line: self.line(),
        }
    }

    /// A finite number.
    pub fn number(&self, attribute: &str) -> Result<f64, EnergyError> {
        let value: Option<f64> = self.text(attribute)?.trim().parse().ok();
        value
            .filter(|v| v.is_finite())
            .ok_or_else(|| self.invalid(attribute, "a finite number"))
    }

    /// A number above zero.
    pub fn positive(&self, attribute: &str) -> Result<f64, EnergyError> {
        let value = self.number(attribute)?;
        if value > 0.0 {
            Ok(value)
        } else {
            Err(self.invalid(attribute, "a number above 0"))
        }
    }

    pub fn integer(&self, attribute: &str) -> Result<i64, EnergyError> {
        self.text(attribute)?
            .trim()
            .parse()
            .map_err(|_| self.invalid(attribute, "an integer"))
    }

    /// A boolean (`0` or `1`); `default` where the attribute is absent, as in files of older versions.
    pub fn flag(&self, attribute: &str, default: bool) -> Result<bool, EnergyError> {
        match self.optional_text(attribute).map(str::trim) {
            None => Ok(default),
            Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(_) => Err(self.invalid(attribute, "0 or 1")),
        }
    }

    /// Distinct particles named by `p1`, `p2`, ...
    pub fn particles<const K: usize>(&self, n_particles: usize) -> Result<[usize; K], EnergyError> {
        let mut particles = [0; K];
        for k in 0..K {
            let attribute = format!("p{}", k + 1);
            particles[k] = usize::try_from(self.integer(&attribute)?)
                .ok()
                .filter(|&p| p < n_particles)
                .ok_or_else(|| {
                    self.invalid(&attribute, format!("a particle index below {n_particles}"))
                })?;
            if particles[..k].contains(&particles[k]) {
                return Err(self.invalid(&attribute, "a particle other than the ones before it"));
            }
        }
        Ok(particles)
    }

    /// Refuses a force that uses periodic boundaries.
    pub fn refuse_periodic(&self, force: &'static str, attribute: &str) -> Result<(), EnergyError> {
        if self.flag(attribute, false)? {
            return Err(EnergyError::UnsupportedOption {
                force,
                option: format!("{attribute}=\"1\" (periodic boundaries)"),
                remedy: Remedy::OpenMm,
            });
        }
        Ok(())
    }

    /// The cutoff distance of `method`: none for 0 (NoCutoff), some for 1 (CutoffNonPeriodic); others are refused.
    pub fn cutoff(&self, force: &'static str) -> Result<Option<f64>, EnergyError> {
        match self.integer("method")? {
            0 => Ok(None),
            1 => self.positive("cutoff").map(Some),
            method => Err(EnergyError::UnsupportedOption {
                force,
                option: format!("method=\"{method}\" (periodic boundaries)"),
                remedy: Remedy::OpenMm,
            }),
        }
    }
}
