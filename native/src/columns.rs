//! Columns of accepted records, one a field, as Arrow arrays.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use crate::plan::{Absent, Field, Kind, Unit};
use crate::slot::{Form, Record, Slot};

/// The time zone of timestamps.
const ZONE: &str = "UTC";

/// The column of one field.
pub struct Column<'p> {
    /// The text of records without the field.
    default: &'p [u8],
    values: Values,
    /// `None` where the field is never null.
    valid: Option<Vec<bool>>,
}

enum Values {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Double(Vec<f64>),
    Boolean(BooleanBufferBuilder),
    Time(Unit, Vec<i64>),
    Text(Texts),
}

/// Texts or documents, one behind the other.
pub struct Texts {
    pub bytes: Vec<u8>,
    ends: Vec<i32>,
}

impl Texts {
    pub fn new(rows: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self { bytes: Vec::new(), ends }
    }

    /// End a text that was written to `bytes`.
    ///
    /// The caller sees to it that there are less than 2 GiB.
    #[inline(always)]
    pub fn end(&mut self) {
        self.ends.push(self.bytes.len() as i32);
    }

    /// Return the bytes and where each text starts and ends.
    pub fn parts(self) -> (OffsetBuffer<i32>, Vec<u8>) {
        (OffsetBuffer::new(ScalarBuffer::from(self.ends)), self.bytes)
    }
}

impl<'p> Column<'p> {
    /// Make the column of a field for at most so many rows.
    pub fn new(field: &'p Field, rows: usize) -> Self {
        let values = match &field.kind {
            Kind::Int32 { .. } => Values::Int32(Vec::with_capacity(rows)),
            Kind::Int64 { .. } => Values::Int64(Vec::with_capacity(rows)),
            Kind::Double { .. } => Values::Double(Vec::with_capacity(rows)),
            Kind::Boolean => Values::Boolean(BooleanBufferBuilder::new(rows)),
            Kind::Time(form) => Values::Time(form.unit, Vec::with_capacity(rows)),
            Kind::Text(_) => Values::Text(Texts::new(rows)),
        };
        let valid = field.has_nulls().then(|| Vec::with_capacity(rows));
        let default = match &field.absent {
            Absent::Text(text) => text.as_bytes(),
            _ => &[],
        };
        Self { default, values, valid }
    }

    /// Add what a record has for the field.
    #[inline(always)]
    pub fn add(&mut self, record: &Record, slot: &Slot) {
        match &mut self.values {
            Values::Int32(values) => values.push(slot.bits as i32),
            Values::Int64(values) | Values::Time(_, values) => values.push(slot.bits as i64),
            Values::Double(values) => values.push(f64::from_bits(slot.bits)),
            Values::Boolean(values) => values.append(slot.bits != 0),
            Values::Text(texts) => {
                if !slot.is_absent() && !slot.is_null() {
                    texts.bytes.extend_from_slice(record.text(slot));
                } else if slot.form == Form::Default {
                    texts.bytes.extend_from_slice(self.default);
                }
                texts.end();
            }
        }
        if let Some(valid) = &mut self.valid {
            valid.push(!slot.is_null());
        }
    }

    /// Return the column as an array.
    pub fn finish(self) -> Result<ArrayRef, ArrowError> {
        let valid = self.valid.filter(|valid| valid.contains(&false));
        let nulls = valid.map(NullBuffer::from);
        Ok(match self.values {
            Values::Int32(values) => primitive::<Int32Type>(values, nulls)?,
            Values::Int64(values) => primitive::<Int64Type>(values, nulls)?,
            Values::Double(values) => primitive::<Float64Type>(values, nulls)?,
            Values::Boolean(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Time(unit, values) => times(unit, values, nulls)?,
            Values::Text(texts) => {
                let (offsets, bytes) = texts.parts();
                Arc::new(StringArray::try_new(offsets, bytes.into(), nulls)?)
            }
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError>
where
    ScalarBuffer<T::Native>: From<Vec<T::Native>>,
{
    Ok(Arc::new(PrimitiveArray::<T>::try_new(values.into(), nulls)?))
}

fn times(unit: Unit, values: Vec<i64>, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let values = ScalarBuffer::from(values);
    Ok(match unit {
        Unit::Milli => Arc::new(
            PrimitiveArray::<TimestampMillisecondType>::try_new(values, nulls)?.with_timezone(ZONE),
        ),
        Unit::Micro => Arc::new(
            PrimitiveArray::<TimestampMicrosecondType>::try_new(values, nulls)?.with_timezone(ZONE),
        ),
        Unit::Nano => Arc::new(
            PrimitiveArray::<TimestampNanosecondType>::try_new(values, nulls)?.with_timezone(ZONE),
        ),
    })
}
