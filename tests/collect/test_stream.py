"""Streams come out of a cell as they went in, and say of themselves what closing needs."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from connectors.arrow import read_stream
from pipeline.collect.stream import FOLDER, ORDER, Stream, encode, pack, row_count, unpack

STREAMS = st.lists(st.builds(Stream, st.text(max_size=20), st.binary(max_size=50)), max_size=5)


@given(STREAMS)
def test_a_cell_holds_its_streams_in_order(streams: list[Stream]) -> None:
    cell = pack(streams)
    assert (unpack(cell) if cell else []) == streams


def test_no_stream_is_no_cell() -> None:
    assert pack([]) is None


def test_a_cell_has_big_endian_lengths_before_key_and_data() -> None:
    assert pack([Stream("é/1", b"abc")]) == b"\0\0\0\4\xc3\xa9/1\0\0\0\3abc"


def test_a_stream_describes_itself() -> None:
    batch = pa.record_batch([pa.array([3, None], pa.int64())], names=["offset"])
    folders = pa.array(["trip/a", "trip/b"]).dictionary_encode()
    data = encode(batch, folders, ["pickup_datetime", "offset"])
    read = read_stream(data)
    assert read.to_pydict() == {"offset": [3, None], FOLDER: ["trip/a", "trip/b"]}
    assert read.schema.metadata[ORDER] == b"pickup_datetime,offset"
    assert row_count(data) == 2
