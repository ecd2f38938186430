//! ISO-8601 text of instants in UTC: of fixed positions, with a full fraction of a second or none.

use crate::plan::Unit;
use crate::text::{Digits, eight};

const DAY_SECONDS: i64 = 86_400;
const MONTH_DAYS: [u8; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// Bytes of the text up to the second.
pub const TO_SECOND: usize = 19;

/// An instant in its unit since 1970, where its text ends, and whether that has a fraction.
#[derive(Debug, PartialEq, Clone, Copy)]
pub struct Instant {
    pub count: i64,
    pub end: usize,
    pub fraction: bool,
}

/// Read the instant at `at`, of which the text goes on to a `Z`.
#[inline]
pub fn instant(raw: &[u8], at: usize, unit: Unit) -> Option<Instant> {
    let seconds = seconds(raw.get(at..at + TO_SECOND)?)?;
    let behind = at + TO_SECOND;
    let (fraction, end) = match raw.get(behind)? {
        b'Z' => (None, behind + 1),
        b'.' => (Some(fraction(raw, behind + 1, unit)?), behind + unit.digits() + 2),
        _ => return None,
    };
    let count = seconds.checked_mul(unit.per_second())?.checked_add(fraction.unwrap_or(0))?;
    Some(Instant { count, end, fraction: fraction.is_some() })
}

/// Return the seconds since 1970 of text such as 2018-01-01T00:21:05.
#[inline]
fn seconds(text: &[u8]) -> Option<i64> {
    let [century, of_century, month] = pairs(eight(text, 0)?, *b"0000-00-", [0, 2, 5])?;
    let [day, ..] = pairs(eight(text, 8)?, *b"00T00:00", [0, 3, 6])?;
    let [hour, minute, second] = pairs(eight(text, 11)?, *b"00:00:00", [0, 3, 6])?;
    let year = century * 100 + of_century;
    if year == 0 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = u32::from(MONTH_DAYS[month as usize]) + u32::from(leap);
    if !(1..=last).contains(&day) {
        return None;
    }
    let of_day = i64::from((hour * 60 + minute) * 60 + second);
    Some(days(year, month, day) * DAY_SECONDS + of_day)
}

/// Return the numbers of two digits at three places of eight bytes of that form.
#[inline(always)]
fn pairs(word: u64, form: [u8; 8], places: [u32; 3]) -> Option<[u32; 3]> {
    let of_digits = u64::from_le_bytes(form.map(|each| if each == b'0' { 0xff } else { 0 }));
    let Digits { worth, others } = Digits::of(word);
    if others & of_digits != 0 || (word ^ u64::from_le_bytes(form)) & !of_digits != 0 {
        return None;
    }
    let worth = worth & of_digits;
    let pairs = worth * 10 + (worth >> 8);
    Some(places.map(|place| (pairs >> (8 * place)) as u32 & 0xff))
}

/// Return the days since 1970 of a real date from the year 1 on.
#[inline]
fn days(year: u32, month: u32, day: u32) -> i64 {
    // Years begin in March here, so that the leap day is the last one.
    let of_year = (month + 9) % 12;
    let years = year - u32::from(month < 3);
    let leap_days = years / 4 - years / 100 + years / 400;
    let to_month = (153 * of_year + 2) / 5;
    i64::from(years * 365 + leap_days + to_month + day - 1) - 719_468
}

/// Return the fraction of a second at `at`, of just the unit's digits and a `Z`.
#[inline]
fn fraction(raw: &[u8], at: usize, unit: Unit) -> Option<i64> {
    let (end, mut number) = (at + unit.digits(), 0);
    for byte in raw.get(at..end)? {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(byte - b'0');
    }
    (*raw.get(end)? == b'Z').then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str, unit: Unit) -> Option<i64> {
        let found = instant(text.as_bytes(), 0, unit)?;
        (found.end == text.len()).then_some(found.count)
    }

    #[test]
    fn reads_instants_of_each_unit() {
        assert_eq!(count("1970-01-01T00:00:00Z", Unit::Milli), Some(0));
        assert_eq!(count("2018-01-01T00:21:05.000Z", Unit::Milli), Some(1_514_766_065_000));
        assert_eq!(count("1969-12-31T23:59:59.999999Z", Unit::Micro), Some(-1));
        assert_eq!(
            count("2000-02-29T00:00:00.000000001Z", Unit::Nano),
            Some(951_782_400_000_000_001)
        );
        assert_eq!(count("0001-01-01T00:00:00Z", Unit::Milli), Some(-62_135_596_800_000));
        assert_eq!(count("9999-12-31T23:59:59.999Z", Unit::Milli), Some(253_402_300_799_999));
    }

    #[test]
    fn counts_every_day_once() {
        let mut expected = -719_162;
        for year in 1..=9999_u32 {
            for month in 1..=12_u32 {
                let leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                for day in 1..=u32::from(MONTH_DAYS[month as usize]) + u32::from(leap) {
                    assert_eq!(days(year, month, day), expected);
                    expected += 1;
                }
            }
        }
        assert_eq!(expected, 2_932_897);
    }

    #[test]
    fn hands_on_other_forms() {
        for bad in [
            "2018-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2018-04-31T00:00:00Z",
            "2018-13-01T00:00:00Z",
            "2018-00-01T00:00:00Z",
            "2018-01-00T00:00:00Z",
            "2018-01-01T24:00:00Z",
            "2018-01-01T23:60:00Z",
            "2018-01-01T23:59:60Z",
            "0000-01-01T00:00:00Z",
            "2018-01-01 00:00:00Z",
            "2018-01-01T00:00:00z",
            "2018-01-01T00:00:00.Z",
            "2018-01-01T00:00:00.0Z",
            "2018-01-01T00:00:00.0000Z",
            "2018-01-01T00:00:00.000+00:00",
            "2018-01-01T00:00:00",
            "2018-01-01T00:00:00.000",
            "2018-01-01T00:00:00.00:Z",
            "2018-01-01T0/:00:00Z",
            "2018-01-01T00-00:00Z",
            "",
        ] {
            assert_eq!(count(bad, Unit::Milli), None, "{bad}");
        }
        assert_eq!(count("2300-01-01T00:00:00Z", Unit::Nano), None);
    }
}
