"""The claim check: only what is too large is cut, and its hash is that of the whole."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.claim_check import byte_lengths, claim_check
from pipeline.decode.columns import objects

_RAWS = st.lists(st.none() | st.binary(max_size=30))


def test_a_large_record_leaves_its_head_its_length_and_its_hash() -> None:
    checked = claim_check([b"abc", b"abcd", None, b""], max_bytes=3, head_bytes=2)
    assert checked["large"].tolist() == [False, True, False, False]
    assert checked["head"].tolist() == [None, b"ab", None, None]
    assert checked["bytes"].tolist() == [3, 4, 0, 0]
    assert checked["sha256"].tolist() == [
        None,
        "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589",
        None,
        None,
    ]


@given(_RAWS, st.integers(0, 30), st.integers(0, 40))
def test_every_row_says_what_its_record_is(
    raws: list[bytes | None], max_bytes: int, head_bytes: int
) -> None:
    checked = claim_check(raws, max_bytes=max_bytes, head_bytes=head_bytes)
    assert {len(column) for column in checked.values()} == {len(raws)}
    rows = zip(*(checked[name] for name in ("large", "head", "bytes", "sha256")), strict=True)
    for raw, (large, head, length, sha256) in zip(raws, rows, strict=True):
        assert length == len(raw or b"")
        assert large == (length > max_bytes)
        if raw is not None and large:
            assert head == raw[:head_bytes]
            assert sha256 == hashlib.sha256(raw).hexdigest()
        else:
            assert (head, sha256) == (None, None)


@pytest.mark.parametrize("raws", [[], [None], [b"ab", b"cd"], [b"abcd"] * 3])
def test_the_columns_have_their_kinds_and_the_batch_stays_as_it_is(raws: list[bytes]) -> None:
    batch: Any = objects(raws)
    checked = claim_check(batch, max_bytes=3, head_bytes=1)
    assert batch.tolist() == raws
    kinds = {name: column.dtype for name, column in checked.items()}
    assert kinds == {"large": np.bool_, "head": object, "bytes": np.int32, "sha256": object}


def test_lengths() -> None:
    assert byte_lengths([]).tolist() == []
    assert byte_lengths(objects([None, b"", b"\x00ab"])).tolist() == [0, 0, 3]
