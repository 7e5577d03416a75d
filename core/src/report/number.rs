//! Numbers as they are printed in a report.

use crate::metric::Estimate;

/// A number with four significant digits, `–` if there is none.
pub(super) fn plain(value: f64) -> String {
    rounded(value, 4)
}

/// A number with so many significant digits.
pub(super) fn rounded(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return not_finite(value);
    }
    let exponent = exponent(value);
    if value != 0.0 && !(-4..6).contains(&exponent) {
        return scientific(value, exponent, 2);
    }
    fixed(value, (digits - 1 - exponent).clamp(0, 6) as usize)
}

/// A whole number with its thousands set apart.
pub(super) fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            // A thin space that does not break.
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A share in percent with two significant digits.
pub(super) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return not_finite(share);
    }
    if share == 0.0 {
        return "0\u{202f}%".to_owned();
    }
    let value = 100.0 * share;
    let decimals = (1 - exponent(value)).clamp(0, 4) as usize;
    format!("{}\u{202f}%", fixed(value, decimals))
}

/// A figure and its standard error, rounded to the error's second digit: `0.431 ± 0.012` as value and error.
pub(super) fn estimate(estimate: &Estimate) -> (String, Option<String>) {
    let Estimate { value, error } = *estimate;
    if !value.is_finite() || error.is_nan() || error == 0.0 {
        return (plain(value), None);
    }
    if error.is_infinite() {
        return (plain(value), Some("∞".to_owned()));
    }
    let last = exponent(error) - 1;
    let first = exponent(value).max(last);
    if first >= 6 || last < -7 {
        let digits = (first - last).clamp(1, 6) as usize;
        let scale = 10f64.powi(-first);
        let (value, error) = (fixed(value * scale, digits), fixed(error * scale, digits));
        return (
            format!("({value}"),
            Some(format!("{error}) × 10{}", superscript(first))),
        );
    }
    let scale = 10f64.powi(last.max(0));
    let decimals = (-last).max(0) as usize;
    let text = |number: f64| match last {
        1.. => fixed((number / scale).round() * scale, 0),
        _ => fixed(number, decimals),
    };
    (text(value), Some(text(error)))
}

/// With a proper minus sign, and none for zero.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|b| b == b'0' || b == b'.') => digits.to_owned(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// A digit times a power of ten, for the axes of logarithms; `decimal` writes it out where that is short.
pub(super) fn power(digit: f64, exponent: i32, decimal: bool) -> String {
    if matches!(exponent, 0 | 1) || (decimal && (-3..=4).contains(&exponent)) {
        fixed(digit * 10f64.powi(exponent), (-exponent).max(0) as usize)
    } else if digit == 1.0 {
        format!("10{}", superscript(exponent))
    } else {
        format!("{digit} × 10{}", superscript(exponent))
    }
}

fn scientific(value: f64, exponent: i32, decimals: usize) -> String {
    // In two steps: the scale of the smallest numbers is beyond the largest.
    let mantissa = value / 10f64.powi(exponent / 2) / 10f64.powi(exponent - exponent / 2);
    format!(
        "{} × 10{}",
        fixed(mantissa, decimals),
        superscript(exponent)
    )
}

fn not_finite(value: f64) -> String {
    if value.is_nan() {
        "–"
    } else if value > 0.0 {
        "∞"
    } else {
        "−∞"
    }
    .to_owned()
}

/// Power of ten of the first digit; 0 for zero.
fn exponent(value: f64) -> i32 {
    if value == 0.0 {
        0
    } else {
        value.abs().log10().floor() as i32
    }
}

fn superscript(exponent: i32) -> String {
    let raised = |c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => '⁰',
    };
    exponent.to_string().chars().map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        let cases = [
            (0.0, "0.000"),
            (-0.00001, "−1.00 × 10⁻⁵"),
            (0.43142, "0.4314"),
            (-23.456, "−23.46"),
            (123456.0, "123456"),
            (1.5e300, "1.50 × 10³⁰⁰"),
            (5e-324, "4.94 × 10⁻³²⁴"),
            (f64::NAN, "–"),
            (f64::NEG_INFINITY, "−∞"),
        ];
        for (value, expected) in cases {
            assert_eq!(plain(value), expected);
        }
        assert_eq!(count(0), "0");
        assert_eq!(count(1234567), "1\u{202f}234\u{202f}567");
        assert_eq!(percent(0.0234), "2.3\u{202f}%");
        assert_eq!(percent(1.0), "100\u{202f}%");
        assert_eq!(percent(0.0), "0\u{202f}%");
        assert_eq!(rounded(0.52012, 3), "0.520");
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(power(1.0, -4, false), "10⁻⁴");
        assert_eq!(power(1.0, 1, false), "10");
        assert_eq!(power(5.0, -2, true), "0.05");
        assert_eq!(power(2.0, -7, true), "2 × 10⁻⁷");
    }

    #[test]
    fn estimates_are_rounded_to_their_error() {
        let text = |value, error| match estimate(&Estimate { value, error }) {
            (value, Some(error)) => format!("{value} ± {error}"),
            (value, None) => value,
        };
        assert_eq!(text(0.43142, 0.0123), "0.431 ± 0.012");
        assert_eq!(text(-195.32, 0.0076), "−195.3200 ± 0.0076");
        assert_eq!(text(12.0, 34.0), "12 ± 34");
        assert_eq!(text(3589.7, 1689.4), "3600 ± 1700");
        assert_eq!(text(12.0, 345.0), "10 ± 350");
        assert_eq!(text(1.234e7, 5.6e4), "(1.2340 ± 0.0056) × 10⁷");
        assert_eq!(text(0.5, f64::NAN), "0.5000");
        assert_eq!(text(0.5, f64::INFINITY), "0.5000 ± ∞");
        assert_eq!(text(f64::INFINITY, 1.0), "∞");
        assert_eq!(text(f64::NAN, f64::NAN), "–");
        assert_eq!(text(1e300, 1e299), "(1.00 ± 0.10) × 10³⁰⁰");
    }
}
