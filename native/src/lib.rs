//! The fast path of decoding: see `Decoder` for what it accepts.
#![forbid(unsafe_code)]
