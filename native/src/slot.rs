//! What the reader of records leaves to columns and documents: the places of values in the bytes.

use crate::numbers::DoubleText;

/// What a record has for a field, or would have by default.
///
/// `key` is where the member starts, `start` to `end` its value.
#[derive(Clone, Copy)]
pub struct Slot {
    /// An integer or boolean as such, a double by its bits, 0 for text and null.
    pub bits: u64,
    /// The number of the record that has filled the slot: in another record it is empty.
    pub record: u32,
    pub form: Form,
    pub key: u32,
    pub start: u32,
    pub end: u32,
}

/// How the canonical text of a member follows from what is written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Form {
    /// Absent: the column has the default.
    Default,
    /// Absent, and the column has null.
    DefaultNull,
    Null,
    /// As written.
    Same,
    /// A double of this form.
    Double(DoubleText),
    /// An instant without a fraction of a second.
    NoFraction,
}

impl Slot {
    /// Whether the column has null for it.
    #[inline(always)]
    pub fn is_null(&self) -> bool {
        matches!(self.form, Form::Null | Form::DefaultNull)
    }

    /// Whether the record has no such member.
    #[inline(always)]
    pub fn is_absent(&self) -> bool {
        matches!(self.form, Form::Default | Form::DefaultNull)
    }
}

/// A record that was accepted: its bytes, and a slot for each field.
#[derive(Clone, Copy)]
pub struct Record<'r> {
    pub raw: &'r [u8],
    pub slots: &'r [Slot],
}

impl<'r> Record<'r> {
    /// Return the characters of a slot with text, without the quotes.
    #[inline(always)]
    pub fn text(&self, slot: &Slot) -> &'r [u8] {
        &self.raw[slot.start as usize + 1..slot.end as usize - 1]
    }
}
