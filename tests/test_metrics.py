"""Rejects in the log: numbers by reason, nothing of a record."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.metrics import RejectLog


def test_rejects_are_logged_by_reason_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    log = RejectLog("decode", clock=lambda: now)
    log.add(Counter())
    log.add(Counter(not_json=2, unknown_event_type=3))
    log.add(Counter(not_json=1))
    now = 59.9
    log.add(Counter())
    assert caplog.messages == ["decode rejected 5 records: unknown_event_type 3, not_json 2"]
    now = 60.0
    log.add(Counter(not_json=1))
    now = 200.0
    log.add(Counter())
    assert caplog.messages[1:] == ["decode rejected 2 records: not_json 2"]
