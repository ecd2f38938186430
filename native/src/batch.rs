//! Decodes the records of a batch, one by one, into columns by type.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array};
use arrow_schema::ArrowError;

use crate::columns::{Column, Texts};
use crate::documents::Writer;
use crate::plan::{Absent, EventType, Plan};
use crate::record::Reader;
use crate::slot::Record;
use crate::tag::tag_of;

/// Bytes that are reserved for documents at most: a batch may have few records of a type.
const MOST_RESERVED: usize = 16 << 20;

/// Least and greatest counts of the timestamps, by type.
pub type Bounds = Vec<Vec<(i64, i64)>>;

/// A batch in the making.
pub struct Batch<'p> {
    plan: &'p Plan,
    bounds: &'p Bounds,
    rows: usize,
    types: Vec<Option<Type<'p>>>,
    handed_on: Vec<i64>,
    /// The type of the last event.
    guess: usize,
}

/// The events of one type, as arrays.
pub struct Part {
    pub kind: usize,
    pub rows: ArrayRef,
    pub columns: Vec<ArrayRef>,
    pub documents: Option<ArrayRef>,
}

struct Type<'p> {
    reader: Reader<'p>,
    events: Events<'p>,
}

/// The events of one type so far.
struct Events<'p> {
    rows: Vec<i64>,
    columns: Vec<Column<'p>>,
    documents: Option<(Writer<'p>, Texts)>,
    /// As many as these can become.
    most_rows: usize,
    /// What one more record adds to a column at most, beyond its own bytes.
    most_added: usize,
    /// How many bytes of text any column still takes for certain.
    room: usize,
}

impl<'p> Batch<'p> {
    /// Begin a batch of so many rows; the bounds are as many as the types and their timestamps.
    pub fn new(plan: &'p Plan, bounds: &'p Bounds, rows: usize) -> Self {
        let types = plan.types.iter().map(|_| None).collect();
        Self { plan, bounds, rows, types, handed_on: Vec::new(), guess: 0 }
    }

    /// Add the next row; `told` is its type where no tag tells it.
    #[inline]
    pub fn add(&mut self, row: usize, raw: Option<&[u8]>, told: Option<usize>) {
        let raw = raw.filter(|raw| raw.len() <= self.plan.max_record_bytes);
        let accepted = raw.is_some_and(|raw| match (&self.plan.tag, told) {
            (Some(tag), _) => self.tagged(row, raw, tag),
            (None, Some(kind)) => self.event(row, raw, kind),
            (None, None) => false,
        });
        if !accepted {
            self.handed_on.push(row as i64);
        }
    }

    /// Return the events by type, and the rows that are for others to judge.
    pub fn finish(self) -> Result<(Vec<Part>, Int64Array), ArrowError> {
        let types = self.types.into_iter().enumerate();
        let parts = types.filter_map(|(kind, each)| each?.events.finish(kind).transpose());
        Ok((parts.collect::<Result<_, _>>()?, self.handed_on.into()))
    }

    /// Add a record of the type of the last one; if its tag says another, of that one.
    #[inline]
    fn tagged(&mut self, row: usize, raw: &[u8], tag: &str) -> bool {
        let guess = self.guess;
        if self.event(row, raw, guess) {
            return true;
        }
        if self.types[guess].as_ref().is_some_and(|each| each.reader.tag_found()) {
            return false;
        }
        let text = tag_of(raw, tag);
        let Some(&kind) = text.and_then(|text| self.plan.by_text.get(text)) else { return false };
        let accepted = kind != guess && self.event(row, raw, kind);
        if accepted {
            self.guess = kind;
        }
        accepted
    }

    /// Add a record if it is an event of that type.
    #[inline]
    fn event(&mut self, row: usize, raw: &[u8], kind: usize) -> bool {
        let (plan, rows, bounds) = (self.plan, self.rows, self.bounds);
        let made = self.types[kind].get_or_insert_with(|| Type {
            reader: Reader::new(plan, &plan.types[kind], bounds[kind].clone()),
            events: Events::new(plan, &plan.types[kind], rows),
        });
        let record = made.reader.read(raw);
        record.is_some_and(|record| made.events.add(row, &record))
    }
}

impl<'p> Events<'p> {
    fn new(plan: &Plan, kind: &'p EventType, rows: usize) -> Self {
        let writer = plan.documents.then(|| Writer::new(plan, kind));
        let defaults = kind.fields.iter().map(|field| match &field.absent {
            Absent::Text(text) => text.len(),
            _ => 0,
        });
        let longest = defaults.max().unwrap_or(0);
        Self {
            rows: Vec::with_capacity(rows),
            most_rows: rows,
            columns: kind.fields.iter().map(|field| Column::new(field, rows)).collect(),
            most_added: writer.as_ref().map_or(0, Writer::most_added).max(longest),
            documents: writer.map(|writer| (writer, Texts::new(rows))),
            room: i32::MAX as usize,
        }
    }

    /// Add a record; `false` if there is no room for it or its document is in doubt.
    #[inline]
    fn add(&mut self, row: usize, record: &Record) -> bool {
        let most = record.raw.len() + self.most_added;
        if self.room < most {
            return false;
        }
        if let Some((writer, texts)) = &mut self.documents {
            let before = texts.bytes.len();
            if before == 0 {
                let likely = record.raw.len() / 8 * 9 + 32;
                texts.bytes.reserve(likely.saturating_mul(self.most_rows).min(MOST_RESERVED));
            }
            if !writer.write(record, &mut texts.bytes) {
                texts.bytes.truncate(before);
                return false;
            }
            texts.end();
        }
        self.room -= most;
        for (column, slot) in self.columns.iter_mut().zip(record.slots) {
            column.add(record, slot);
        }
        self.rows.push(row as i64);
        true
    }

    /// Return the events as arrays, `None` if there are none.
    fn finish(self, kind: usize) -> Result<Option<Part>, ArrowError> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let columns = self.columns.into_iter().map(Column::finish);
        let columns = columns.collect::<Result<_, _>>()?;
        let documents = self.documents.map(|(_, texts)| binary(texts)).transpose()?;
        let rows = Arc::new(Int64Array::from(self.rows));
        Ok(Some(Part { kind, rows, columns, documents }))
    }
}

fn binary(texts: Texts) -> Result<ArrayRef, ArrowError> {
    let (offsets, bytes) = texts.parts();
    let array: Arc<dyn Array> = Arc::new(BinaryArray::try_new(offsets, bytes.into(), None)?);
    Ok(array)
}

#[cfg(test)]
mod tests;
