"""Only who has the key can mark a record as redriven, and only that record."""

from __future__ import annotations

import hashlib

import pytest

from pipeline.decode.columns import objects
from pipeline.decode.redriven import (
    HEADERS,
    Mark,
    content_digest,
    packed,
    sign,
    verdict,
    verify,
)

KEY = "k" * 32
MARK = Mark("trips/0/7", "replicate", "airport")
RAW = b'{"type":"trip"}'
SHA256 = hashlib.sha256(RAW).hexdigest()


def signed(mark: Mark = MARK, raw: bytes | None = RAW, key: str = KEY) -> str:
    return marked(mark, sign(key, mark, content_digest(raw)))


def marked(mark: Mark, signature: str) -> str:
    """The mark as the headers of a record carry it."""
    text = packed((mark.step, mark.position, mark.replica, signature))
    assert text is not None
    return text


def test_a_signature_is_good_for_its_record_alone() -> None:
    signature = sign(KEY, MARK, SHA256)
    assert verdict(KEY, marked(MARK, signature), SHA256) == "genuine"
    for other in (
        MARK._replace(step="index"),
        MARK._replace(position="trips/0/8"),
        MARK._replace(replica="all"),
        MARK._replace(replica=""),
        Mark("trips/0/7replicate", "", "airport"),
        Mark("trips/0/7", "replicate airport", ""),
        Mark("trips/0/7", "", "replicate airport"),
    ):
        assert verdict(KEY, marked(other, signature), SHA256) == "forged"
    assert verdict(KEY, signed(), content_digest(RAW + b" ")) == "forged"
    assert verdict("k" * 33, signed(), SHA256) == "forged"


def test_no_two_marks_give_the_same_message() -> None:
    ambiguous = [Mark("a", "bc"), Mark("ab", "c"), Mark("a", "b", "c"), Mark("", "abc")]
    assert len({sign(KEY, mark, SHA256) for mark in ambiguous}) == len(ambiguous)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "x",
        "\u00e9",
        "\ufffd",
        "0" * 64,
        sign(KEY, MARK, SHA256).upper(),
        sign("", MARK, SHA256),
    ],
)
def test_what_the_key_did_not_sign_is_forged(signature: str) -> None:
    assert verdict(KEY, marked(MARK, signature), SHA256) == "forged"
    assert verdict("", marked(MARK, signature), SHA256) == "forged"


@pytest.mark.parametrize("mark", ["   ", "index", "index   ", "x" * 100_000, " " * 100_000])
def test_headers_in_any_other_form_are_forged(mark: str) -> None:
    assert verdict(KEY, mark, SHA256) == "forged"


@pytest.mark.parametrize("mark", ["decode trips/0/7  ", "decode", "decode   x"])
def test_the_step_decode_needs_no_signature(mark: str) -> None:
    assert verdict("", mark, SHA256) == verdict(KEY, mark, SHA256) == "none"


def test_a_record_without_a_step_has_no_mark() -> None:
    assert packed([None] * len(HEADERS)) is None
    assert packed((None, "trips/0/7", "airport", "x")) is None
    assert packed(("", None, None, None)) == "   "


def test_a_batch_keeps_its_rows() -> None:
    index = Mark("trips/0/7", "index")
    marks = [None, signed(), signed(index, None), signed(raw=b"other"), "decode   ", "  "]
    found = verify(KEY, objects([*marks, None]), [RAW, RAW, None, RAW, RAW, None, None])
    assert {row: mark[1:] for row, mark in found.marks.items()} == {
        1: ("replicate", "airport"),
        2: ("index", ""),
    }
    assert found.forged == 2
    nothing = verify("", objects(marks), [RAW, RAW, None, RAW, RAW, None])
    assert nothing == ({}, 4)
    assert verify(KEY, objects([]), []).forged == 0
