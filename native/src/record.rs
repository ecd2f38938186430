//! Reads one record of a known type into slots, one a field, without a copy of its texts.

use crate::key::Key;
use crate::numbers;
use crate::plan::{Absent, EventType, Field, Kind, Plan, TextLimits, TimeForm};
use crate::slot::{Form, Record, Slot};
use crate::text::{characters, skip_space, string_end};
use crate::times;

/// Reads records of one type. It expects members in the order of those before.
pub struct Reader<'p> {
    plan: &'p Plan,
    kind: &'p EventType,
    /// Least and greatest counts, by timestamp.
    bounds: Vec<(i64, i64)>,
    slots: Vec<Slot>,
    number: u32,
    tag_found: bool,
    /// The fields (and the tag, behind them) in the order of an earlier record.
    order: Vec<usize>,
    /// Their keys.
    keys: Vec<Key<'p>>,
    /// What is expected next, as a place in `order`.
    next: usize,
    /// How many members the current record has, and whether in another order.
    found: usize,
    reordered: bool,
}

impl<'p> Reader<'p> {
    pub fn new(plan: &'p Plan, kind: &'p EventType, bounds: Vec<(i64, i64)>) -> Self {
        let members = kind.fields.len() + usize::from(plan.tag.is_some());
        let empty = Slot { bits: 0, record: 0, form: Form::Null, key: 0, start: 0, end: 0 };
        Self {
            plan,
            kind,
            bounds,
            slots: vec![empty; members],
            number: 0,
            tag_found: false,
            order: (0..members).collect(),
            keys: (0..members).map(|place| key(plan, kind, place)).map(Key::new).collect(),
            next: 0,
            found: 0,
            reordered: false,
        }
    }

    /// Whether the last record has this type's tag.
    pub fn tag_found(&self) -> bool {
        self.tag_found
    }

    /// Read a record; `None` if it is not accepted.
    pub fn read<'r>(&'r mut self, raw: &'r [u8]) -> Option<Record<'r>> {
        self.number += 1;
        self.tag_found = false;
        self.reordered = false;
        self.next = 0;
        self.found = 0;
        let end = self.members(raw)?;
        if skip_space(raw, end) != raw.len() {
            return None;
        }
        if self.found < self.slots.len() {
            self.fill_absent()?;
        }
        if self.reordered {
            self.reorder();
        }
        Some(Record { raw, slots: &self.slots })
    }

    /// Read the object; return where it ends.
    #[inline]
    fn members(&mut self, raw: &[u8]) -> Option<usize> {
        let mut at = skip_space(raw, 0);
        if raw.get(at) != Some(&b'{') {
            return None;
        }
        at = skip_space(raw, at + 1);
        if raw.get(at) == Some(&b'}') {
            return Some(at + 1);
        }
        loop {
            at = skip_space(raw, self.member(raw, at)?);
            match raw.get(at)? {
                b',' => at = skip_space(raw, at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// Read the member at `at`; return where its value ends.
    #[inline(always)]
    fn member(&mut self, raw: &[u8], at: usize) -> Option<usize> {
        let (place, start) = self.place(raw, at)?;
        if self.slots[place].record == self.number {
            return None;
        }
        self.found += 1;
        let start = skip_space(raw, start);
        let kind = self.kind;
        let (form, bits, end) = match kind.fields.get(place) {
            Some(field) => self.value(raw, start, field)?,
            None => (Form::Same, 0, self.tag(raw, start)?),
        };
        self.slots[place] = Slot {
            bits,
            record: self.number,
            form,
            key: at as u32,
            start: start as u32,
            end: end as u32,
        };
        Some(end)
    }

    /// Return which member is at `at`, and where its colon ends.
    #[inline(always)]
    fn place(&mut self, raw: &[u8], at: usize) -> Option<(usize, usize)> {
        if let (Some(&place), Some(key)) = (self.order.get(self.next), self.keys.get(self.next)) {
            if key.is_at(raw, at) {
                self.next += 1;
                return Some((place, at + key.length));
            }
        }
        self.unexpected(raw, at)
    }

    /// Return what `place` does, of a member that was not expected.
    #[inline(never)]
    fn unexpected(&mut self, raw: &[u8], at: usize) -> Option<(usize, usize)> {
        if raw.get(at) != Some(&b'"') {
            return None;
        }
        let end = string_end(raw, at + 1)?;
        let place = *self.kind.places.get(&raw[at + 1..end])?;
        let colon = skip_space(raw, end + 1);
        if raw.get(colon) != Some(&b':') {
            return None;
        }
        match self.order[self.next..].iter().position(|each| *each == place) {
            // Members that may be absent were skipped.
            Some(skipped) => self.next += skipped + 1,
            None => self.reordered = true,
        }
        Some((place, colon + 1))
    }

    /// Expect members in the order of the current record, absent ones behind them.
    #[cold]
    fn reorder(&mut self) {
        let slots = &self.slots;
        self.order.sort_by_key(|place| (slots[*place].is_absent(), slots[*place].key));
        let keys = self.order.iter().map(|place| key(self.plan, self.kind, *place));
        self.keys = keys.map(Key::new).collect();
    }

    fn tag(&mut self, raw: &[u8], at: usize) -> Option<usize> {
        let end = at + self.kind.text.len() + 2;
        let text = raw.get(at..end)?;
        let same =
            text[0] == b'"' && text[1..].strip_suffix(b"\"") == Some(self.kind.text.as_bytes());
        self.tag_found = same;
        same.then_some(end)
    }

    /// Read a field's value at `at`; return its form, its bits and where it ends.
    #[inline(always)]
    fn value(&self, raw: &[u8], at: usize, field: &Field) -> Option<(Form, u64, usize)> {
        if *raw.get(at)? == b'n' {
            let null = field.nullable && raw[at..].starts_with(b"null");
            return null.then_some((Form::Null, 0, at + 4));
        }
        match &field.kind {
            Kind::Int32 { least, most } | Kind::Int64 { least, most } => {
                let (value, end) = numbers::integer(raw, at)?;
                (*least <= value && value <= *most).then_some((Form::Same, value as u64, end))
            }
            Kind::Double { least, most } => {
                let found = numbers::double(raw, at)?;
                let within = *least <= found.value && found.value <= *most;
                within.then_some((Form::Double(found.text), found.value.to_bits(), found.end))
            }
            Kind::Boolean => boolean(raw, at),
            Kind::Text(limits) => text(raw, at, limits),
            Kind::Time(form) => self.time(raw, at, *form),
        }
    }

    #[inline(always)]
    fn time(&self, raw: &[u8], at: usize, form: TimeForm) -> Option<(Form, u64, usize)> {
        let (count, end, written) = if form.factor != 0 {
            let (number, end) = numbers::integer(raw, at)?;
            (number.checked_mul(form.factor)?, end, Form::Same)
        } else {
            if raw[at] != b'"' {
                return None;
            }
            let found = times::instant(raw, at + 1, form.unit)?;
            if *raw.get(found.end)? != b'"' {
                return None;
            }
            let written = if found.fraction { Form::Same } else { Form::NoFraction };
            (found.count, found.end + 1, written)
        };
        let (least, most) = self.bounds[form.place];
        (least <= count && count <= most).then_some((written, count as u64, end))
    }

    /// Fill the slots of absent members; `None` if one of them may not be absent.
    fn fill_absent(&mut self) -> Option<()> {
        for (place, slot) in self.slots.iter_mut().enumerate() {
            if slot.record == self.number {
                continue;
            }
            (slot.form, slot.bits) = match self.kind.fields.get(place)?.absent {
                Absent::Refused => return None,
                Absent::Null => (Form::DefaultNull, 0),
                Absent::Whole(value) => (Form::Default, value as u64),
                Absent::Double(value) => (Form::Default, value.to_bits()),
                Absent::Boolean(value) => (Form::Default, u64::from(value)),
                Absent::Text(_) => (Form::Default, 0),
            };
            slot.record = self.number;
        }
        Some(())
    }
}

fn key<'p>(plan: &'p Plan, kind: &'p EventType, place: usize) -> &'p [u8] {
    kind.fields.get(place).map_or(&plan.tag_key, |field| &field.key)
}

#[inline(always)]
fn boolean(raw: &[u8], at: usize) -> Option<(Form, u64, usize)> {
    let behind = &raw[at..];
    if behind.starts_with(b"true") {
        return Some((Form::Same, 1, at + 4));
    }
    behind.starts_with(b"false").then_some((Form::Same, 0, at + 5))
}

#[inline(always)]
fn text(raw: &[u8], at: usize, limits: &TextLimits) -> Option<(Form, u64, usize)> {
    if raw[at] != b'"' {
        return None;
    }
    let end = string_end(raw, at + 1)?;
    let text = &raw[at + 1..end];
    // There are at most as many characters as bytes, and at least a quarter of them.
    let is_short = text.len() <= limits.most || characters(text) <= limits.most;
    let is_long = limits.least == 0 || characters(text) >= limits.least;
    let allowed = limits.allowed.is_empty() || limits.allowed.iter().any(|each| each == text);
    (is_short && is_long && allowed).then_some((Form::Same, 0, end + 1))
}

#[cfg(test)]
mod tests;
