//! Tokens of JSON text: white space, and strings without anything that needs a second look.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Return where white space that starts at `at`, if any, ends.
#[inline(always)]
pub fn skip_space(raw: &[u8], at: usize) -> usize {
    match raw.get(at) {
        Some(0..=b' ') => space_end(raw, at),
        _ => at,
    }
}

#[inline(never)]
fn space_end(raw: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = raw.get(at) {
        at += 1;
    }
    at
}

/// Return the eight bytes at `at` as a number, the first one lowest.
#[inline(always)]
pub fn eight(raw: &[u8], at: usize) -> Option<u64> {
    let bytes = raw.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Eight bytes less `0`: what digits are worth, and which bytes are none (their highest bits).
#[derive(Clone, Copy)]
pub struct Digits {
    pub worth: u64,
    pub others: u64,
}

impl Digits {
    #[inline(always)]
    pub fn of(word: u64) -> Self {
        let worth = word ^ (ONES * u64::from(b'0'));
        // 0x76 is the least that makes the highest bit of all but digits.
        let others = (((worth & !HIGHS) + ONES * 0x76) | worth) & HIGHS;
        Self { worth, others }
    }

    /// Return the number that eight bytes are worth, if all of them are digits.
    #[inline(always)]
    pub fn number(worth: u64) -> u64 {
        // Pairs of digits, then of pairs, then of these.
        let pairs = (worth.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
        fours.wrapping_mul(10_000 << 32 | 1) >> 32
    }
}

/// Return where the string ends whose first character is at `at`: the place of its quote.
///
/// `None` for a string with a backslash, a control character or bytes that are not UTF-8.
#[inline]
pub fn string_end(raw: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    let mut high = 0;
    while let Some(word) = eight(raw, at) {
        let stops = stops(word);
        if stops != 0 {
            let before = stops.trailing_zeros() / 8;
            // Of the bytes before the stop only.
            high |= word & HIGHS & ((1_u64 << (before * 8)) - 1);
            at += before as usize;
            break;
        }
        high |= word & HIGHS;
        at += 8;
    }
    loop {
        match raw.get(at)? {
            b'"' => break,
            b'\\' | 0..0x20 | 0x7f => return None,
            byte => high |= u64::from(*byte) & 0x80,
        }
        at += 1;
    }
    (high == 0 || is_plain(&raw[start..at])).then_some(at)
}

/// Mark (in its highest bit) the first byte that is a quote, a backslash or a control character.
///
/// Bytes behind it may be marked without being one.
#[inline(always)]
fn stops(word: u64) -> u64 {
    let is = |byte: u8| {
        let other = word ^ (ONES * u64::from(byte));
        other.wrapping_sub(ONES) & !other
    };
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (is(b'"') | is(b'\\') | is(0x7f) | control) & HIGHS
}

/// Whether bytes are UTF-8 without the control characters beyond ASCII.
fn is_plain(text: &[u8]) -> bool {
    std::str::from_utf8(text)
        .is_ok_and(|text| !text.chars().any(|each| ('\u{80}'..='\u{9f}').contains(&each)))
}

/// Return how many characters UTF-8 text has.
pub fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_at_every_length() {
        for length in 0..40 {
            let text = format!("{}\"x{}", "a".repeat(length), "y".repeat(40 - length));
            assert_eq!(string_end(text.as_bytes(), 0), Some(length));
            assert_eq!(string_end("é".repeat(length).as_bytes(), 0), None);
            let text = format!("{}\"\u{80}", "é".repeat(length));
            assert_eq!(string_end(text.as_bytes(), 0), Some(2 * length));
        }
    }

    #[test]
    fn refuses_what_needs_a_second_look() {
        for bad in ["\\", "\n", "\0", "\u{7f}", "\u{80}", "\u{9f}", "\u{1f}"] {
            for before in 0..18 {
                let text = format!("{}{bad}aaaaaaaaaaaaaaaaaaa\"", "a".repeat(before));
                assert_eq!(string_end(text.as_bytes(), 0), None, "{text:?}");
            }
        }
        assert_eq!(string_end(b"\xff\"", 0), None);
        assert_eq!(string_end(b"aaaaaaaaaaaa\xed\xa0\x80\"", 0), None);
        assert_eq!(string_end("\u{a0}\u{10ffff}\"".as_bytes(), 0), Some(6));
        assert_eq!(string_end(b"no end", 0), None);
        assert_eq!(string_end(b"", 0), None);
    }

    #[test]
    fn tells_digits_from_other_bytes() {
        for byte in 0..=255_u8 {
            let word = [b'0', b'9', byte, 0xff, 0, byte, b'/', b':'];
            let others = Digits::of(u64::from_le_bytes(word)).others.to_le_bytes();
            let expected = word.map(|each| if each.is_ascii_digit() { 0 } else { 0x80 });
            assert_eq!(others, expected);
        }
        for number in [0, 1, 99_999_999, 12_345_678, 80_000_001] {
            let word = eight(format!("{number:08}").as_bytes(), 0).unwrap();
            assert_eq!(Digits::number(Digits::of(word).worth), number);
        }
    }

    #[test]
    fn counts_characters() {
        assert_eq!(characters("aé€😀".as_bytes()), 4);
    }

    #[test]
    fn skips_the_white_space_of_json_only() {
        assert_eq!(skip_space(b" \t\r\n{", 0), 4);
        assert_eq!(skip_space(b"\x0b{", 0), 0);
        assert_eq!(skip_space(b"  ", 0), 2);
        assert_eq!(skip_space(b"", 5), 5);
    }
}
