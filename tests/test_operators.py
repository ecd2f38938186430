"""The glue: a fault of ours becomes one dead letter; only known metrics can be counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import metrics
from pipeline.event_types import load
from pipeline.operators import StepMetrics, _millis, _plain, decode_guarded
from pipeline.steps.decode import Decoded, Decoder
from pipeline.steps.reasons import REASONS

ROOT = Path(__file__).parent.parent
DECODER = Decoder(load(ROOT / "schemas"), documents=True)


def faulty(raws: Sequence[bytes | None]) -> Decoded:
    if any(raw == b"boom" for raw in raws):
        raise ZeroDivisionError("with a value of the record in it")
    return DECODER.decode_batch(raws)


def test_a_fault_of_ours_rejects_only_the_record_that_met_it() -> None:
    raws = [b"{}", b"boom", None, b"[]", b"boom"]
    decoded = decode_guarded(faulty, raws)
    assert decoded.reason.tolist() == [
        DECODER.decode_batch([b"{}"]).reason[0],
        "internal_error",
        "empty_payload",
        "not_an_object",
        "internal_error",
    ]
    assert decoded.detail[1] == "decode failed with ZeroDivisionError"
    assert all(len(values) == len(raws) for values in decoded.columns.values())


class Group:
    """Flink's metric group, as far as we use it."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add_group(self, *names: str) -> Group:
        return self

    def counter(self, name: str) -> Counter:
        return Counter(self.counts, name)


class Counter:
    def __init__(self, counts: dict[str, int], name: str) -> None:
        self.counts, self.name = counts, name
        counts[name] = 0

    def inc(self, by: int) -> None:
        self.counts[self.name] += by


@pytest.mark.parametrize("step", ["decode", "index"])
def test_every_reason_has_its_counter(step: str) -> None:
    known = metrics.names(step)
    for reason in REASONS.values():
        assert (f"rejected_{reason.code}" in known) == (reason.step == step)


def test_lag_is_sorted_into_buckets() -> None:
    group = Group()
    StepMetrics("decode", group).lag(np.array([1000, 990, 0]), 1001)
    counted = {name: count for name, count in group.counts.items() if count}
    assert counted == {"lag_le_25": 2, "lag_le_1500": 1, "lag_ms": 1 + 11 + 1001}


def test_an_unknown_metric_cannot_be_counted() -> None:
    with pytest.raises(KeyError):
        StepMetrics("decode", Group()).count("no_such_metric")


def test_timestamps_become_millis() -> None:
    times = np.array(["2018-01-01T00:00:00.001", "NaT"], dtype="datetime64[ms]")
    assert _plain(times).tolist() == [1514764800001, None]
    assert _plain(times[:1]).tolist() == [1514764800001]
    arrival = pd.Series(pd.to_datetime(["2018-01-01T00:00:00.001Z"], utc=True))
    assert _millis(arrival).tolist() == [1514764800001]
