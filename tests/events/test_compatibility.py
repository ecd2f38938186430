"""Which changes of a schema old files, archived records and old readers bear."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pytest
from typer.testing import CliRunner

from connectors.errors import UserError
from pipeline.cli import app
from pipeline.events.compatibility import changes
from pipeline.events.event_types import EventTypes, load

SCHEMAS = Path(__file__).parents[2] / "schemas" / "released"
TRIP: dict[str, Any] = json.loads((SCHEMAS / "trip.avsc").read_text())
NULLABLE = {"name": "surcharge", "type": ["null", "double"], "default": None, "doc": "In dollars."}
Edit = Callable[[dict[str, Any]], object]


def field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in schema["fields"] if each["name"] == name)
    return found


def changed(folder: Path, *edits: Edit, version: int = 2) -> EventTypes:
    """The schema of trips, edited, alone in the folder."""
    schema = copy.deepcopy(TRIP)
    schema["version"] = version
    for edit in edits:
        edit(schema)
    (folder / "trip.avsc").write_text(json.dumps(schema))
    return load(folder)


def of(name: str, /, **properties: Any) -> Edit:
    """Change properties of a field; those changed to `...` are left out."""

    def edit(schema: dict[str, Any]) -> None:
        declared = field(schema, name)
        declared.update(properties)
        for key in [key for key, value in properties.items() if value is ...]:
            del declared[key]

    return edit


def without(name: str, key: str) -> Edit:
    return lambda schema: field(schema, name).pop(key)


def adding(declared: dict[str, Any]) -> Edit:
    return lambda schema: schema["fields"].append(declared)


BASE = (of("vendor_id", default=1), adding({**NULLABLE, "name": "known"}))


@pytest.fixture
def old(tmp_path: Path) -> EventTypes:
    (tmp_path / "old").mkdir()
    return changed(tmp_path / "old", *BASE, version=1)


def told(old: EventTypes, new: EventTypes) -> tuple[list[str], list[str]]:
    """What is allowed and what is refused."""
    found = list(changes(old, new))
    return (
        [str(each) for each in found if not each.refused],
        [str(each) for each in found if each.refused],
    )


ALLOWED: list[tuple[Edit, str]] = [
    (adding(NULLABLE), "trip.surcharge: added"),
    (adding({**NULLABLE, "type": "string", "default": ""}), "trip.surcharge: added"),
    (of("extra", maximum=2000000), "extra: maximum was 1000000, is 2000000"),
    (of("extra", minimum=-2000000), "extra: minimum was"),
    (of("padding", maxLength=2000000), "padding: max_length was 1000000, is 2000000"),
    (of("store_and_fwd_flag", enum=["Y", "N", "U"]), "enum was ['Y', 'N'], is"),
    (without("store_and_fwd_flag", "enum"), "enum was ['Y', 'N'], is []"),
    (without("extra", "minimum"), "extra: minimum was -1000000, is -9007199254740992"),
    (of("mta_tax", default=0.5), "mta_tax: may be left out"),
    (of("extra", type=["null", "double"]), "extra: may be null"),
    (of("pickup_datetime", minimum="2000-01-01T00:00:00Z"), "minimum was none, is 2000-01-01T"),
    (of("pickup_datetime", maximum="2200-01-01T00:00:00Z"), "maximum was none, is 2200-01-01T"),
]


@pytest.mark.parametrize(("edit", "what"), ALLOWED)
def test_what_is_allowed(tmp_path: Path, old: EventTypes, edit: Edit, what: str) -> None:
    allowed, refused = told(old, changed(tmp_path, *BASE, edit))
    assert refused == []
    assert len(allowed) == 1 and what in allowed[0]


def sample(declared: Any) -> Any:
    """A value of the type of a field, which may be null too."""
    kinds = declared if isinstance(declared, list) else [declared]
    (kind,) = [each for each in kinds if each != "null"]
    return {"string": "Y", "double": 0.5}.get(str(kind), 1)


@pytest.mark.parametrize("edit", [edit for edit, _ in ALLOWED])
def test_avro_resolves_old_records_with_what_is_allowed(tmp_path: Path, edit: Edit) -> None:
    for part in ("old", "new"):
        (tmp_path / part).mkdir()
    changed(tmp_path / "old", *BASE, version=1)
    changed(tmp_path / "new", *BASE, edit)
    old, new = (
        fastavro.parse_schema(json.loads((tmp_path / part / "trip.avsc").read_text()))
        for part in ("old", "new")
    )
    record = {each["name"]: sample(each["type"]) for each in TRIP["fields"]}
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, old, {**record, "known": None})
    buffer.seek(0)
    read = fastavro.schemaless_reader(buffer, old, new)
    assert isinstance(read, dict)
    assert read["trip_id"] == 1
    assert set(read) == {each["name"] for each in new["fields"]}  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda schema: schema["fields"].remove(field(schema, "extra")), "trip.extra: removed"),
        (of("extra", name="extras"), "trip.extra: removed"),
        (adding({"name": "vat", "type": "double", "doc": "Tax."}), "vat: added; archived records"),
        (adding({"name": "vat", "type": ["null", "double"], "doc": "Tax."}), "vat: added"),
        (of("passenger_count", type="long"), "type was int32, is int64; Avro would read int32 as"),
        (of("vendor_id", name="Vendor"), "trip.vendor_id: removed"),
        (of("store_and_fwd_flag", type="bytes", enum=...), "type was string, is bytes; files of"),
        (lambda schema: schema.pop("versionTime"), "version_time was dropoff_datetime, is nothing"),
        (lambda schema: schema.pop("id"), "id was trip_id, is nothing"),
        (
            lambda schema: schema.update(id=["trip_id", "type"]),
            "id was trip_id, is trip_id, type",
        ),
        (
            lambda schema: field(schema, "pickup_datetime")["type"].update(
                logicalType="timestamp-micros"
            ),
            "pickup_datetime: unit was ms, is us; files of two types",
        ),
        (
            of("pickup_datetime", wire="epoch-millis"),
            "wire was iso-8601, is epoch-millis;",
        ),
        (
            of("pickup_datetime", minimum="2010-01-01T00:00:00Z"),
            "minimum was none, is 2010-01-01T00:00:00.000Z; archived records",
        ),
        (
            of("pickup_datetime", maximum="2010-01-01T00:00:00Z"),
            "maximum was none, is 2010-01-01T00:00:00.000Z; archived records",
        ),
        (of("known", type="double", default=0.0), "known: may no longer be null"),
        (without("vendor_id", "default"), "vendor_id: may no longer be left out"),
        (of("vendor_id", default=2), "vendor_id: default was 1, is 2"),
        (of("extra", maximum=10), "extra: maximum was 1000000, is 10"),
        (of("extra", minimum=0), "extra: minimum was -1000000, is 0"),
        (of("padding", maxLength=10), "padding: max_length was 1000000, is 10"),
        (of("store_and_fwd_flag", enum=["Y"]), "enum was ['Y', 'N'], is ['Y']"),
        (of("store_and_fwd_flag", pattern="[YN]"), "pattern was None, is '[YN]'"),
        (of("vendor_id", aliases=["vendor"]), "vendor_id: aliases lost ['VendorID']"),
        (lambda schema: schema["partitionBy"].pop(), "partition_by was pickup_location=identity("),
        (lambda schema: schema.update(eventTime="dropoff_datetime"), "event_time was"),
        (lambda schema: schema.update(versionTime="pickup_datetime"), "version_time was"),
    ],
)
def test_what_is_refused(tmp_path: Path, old: EventTypes, edit: Edit, what: str) -> None:
    _, refused = told(old, changed(tmp_path, *BASE, edit))
    assert any(what in each for each in refused), refused


def test_wording_is_no_change(tmp_path: Path, old: EventTypes) -> None:
    new = changed(tmp_path, *BASE, of("extra", doc="In other words."), version=1)
    assert list(changes(old, new)) == []


@pytest.mark.parametrize("version", [1, 2])
def test_a_change_needs_a_new_version(tmp_path: Path, old: EventTypes, version: int) -> None:
    _, refused = told(old, changed(tmp_path, *BASE, adding(NULLABLE), version=version))
    expected = "trip: version was 1, is 1; rows of two schemas would carry one version"
    assert [each[: len(expected)] for each in refused] == ([expected] if version == 1 else [])


def test_an_event_type_may_be_added_and_not_removed_or_renamed(tmp_path: Path) -> None:
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    whole = load(SCHEMAS)
    changed(fewer, version=TRIP["version"])
    (fewer / "trip.mapping.json").write_bytes((SCHEMAS / "trip.mapping.json").read_bytes())
    trips = load(fewer)
    assert told(trips, whole) == (["fhv_trip: added", "green_trip: added"], [])
    _, refused = told(whole, trips)
    assert [each.partition(";")[0] for each in refused] == [
        "fhv_trip: removed",
        "green_trip: removed",
    ]


def test_a_new_event_type_may_not_take_a_column_from_another(tmp_path: Path) -> None:
    old = changed(tmp_path, version=1)
    other = copy.deepcopy(TRIP) | {"eventType": "atrip"}
    field(other, "type").update(enum=["atrip"])
    other["fields"].remove(field(other, "extra"))
    other["fields"].append({"name": "extra", "type": "string", "doc": "Something else."})
    (tmp_path / "atrip.avsc").write_text(json.dumps(other))
    _, refused = told(old, load(tmp_path))
    assert "trip.extra: column was extra, is extra__trip" in refused[0]


def test_a_definition_in_the_index_may_not_change(tmp_path: Path, old: EventTypes) -> None:
    override = {"properties": {"extra": {"type": "float"}}}
    (tmp_path / "trip.mapping.json").write_text(json.dumps(override))
    _, refused = told(old, changed(tmp_path, *BASE))
    assert refused == [
        "trip: mapping: extra is {'type': 'double'}, must be {'type': 'float'};"
        " an index cannot change it; reindex under another index.prefix"
    ]


def test_our_own_schemas_may_replace_the_released_ones() -> None:
    result = CliRunner().invoke(app, ["schemas", "check", "--json"])
    assert (result.exit_code, json.loads(result.stdout)["fine"]) == (0, True), result.stdout


def test_the_command_names_what_it_refuses_and_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / "released").mkdir()
    changed(tmp_path / "released", version=1)
    changed(tmp_path, adding(NULLABLE), of("extra", type="long"), version=2)
    result = CliRunner().invoke(app, ["schemas", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert "refused  trip.extra: type was double, is int64" in result.stdout
    assert "allowed  trip.surcharge: added" in result.stdout
    told = CliRunner().invoke(app, ["schemas", "check", str(tmp_path), "--json"])
    assert json.loads(told.stdout)["fine"] is False


def test_schemas_without_those_before_are_the_users_error(tmp_path: Path) -> None:
    changed(tmp_path)
    with pytest.raises(UserError, match=r"released is no folder; give the folder"):
        CliRunner().invoke(app, ["schemas", "check", str(tmp_path)], catch_exceptions=False)
