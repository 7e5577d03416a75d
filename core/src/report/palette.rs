//! Colours of the figures, for light and for dark pages.
//!
//! Figures are drawn with the light colours as plain attributes. [`dark_rules`] exchanges each of them by its dark counterpart, so
//! that a page needs no second set of figures and a figure taken out of it still shows.

use std::fmt::Write;

use plotters::style::RGBColor;

/// A colour on light pages and its counterpart on dark ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour {
    light: u32,
    dark: u32,
}

impl Colour {
    const fn new(light: u32, dark: u32) -> Self {
        Self { light, dark }
    }

    /// As it is drawn.
    pub(super) fn rgb(self) -> RGBColor {
        let [_, red, green, blue] = self.light.to_be_bytes();
        RGBColor(red, green, blue)
    }

    /// As it is drawn, e.g. `#0072B2`.
    pub(super) fn hex(self) -> String {
        format!("#{:06X}", self.light)
    }
}

/// Axes and their numbers.
pub(super) const INK: Colour = Colour::new(0x3b424a, 0xb6bec8);
/// Grid lines.
pub(super) const GRID: Colour = Colour::new(0xe4e7eb, 0x2b323b);
/// Every other stage of a training.
pub(super) const BAND: Colour = Colour::new(0xf1f3f6, 0x1c232c);
/// The area under the reference.
pub(super) const REFERENCE_AREA: Colour = Colour::new(0xd9dde2, 0x39424d);
/// The reference.
pub(super) const REFERENCE: Colour = Colour::new(0x7b858f, 0x8d98a5);
/// Configurations as drawn (vermilion of Okabe and Ito's palette for colour-blind readers, lighter on dark).
pub(super) const PROPOSAL: Colour = Colour::new(0xd55e00, 0xf39c4a);
/// The same with their weights (blue of that palette; sky blue on dark).
pub(super) const REWEIGHTED: Colour = Colour::new(0x0072b2, 0x56b4e9);
/// Fits and thresholds (bluish green of that palette).
pub(super) const FIT: Colour = Colour::new(0x007a5a, 0x35c79b);

/// Colours of a map's levels, from the most to the least conspicuous; the last ones fade into the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Densities and free energies: "mako" of the seaborn library, perceptually uniform.
    Density,
    /// Errors: "rocket" of the same library, from small (fading) to large.
    Error,
}

/// Number of colours of a [`Scale`].
pub(super) const LEVELS: usize = 12;

const MAKO: [Colour; LEVELS] = [
    Colour::new(0x201322, 0xd4f1dc),
    Colour::new(0x312142, 0xaee3c0),
    Colour::new(0x3d3164, 0x7cd6af),
    Colour::new(0x414387, 0x50c6ad),
    Colour::new(0x3a5b9b, 0x3db3ad),
    Colour::new(0x3572a1, 0x359eaa),
    Colour::new(0x3488a6, 0x3489a6),
    Colour::new(0x359fab, 0x3575a1),
    Colour::new(0x3fb5ad, 0x38619d),
    Colour::new(0x57cbad, 0x3f4b90),
    Colour::new(0x8edbb3, 0x403974),
    Colour::new(0xc0e9cc, 0x382a54),
];

const ROCKET: [Colour; LEVELS] = [
    Colour::new(0xf8d4bc, 0x4c1d4b),
    Colour::new(0xf6b691, 0x691f55),
    Colour::new(0xf5966c, 0x871e5b),
    Colour::new(0xf3734e, 0xa6195a),
    Colour::new(0xec4c3e, 0xc41753),
    Colour::new(0xdb2946, 0xdc2b46),
    Colour::new(0xbf1654, 0xec4a3e),
    Colour::new(0x9e1a5b, 0xf26f4c),
    Colour::new(0x7b1f59, 0xf58f66),
    Colour::new(0x5b1e51, 0xf6ad85),
    Colour::new(0x3c1a42, 0xf7c9aa),
    Colour::new(0x1e122d, 0xf9e3d2),
];

impl Scale {
    /// Colour of a level, that of the last one beyond it.
    pub(super) fn colour(self, level: usize) -> Colour {
        let colours = match self {
            Self::Density => &MAKO,
            Self::Error => &ROCKET,
        };
        colours[level.min(LEVELS - 1)]
    }
}

/// Style rules that turn what is drawn in light colours dark.
pub(super) fn dark_rules() -> String {
    let plain = [
        INK,
        GRID,
        BAND,
        REFERENCE_AREA,
        REFERENCE,
        PROPOSAL,
        REWEIGHTED,
        FIT,
    ];
    let mut rules = String::new();
    for colour in plain.iter().chain(&MAKO).chain(&ROCKET) {
        let (light, dark) = (colour.hex(), format!("#{:06X}", colour.dark));
        // Writing to a string cannot fail.
        let _ = writeln!(
            rules,
            "svg [fill=\"{light}\"]{{fill:{dark}}}svg [stroke=\"{light}\"]{{stroke:{dark}}}"
        );
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of WCAG 2.
    fn luminance(colour: u32) -> f64 {
        let [_, red, green, blue] = colour.to_be_bytes().map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(a: u32, b: u32) -> f64 {
        let [a, b] = [luminance(a), luminance(b)];
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn lines_stand_out_on_both_pages() {
        // WCAG 2 asks 3:1 of graphics and 4.5:1 of text; the pages are those of the style sheet.
        let (light, dark) = (0xffffff, 0x0f1318);
        for colour in [REFERENCE, PROPOSAL, REWEIGHTED, FIT] {
            assert!(contrast(colour.light, light) >= 3.0, "{colour:?}");
            assert!(contrast(colour.dark, dark) >= 3.0, "{colour:?}");
        }
        assert!(contrast(INK.light, light) >= 7.0 && contrast(INK.dark, dark) >= 7.0);
    }

    #[test]
    fn levels_change_evenly_towards_the_page() {
        for colours in [MAKO, ROCKET] {
            let order = |f: fn(&Colour) -> u32| {
                let values: Vec<f64> = colours.iter().map(|c| luminance(f(c))).collect();
                values.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>()
            };
            let (light, dark) = (order(|c| c.light), order(|c| c.dark));
            assert!(light.iter().all(|d| d * light[0] > 0.0), "{light:?}");
            assert!(dark.iter().all(|d| d * light[0] < 0.0), "{dark:?}");
        }
    }

    #[test]
    fn every_light_colour_has_one_dark_counterpart() {
        let rules = dark_rules();
        let mut seen = std::collections::HashSet::new();
        for rule in rules.lines() {
            assert!(seen.insert(rule.split(']').next().unwrap()), "{rule}");
        }
        assert_eq!(seen.len(), 8 + 2 * LEVELS);
    }
}
