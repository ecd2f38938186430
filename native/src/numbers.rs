//! Numbers of JSON, in the forms of which value and canonical text are beyond doubt.

use crate::text::{Digits, eight};

/// Digits of a decimal that a double holds such that its shortest text has the same digits.
const SURE_DIGITS: u64 = 1_000_000_000_000_000;
/// Smaller doubles, but 0, may have an exponent in their shortest text.
pub const LEAST_PLAIN: f64 = 1e-4;
/// Digits that a mantissa of 64 bits holds, whatever they are.
const MOST_DIGITS: usize = 19;
/// Powers of ten that are doubles exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// How the canonical text of a double follows from what is written.
#[derive(Debug, PartialEq, Clone, Copy)]
pub enum DoubleText {
    /// As written up to zeros at its end, of which one stays behind the point.
    Fraction,
    /// As written, and `.0`.
    Whole,
    /// The shortest text that reads back.
    Shortest,
}

/// A double, and where its text ends.
#[derive(Debug, PartialEq, Clone, Copy)]
pub struct Double {
    pub value: f64,
    pub end: usize,
    pub text: DoubleText,
}

/// Read the integer at `at`; return it and where it ends.
#[inline(always)]
pub fn integer(raw: &[u8], at: usize) -> Option<(i64, usize)> {
    short_integer(raw, at).or_else(|| long_integer(raw, at))
}

/// Read an integer of one to seven digits without a sign, without a branch for each digit.
#[inline(always)]
fn short_integer(raw: &[u8], at: usize) -> Option<(i64, usize)> {
    let Digits { worth, others } = Digits::of(eight(raw, at)?);
    let length = others.trailing_zeros() / 8;
    // All at once: whether a digit is 0 can't be foretold.
    if (length == 0) | (length > 7) | ((worth & 0xff == 0) & (length > 1)) {
        return None;
    }
    let number = Digits::number(worth << (64 - 8 * length));
    Some((number as i64, at + length as usize))
}

/// Read any integer.
#[inline(never)]
fn long_integer(raw: &[u8], at: usize) -> Option<(i64, usize)> {
    let negative = *raw.get(at)? == b'-';
    let start = at + usize::from(negative);
    let (number, end) = digits(raw, start, 0);
    let length = end - start;
    if length == 0 || length > MOST_DIGITS || (raw[start] == b'0' && (length > 1 || negative)) {
        return None;
    }
    if negative {
        return Some((0_i64.checked_sub_unsigned(number)?, end));
    }
    Some((i64::try_from(number).ok()?, end))
}

/// Read the double at `at`.
#[inline(always)]
pub fn double(raw: &[u8], at: usize) -> Option<Double> {
    short_double(raw, at).or_else(|| any_double(raw, at))
}

/// Read a double with a fraction, without a sign, of up to six digits.
#[inline(always)]
fn short_double(raw: &[u8], at: usize) -> Option<Double> {
    let Digits { worth, others } = Digits::of(eight(raw, at)?);
    let (point, behind) = (others & others.wrapping_neg(), others & others.wrapping_sub(1));
    let (before, end) = (others.trailing_zeros() / 8, behind.trailing_zeros() / 8);
    let point = point >> 7;
    let is_point = worth & (point * 0xff) == point * u64::from(b'.' ^ b'0');
    let is_long = (worth & 0xff == 0) & (before > 1);
    if (before == 0) | (end > 7) | (end < before + 2) | !is_point | is_long {
        return None;
    }
    // Without the point: the bytes before it stay, those behind it come one down.
    let left = (1 << (8 * before)) - 1;
    let digits = (worth & left) | ((worth >> 8) & !left);
    let number = Digits::number(digits << (64 - 8 * (end - 1)));
    let value = number as f64 / POWERS[(end - before - 1) as usize];
    // It is 0 or at least 0.00001, which has no exponent.
    Some(Double { value, end: at + end as usize, text: DoubleText::Fraction })
}

/// Read any double.
#[inline(never)]
fn any_double(raw: &[u8], at: usize) -> Option<Double> {
    let negative = *raw.get(at)? == b'-';
    let start = at + usize::from(negative);
    let (number, point) = digits(raw, start, 0);
    let before = point - start;
    if before == 0 || (raw[start] == b'0' && before > 1) {
        return None;
    }
    let (mut mantissa, mut end, mut text) = (number, point, DoubleText::Whole);
    if raw.get(point) == Some(&b'.') {
        (mantissa, end) = digits(raw, point + 1, number);
        text = DoubleText::Fraction;
        if end == point + 1 {
            return None;
        }
    }
    let decimals = (end - point).saturating_sub(1);
    if before + decimals > MOST_DIGITS || mantissa >= SURE_DIGITS {
        return long_double(raw, at, point, end);
    }
    // Both are doubles exactly, so that their quotient is rounded once.
    let value = mantissa as f64 / POWERS[decimals];
    if negative && mantissa == 0 {
        return None;
    }
    if value < LEAST_PLAIN && mantissa != 0 {
        text = DoubleText::Shortest;
    }
    Some(Double { value: if negative { -value } else { value }, end, text })
}

/// Return the number that digits from `at` on add to `number`, and where they end.
///
/// It wraps around with too many digits, which the caller finds by their count.
#[inline]
fn digits(raw: &[u8], mut at: usize, mut number: u64) -> (u64, usize) {
    while let Some(byte @ b'0'..=b'9') = raw.get(at) {
        number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        at += 1;
    }
    (number, at)
}

/// Read a double of many digits; integers of so many may be beyond what others read.
#[cold]
#[inline(never)]
fn long_double(raw: &[u8], at: usize, point: usize, end: usize) -> Option<Double> {
    if end == point {
        return None;
    }
    let text = std::str::from_utf8(&raw[at..end]).ok()?;
    let value: f64 = text.parse().ok()?;
    // Zero is what is too small, or negative zero, or has a needless number of digits.
    if !value.is_finite() || value == 0.0 {
        return None;
    }
    Some(Double { value, end, text: DoubleText::Shortest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Option<i64> {
        let found = integer(text.as_bytes(), 0).filter(|found| found.1 == text.len());
        assert_eq!(
            found,
            integer(format!("{text},\"behind\"").as_bytes(), 0)
                .filter(|found| found.1 == text.len())
        );
        found.map(|found| found.0)
    }

    fn real(text: &str) -> Option<f64> {
        let found = double(text.as_bytes(), 0).filter(|found| found.end == text.len());
        assert_eq!(
            found,
            double(format!("{text},\"behind\"").as_bytes(), 0)
                .filter(|found| found.end == text.len())
        );
        found.map(|found| found.value)
    }

    #[test]
    fn reads_integers_of_64_bits() {
        for value in [0, 7, -7, 10, 4071441, i64::MAX, i64::MIN, i64::MIN + 1, 999_999_999_999] {
            assert_eq!(whole(&value.to_string()), Some(value));
        }
        for bad in ["", "-", "-0", "00", "01", "-01", "+1", "9223372036854775808", "x", "1.0"] {
            assert_eq!(whole(bad), None, "{bad}");
        }
        assert_eq!(whole("-9223372036854775809"), None);
        assert_eq!(whole("18446744073709551616"), None);
        assert_eq!(whole("99999999999999999999"), None);
        assert_eq!(integer(b"12,", 0), Some((12, 2)));
    }

    #[test]
    fn reads_doubles_as_rust_does() {
        for text in [
            "0",
            "0.0",
            "1",
            "-1",
            "0.1",
            "1.50",
            "-12.75",
            "123456789012345",
            "0.3",
            "5.8",
            "99999999999999.9",
            "0.000000000000001",
            "1.0000000000000000001",
            "9007199254740993.0",
            "0.1000000000000000055511151231257827",
            "17.970000000000002",
            "100000000000000000.5",
            "0.0000000000000000000000000000012345678901234567",
            "8.25",
            "2.2250738585072011",
        ] {
            assert_eq!(real(text).map(f64::to_bits), text.parse().ok().map(f64::to_bits), "{text}");
        }
    }

    #[test]
    fn hands_on_what_is_in_doubt() {
        let tiny = format!("0.{}1", "0".repeat(400));
        let huge = format!("1{}.0", "0".repeat(400));
        for bad in [
            "",
            "-",
            ".5",
            "1.",
            "-.5",
            "00.5",
            "01",
            "-0",
            "-0.0",
            "1e5",
            "1234567890123456",
            "1.5e3",
            "NaN",
            "-0.00000000000000000000000",
            &tiny,
            &huge,
        ] {
            assert_eq!(real(bad), None, "{bad}");
        }
    }

    #[test]
    fn knows_the_form_of_the_canonical_text() {
        let form = |text: &str| double(text.as_bytes(), 0).unwrap().text;
        assert_eq!(form("12"), DoubleText::Whole);
        assert_eq!(form("12.50"), DoubleText::Fraction);
        assert_eq!(form("0.0001"), DoubleText::Fraction);
        assert_eq!(form("0.000099"), DoubleText::Shortest);
        assert_eq!(form("0.0000000"), DoubleText::Fraction);
        assert_eq!(form("999999999999.999"), DoubleText::Fraction);
        assert_eq!(form("9999999999999.999"), DoubleText::Shortest);
    }
}
