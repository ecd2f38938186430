"""Flink's vectorised functions: each wraps a pure step and counts what it does."""

from pipeline.operators.claim_check import ClaimCheckFunction, claim_check_function
from pipeline.operators.decode import (
    Answer,
    DecodeFunction,
    decode_function,
    decode_guarded,
    decode_row,
)
from pipeline.operators.index import IndexFunction, index_function
from pipeline.operators.pack import PackFunction, pack_function

__all__ = [
    "Answer",
    "ClaimCheckFunction",
    "DecodeFunction",
    "IndexFunction",
    "PackFunction",
    "claim_check_function",
    "decode_function",
    "decode_guarded",
    "decode_row",
    "index_function",
    "pack_function",
]
