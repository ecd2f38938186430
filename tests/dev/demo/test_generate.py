"""The historical data set: the same for the same seed, realistic, and wrong where it says so."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from dev.demo import defects
from dev.demo.generate import Recipe, generate
from dev.demo.made import CONTROL, EVENT, Made
from pipeline.decode.decoder import Control, Decoder, Reject
from pipeline.decode.reasons import REASONS
from pipeline.decode.timestamps import parse
from pipeline.events.event_types import load

RECIPE = Recipe(events=30_000, seed=7)
SCHEMAS = Path(__file__).parents[3] / "schemas"


@pytest.fixture(scope="module")
def made() -> list[Made]:
    return list(generate(RECIPE))


@pytest.fixture(scope="module")
def events(made: list[Made]) -> list[Made]:
    return [one for one in made if one.expect == EVENT]


def fingerprint(recipe: Recipe) -> str:
    whole = hashlib.sha256()
    for one in generate(recipe):
        whole.update(repr(one).encode())
    return whole.hexdigest()


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_others() -> None:
    small = Recipe(events=2_000, seed=1)
    assert fingerprint(small) == fingerprint(small)
    assert fingerprint(small) != fingerprint(Recipe(events=2_000, seed=2))


def test_a_thousand_records_are_there_before_the_last_is_made() -> None:
    first = list(itertools.islice(generate(Recipe(events=100_000_000)), 1_000))
    assert len(first) == 1_000


def test_one_percent_is_defective(made: list[Made]) -> None:
    wrong = [one for one in made if one.expect not in (EVENT, CONTROL)]
    assert len(wrong) == RECIPE.events // 100


def test_every_reason_of_decode_occurs_at_least_twenty_times_in_the_default_set() -> None:
    plan = defects.Plan(np.random.default_rng(1), 200_000, 0.01)
    counts = Counter(defect.reason for defect in plan.between(0, 200_000))
    of_decode = {reason.code for reason in REASONS.values() if reason.step == "decode"}
    # A bug of ours, what the schemas of trips cannot have: a text or too many for a partition; and
    # the faults of Avro.
    assert counts.keys() == of_decode - {
        *("internal_error", "invalid_partition", "too_many_partitions", "invalid_base64"),
        *("avro_magic", "avro_unknown_schema", "avro_undecodable"),
    }
    assert min(counts.values()) >= 20
    assert counts[defects.TOO_LARGE] == 20


def test_the_decoder_sees_the_records_as_the_generator_meant_them(made: list[Made]) -> None:
    decoder = Decoder(load(SCHEMAS))
    differing = [
        (one.expect, outcome)
        for number, one in enumerate(made)
        if (one.expect != EVENT or number % 20 == 0)
        and (outcome := judged(decoder, one)) != (one.expect, one.event_type)
    ]
    assert differing == []


def judged(decoder: Decoder, one: Made) -> tuple[str, str]:
    outcome = decoder.decode(one.raw)
    if isinstance(outcome, Reject):
        return outcome.reason, ""
    return (CONTROL, "") if isinstance(outcome, Control) else (EVENT, outcome.event_type)


def test_all_zones_occur_and_some_are_far_more_popular(events: list[Made]) -> None:
    zones = Counter(event.pickup_location_id for event in events)
    assert sorted(zones) == list(range(1, 266))
    counts = sorted(zones.values())
    assert counts[-1] > 20 * counts[len(counts) // 2]


def test_the_types_have_their_shares(events: list[Made]) -> None:
    types = Counter(event.event_type for event in events)
    shares = {name: round(count / len(events), 2) for name, count in types.items()}
    assert shares == pytest.approx({"trip": 0.55, "green_trip": 0.15, "fhv_trip": 0.30}, abs=0.02)


def test_pickups_lie_in_the_three_months_and_before_their_dropoffs(events: list[Made]) -> None:
    first = datetime(2017, 12, 1, tzinfo=UTC).timestamp() * 1000
    end = datetime(2018, 3, 1, tzinfo=UTC).timestamp() * 1000
    assert all(first <= event.pickup_ms < min(end, event.version_ms) for event in events)
    months = {
        datetime.fromtimestamp(event.pickup_ms / 1000, UTC).strftime("%Y-%m") for event in events
    }
    assert months == {"2017-12", "2018-01", "2018-02"}


def test_first_versions_come_in_order_of_dropoff() -> None:
    plain = Recipe(events=25_000, defective=0, repeated=0, corrected=0, stale=0, watermarks=0)
    versions = [one.version_ms for one in generate(plain)]
    assert len(versions) == 25_000
    assert versions == sorted(versions)


def test_nights_are_calm(events: list[Made]) -> None:
    hours = Counter(datetime.fromtimestamp(event.version_ms / 1000, UTC).hour for event in events)
    assert hours[4] * 3 < hours[18]


def test_fares_follow_the_distance(events: list[Made]) -> None:
    rows = [json.loads(event.raw or b"") for event in events if event.event_type == "trip"]
    distance = [row["trip_distance"] for row in rows]
    fare = [row["fare_amount"] for row in rows]
    assert np.corrcoef(distance, fare)[0, 1] > 0.9


def test_repeats_corrections_and_stale_versions_occur(events: list[Made]) -> None:
    versions: dict[int, list[int]] = defaultdict(list)
    for event in events:
        versions[event.trip_id].append(event.version_ms)
    again = [version for version in versions.values() if len(version) > 1]
    kinds = Counter((found[1] > found[0]) - (found[1] < found[0]) for found in again)
    for kind, share in ((0, 0.0025), (1, 0.0025), (-1, 0.002)):
        assert kinds[kind] == pytest.approx(share * RECIPE.events, rel=0.4)


def test_all_versions_of_an_id_have_its_key(events: list[Made]) -> None:
    assert all(event.key == str(event.trip_id).encode() for event in events)


def test_the_facts_are_those_of_the_bytes(events: list[Made]) -> None:
    some = events[::50]
    rows = [json.loads(one.raw or b"") for one in some]
    assert [row["trip_id"] for row in rows] == [one.trip_id for one in some]
    assert [row["type"] for row in rows] == [one.event_type for one in some]
    assert [row["pickup_location_id"] for row in rows] == [one.pickup_location_id for one in some]
    assert [parse(row["pickup_datetime"]) for row in rows] == [one.pickup_ms for one in some]
    assert [parse(row["dropoff_datetime"]) for row in rows] == [one.version_ms for one in some]


@pytest.mark.parametrize("reason", sorted(set(defects.DEFECTS) - {defects.TOO_LARGE}))
def test_whatever_is_drawn_a_defect_is_rejected_for_its_reason(
    reason: str, events: list[Made]
) -> None:
    types, damage = defects.DEFECTS[reason]
    decoder = Decoder(load(SCHEMAS))
    for name in types:
        row = next(json.loads(one.raw or b"") for one in events if one.event_type == name)
        for seed in range(200):
            rejected = decoder.decode(damage(row, random.Random(seed)))
            assert isinstance(rejected, Reject), (name, seed)
            assert rejected.reason == reason, (name, seed)


def test_over_large_records_fit_the_broker(made: list[Made]) -> None:
    sizes = [len(one.raw or b"") for one in made if one.expect == defects.TOO_LARGE]
    assert sizes
    assert all(1_000_000 < size < 1_048_000 for size in sizes)


def test_tombstones_are_among_the_empty_payloads(made: list[Made]) -> None:
    empty = {one.raw for one in made if one.expect == "empty_payload"}
    assert {None, b""} <= empty


def test_watermarks_are_control_events(made: list[Made]) -> None:
    marks = [json.loads(one.raw or b"") for one in made if one.expect == CONTROL]
    assert len(marks) == RECIPE.watermarks
    assert all(mark["type"] == "watermark" for mark in marks)
    times = [mark["watermark"] for mark in marks]
    assert times == sorted(times)
