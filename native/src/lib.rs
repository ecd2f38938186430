//! The fast path of decoding: flat JSON events to Arrow columns.
//!
//! It never judges. It accepts a record only if every byte of it is understood; all other records
//! are handed on to the decoder in Python, whose answer counts.
#![forbid(unsafe_code)]

mod batch;
mod columns;
mod documents;
mod key;
mod numbers;
mod plan;
mod plan_kinds;
mod python;
mod record;
mod slot;
mod tag;
mod text;
mod times;
