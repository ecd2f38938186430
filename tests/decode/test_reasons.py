"""The table of reasons: complete, and written for a reader."""

from __future__ import annotations

import re

from pipeline.decode.reasons import REASONS


def test_codes_are_names_and_texts_are_sentences() -> None:
    for code, reason in REASONS.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", code) and code == reason.code
        assert reason.step in ("decode", "index", "replicate")
        assert reason.meaning.endswith(".") and reason.action.endswith(".")
