//! Compares keys of members with what is expected, most of them without a call or a loop.

use crate::text::eight;

/// Words that are compared at once.
const WORDS: usize = 4;

/// A key as members begin with it: `"name":`.
pub struct Key<'p> {
    text: &'p [u8],
    pub length: usize,
    /// Its first bytes, and which bits of them count.
    words: [(u64, u64); WORDS],
}

impl<'p> Key<'p> {
    pub fn new(text: &'p [u8]) -> Self {
        let mut words = [(0, 0); WORDS];
        for (place, byte) in text.iter().take(8 * WORDS).enumerate() {
            let (word, mask) = &mut words[place / 8];
            *word |= u64::from(*byte) << (place % 8 * 8);
            *mask |= 0xff << (place % 8 * 8);
        }
        Self { text, length: text.len(), words }
    }

    /// Whether the member at `at` has this key.
    #[inline(always)]
    pub fn is_at(&self, raw: &[u8], at: usize) -> bool {
        let behind = raw.get(at..).unwrap_or_default();
        let Some(first) = behind.first_chunk::<{ 8 * WORDS }>() else {
            return behind.starts_with(self.text);
        };
        let mut other = 0;
        for (place, (word, mask)) in self.words.iter().enumerate() {
            other |= (eight(first, 8 * place).unwrap_or(0) ^ word) & mask;
        }
        other == 0 && (self.length <= 8 * WORDS || behind.starts_with(self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_where_every_byte_is_the_same() {
        for length in 3..70 {
            let text = format!("\"{}\":", "k".repeat(length - 3));
            let key = Key::new(text.as_bytes());
            for behind in ["", "1", &"1".repeat(80)] {
                let mut raw = format!(",{text}{behind}").into_bytes();
                assert!(key.is_at(&raw, 1));
                assert!(!key.is_at(&raw, 0) && !key.is_at(&raw, 2) && !key.is_at(&raw, 999));
                for place in 1..=length {
                    raw[place] ^= 1;
                    assert!(!key.is_at(&raw, 1), "{length} {place}");
                    raw[place] ^= 1;
                }
                assert!(!key.is_at(&raw[..length], 1));
            }
        }
    }
}
