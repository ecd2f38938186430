"""What is sent: real events of few zones, their older versions, and those of the next version."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dev.rehearse.load import FIELD, in_busy_zones, older, upgraded_schema, with_field
from pipeline import validate
from pipeline.config.load import check
from pipeline.events import event_types
from pipeline.events.compatibility import changes
from pipeline.events.event_types import EventTypes
from pipeline.ops.generate.trips import trips
from pipeline.ops.generate.write import write_lines
from tests.deploy.stacks import ROOT

EVENT = (
    b'{"trip_id":1,"type":"trip","pickup_location_id":7,'
    b'"pickup_datetime":"2018-01-01T00:00:00.000Z","dropoff_datetime":"2018-01-01T00:10:00.000Z"}'
)

CONFIG = {
    "kinesis": {"region": "eu-west-1"},
    "source": {"kinesis_streams": ["trips"]},
    "lake": {"path": "s3a://bucket/lake"},
    "archive": {"path": "s3a://bucket/archive"},
}


def test_only_the_busiest_zones_are_taken_in_order() -> None:
    lines = [b'{"pickup_location_id":%d}' % zone for zone in range(20) for _ in range(zone)]
    taken = [json.loads(line)["pickup_location_id"] for line in in_busy_zones(lines)]
    assert taken == [zone for zone in range(14, 20) for _ in range(zone)]


def test_an_older_version_differs_in_its_version_s_time_alone() -> None:
    before, after = json.loads(EVENT), json.loads(older(EVENT))
    assert after.pop("dropoff_datetime") == "2018-01-01T00:09:59.000+00:00"
    del before["dropoff_datetime"]
    assert after == before


def test_only_yellow_trips_have_the_new_field() -> None:
    green = EVENT.replace(b'"trip"', b'"green_trip"')
    assert FIELD in json.loads(with_field(EVENT))
    assert with_field(green) == green


@pytest.fixture(scope="module")
def next_schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of schemas that the next version's package has."""
    folder = tmp_path_factory.mktemp("next") / "schemas"
    shutil.copytree(ROOT / "schemas", folder, ignore=shutil.ignore_patterns("__*", "released"))
    path = folder / "trip.avsc"
    path.write_text(upgraded_schema(path.read_text()))
    return folder


def test_the_next_version_is_an_upgrade_that_is_allowed(next_schemas: Path) -> None:
    found = list(changes(event_types.load(ROOT / "schemas"), event_types.load(next_schemas)))
    assert found
    assert [str(each) for each in found if each.refused] == []


def test_every_line_that_is_sent_is_an_event_of_its_version(
    next_schemas: Path, tmp_path: Path
) -> None:
    now, upgraded = (event_types.load(each) for each in (ROOT / "schemas", next_schemas))
    (made,) = write_lines(trips(300), tmp_path)
    lines = made.read_bytes().splitlines()
    assert verdicts([*lines, *map(older, lines)], now) == {"event"}
    newer = [with_field(line) for line in lines]
    assert verdicts(newer, upgraded) == {"event"}
    assert verdicts([line for line in newer if FIELD.encode() in line], now) == {"reject"}


def verdicts(raws: list[bytes], types: EventTypes) -> set[str]:
    """What becomes of them, without repetition."""
    return {
        verdict["verdict"]
        for verdict in validate.verdicts(
            map(validate.Sample, raws), check(CONFIG, where="test"), types
        )
    }
