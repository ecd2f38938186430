"""A bound on open partitions: further ones are rejects, those that are open go on."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.decode.decoder import Decoded
from pipeline.decode.origins import Origins
from pipeline.decode.partition_limit import PartitionLimit
from pipeline.operators.decode import decode_guarded
from tests.decode.corpus import DECODER, line


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def reasons(limit: PartitionLimit, *places: int) -> list[str | None]:
    raws = [line(pickup_location_id=place) for place in places]
    decoded = DECODER.decode_batch([*raws, b"{}"])
    limit.apply(decoded)
    found: list[str | None] = decoded.reason.tolist()
    assert found.pop() == "missing_field"
    kept = [reason is None for reason in found]
    assert [kind == "event" for kind in decoded.kind[:-1]] == kept
    assert [place >= 0 for place in decoded.partition[:-1]] == kept
    assert [document is not None for document in decoded.document[:-1]] == kept
    assert [bool(id_) for id_ in decoded.document_id[:-1]] == kept
    return found


def test_events_of_further_partitions_are_rejects_until_the_window_ends() -> None:
    clock = Clock()
    limit = PartitionLimit(3, seconds=60, clock=clock)
    refused = "too_many_partitions"
    assert reasons(limit, 1, 2, 1) == [None, None, None]
    assert reasons(limit, 5, 1, 7, 5) == [None, None, refused, None]
    assert reasons(limit, 2, 9, 7) == [None, refused, refused]
    clock.now += 60
    assert reasons(limit, 7, 8, 9, 1) == [None, None, refused, None]


def test_redriven_rows_need_no_partition() -> None:
    limit = PartitionLimit(1, seconds=60, clock=Clock())
    decoded = DECODER.decode_batch([line(pickup_location_id=place) for place in (1, 2, 3)])
    limit.apply(decoded, redriven=[0, 2])
    assert decoded.reason.tolist() == [None] * 3
    assert reasons(limit, 1, 2) == ["too_many_partitions", None]


def test_a_batch_that_was_divided_counts_each_partition_once() -> None:
    def divided(raws: Sequence[bytes | None], origins: Origins) -> Decoded:
        if len(raws) > 2:
            raise ValueError
        return DECODER.decode_batch(raws, origins)

    raws = [line(pickup_location_id=place) for place in (2, 1, 1, 3)]
    decoded = decode_guarded(divided, raws)
    assert [decoded.partitions[place].split("/")[1][-1] for place in decoded.partition] == [*"2113"]
    PartitionLimit(3, seconds=60, clock=Clock()).apply(decoded)
    assert decoded.reason.tolist() == [None] * 4


def test_the_detail_says_what_to_change_and_shows_no_value() -> None:
    limit = PartitionLimit(1, seconds=60, clock=Clock())
    decoded = DECODER.decode_batch([line(pickup_location_id=place) for place in (41, 42)])
    limit.apply(decoded)
    (detail,) = [text for text in decoded.detail if text]
    assert "lake.max_partitions" in detail and "60 seconds" in detail
    assert "41" not in detail and "42" not in detail
