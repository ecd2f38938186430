//! Writes the canonical JSON of accepted records: equal events, equal bytes.

use crate::numbers::{DoubleText, LEAST_PLAIN};
use crate::plan::{Absent, EventType, Field, Kind, Plan, TimeForm};
use crate::slot::{Form, Record, Slot};
use crate::times::TO_SECOND;

/// In this range the shortest text of a double has no exponent.
const PLAIN: std::ops::Range<f64> = LEAST_PLAIN..1e15;
/// What a value's canonical text may be longer than the written one, or be at most in short form.
const MOST_ADDED: usize = 32;

/// Writes the documents of one type.
pub struct Writer<'p> {
    fields: &'p [Field],
    /// `{`, or it and the tag's member.
    start: Vec<u8>,
}

impl<'p> Writer<'p> {
    pub fn new(plan: &Plan, kind: &'p EventType) -> Self {
        let mut start = vec![b'{'];
        if plan.tag.is_some() {
            start.extend_from_slice(&plan.tag_key);
            start.extend_from_slice(format!("\"{}\"", kind.text).as_bytes());
        }
        Self { fields: &kind.fields, start }
    }

    /// Return how many bytes documents have at most beyond those of their records.
    pub fn most_added(&self) -> usize {
        let keys = self.fields.iter().map(|field| field.key.len() + MOST_ADDED);
        self.start.len() + keys.sum::<usize>()
    }

    /// Write a record's document; `false` if its text is in doubt, and then what is written is none.
    #[inline]
    pub fn write(&self, record: &Record, out: &mut Vec<u8>) -> bool {
        let raw = record.raw;
        out.extend_from_slice(&self.start);
        let mut is_first = self.start.len() == 1;
        // Members that are as they should be, one behind the other, are copied at once.
        let mut run = raw.len()..raw.len();
        for (field, slot) in self.fields.iter().zip(record.slots) {
            if field.absent != Absent::Refused && is_default(record, slot, &field.absent) {
                continue;
            }
            let key = slot.key as usize;
            let kept = kept(raw, slot, key + field.key.len());
            match kept {
                // Between them is the comma.
                Some(kept) if run.end + 1 == key => {
                    run.end = kept;
                    continue;
                }
                _ => out.extend_from_slice(&raw[run]),
            }
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            if let Some(kept) = kept {
                run = key..kept;
                continue;
            }
            run = raw.len()..raw.len();
            out.extend_from_slice(&field.key);
            if !write_value(raw, slot, &field.kind, out) {
                return false;
            }
        }
        out.extend_from_slice(&raw[run]);
        out.push(b'}');
        true
    }
}

/// Return up to where a member is written as it should be; `None` if it goes on otherwise.
///
/// It is cut short where zeros at its end are to be left out: no other member joins it then.
#[inline(always)]
fn kept(raw: &[u8], slot: &Slot, key_end: usize) -> Option<usize> {
    let end = slot.end as usize;
    if slot.start as usize != key_end {
        return None;
    }
    match slot.form {
        Form::Null | Form::Same => Some(end),
        Form::Double(DoubleText::Fraction) => Some(fraction_end(raw, end)),
        _ => None,
    }
}

/// Return where a fraction ends without the zeros at its end, but one behind the point.
#[inline(always)]
fn fraction_end(raw: &[u8], mut end: usize) -> usize {
    // Both at once: whether the last digit is 0 can't be foretold.
    while (raw[end - 1] == b'0') & (raw[end - 2] != b'.') {
        end -= 1;
    }
    end
}

#[inline(never)]
fn write_value(raw: &[u8], slot: &Slot, kind: &Kind, out: &mut Vec<u8>) -> bool {
    let (start, end) = (slot.start as usize, slot.end as usize);
    match slot.form {
        Form::Default | Form::DefaultNull => return false,
        Form::Null | Form::Same => out.extend_from_slice(&raw[start..end]),
        Form::Double(DoubleText::Fraction) => {
            out.extend_from_slice(&raw[start..fraction_end(raw, end)]);
        }
        Form::Double(DoubleText::Whole) => {
            out.extend_from_slice(&raw[start..end]);
            out.extend_from_slice(b".0");
        }
        Form::Double(DoubleText::Shortest) => {
            return write_shortest(f64::from_bits(slot.bits), out);
        }
        Form::NoFraction => {
            let Kind::Time(TimeForm { unit, .. }) = kind else { return false };
            out.extend_from_slice(&raw[start..=start + TO_SECOND]);
            out.push(b'.');
            out.resize(out.len() + unit.digits(), b'0');
            out.extend_from_slice(b"Z\"");
        }
    }
    true
}

fn write_shortest(value: f64, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    PLAIN.contains(&value.abs())
}

/// Whether a member has the value that it would have if it were absent.
fn is_default(record: &Record, slot: &Slot, absent: &Absent) -> bool {
    match absent {
        Absent::Refused => false,
        _ if slot.is_absent() => true,
        Absent::Null => slot.form == Form::Null,
        _ if slot.form == Form::Null => false,
        Absent::Whole(value) => slot.bits == *value as u64,
        Absent::Double(value) => f64::from_bits(slot.bits) == *value,
        Absent::Boolean(value) => slot.bits == u64::from(*value),
        Absent::Text(value) => record.text(slot) == value.as_bytes(),
    }
}
