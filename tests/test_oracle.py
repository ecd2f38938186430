"""The oracle finds damage: each loss, copy and change made here is named, and nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dev.demo.generate import Recipe, generate
from dev.demo.made import EVENT, Made
from tests import oracle
from tests.ops.compact.lakes import GRACE, Lakes
from tests.ops.reconcile import sinks as local
from tests.ops.reconcile.sinks import Record
from tests.oracle import Aspects, Sent, Sink, Sinks, values_of
from tests.oracle_read import Reader, position
from tests.sending import text_of

# Few files, but every reason and every kind of repeat.
MADE = list(
    generate(Recipe(events=200, seed=3, defective=0.2, repeated=0.05, corrected=0.05, stale=0.05))
)
RECORDS = [*local.on_kafka(MADE[::2]), *local.on_kinesis(MADE[1::2])]
SENT = [Sent(text_of(record.position), record.made) for record in RECORDS]
EVENTS = [sent for sent in SENT if sent.made.expect == EVENT]
REJECTS = [sent for sent in SENT if sent.made.is_reject]


class World:
    """A run of which any part may be damaged: archive and lake as files, the others in memory."""

    def __init__(self, root: Path, files: Sinks | None = None) -> None:
        self.files = files
        self.archive, self.lake = root / "archive", root / "lake"
        self.letters = [letter(reject, "decode", reject.made.expect) for reject in REJECTS]
        self.documents = documents()
        self.replica = [(one.position, event(one.made)) for one in EVENTS]
        self.guarantee: dict[str, bool] = {}

    def wrong(self) -> dict[str, list[str]]:
        """Return what the oracle finds."""
        return oracle.judge(SENT, self.sinks()).wrong

    def counts(self) -> dict[str, int]:
        """Return how often it finds what."""
        return {what: len(keys) for what, keys in self.wrong().items()}

    def sinks(self) -> Sinks:
        """Return all sinks; the files are read anew unless they were given as read."""
        files = self.files or read(self.archive, self.lake)
        return Sinks(
            archive=files.archive,
            lake=files.lake,
            dead_letters=Sink(records=self.letters, copies=self.guarantee.get("letters", False)),
            index=Sink(records=[*self.documents.items()]),
            replicas={"some": Sink(records=self.replica, copies="replica" in self.guarantee)},
        )

    def lake_file(self, event_type: str = "trip") -> Path:
        """Return the first file of that type."""
        return sorted((self.lake / event_type).rglob("*.parquet"))[0]

    def archive_file(self) -> Path:
        """Return the file of the first partition."""
        return sorted(self.archive.rglob("*.parquet"))[0]


def read(archive: Path, lake: Path) -> Sinks:
    folders = {"archive": {"path": f"file://{archive}"}, "lake": {"path": f"file://{lake}"}}
    return Reader({}).sinks(folders)


def letter(one: Sent, step: str, reason: str, replica: str = "") -> tuple[str, Aspects]:
    return one.position, {
        "step": step, "reason": reason, "replica": replica, "bytes": one.made.raw,
    }  # fmt: skip


def event(made: Made) -> Aspects:
    return {"key": str(made.trip_id), "values": values_of(json.loads(made.raw or b""))}


def documents() -> dict[str, Aspects]:
    newest = sorted(EVENTS, key=lambda one: one.made.version_ms)
    return {name_of(one.made): document(one.made) for one in newest}


def name_of(made: Made) -> str:
    return f"{made.event_type} {made.trip_id}"


def document(made: Made) -> Aspects:
    return {"version": made.version_ms, "values": event(made)["values"]}


def versions(count: int) -> list[Sent]:
    """Return all events of an id with that many versions, the oldest first."""
    for one in EVENTS:
        same = [each for each in EVENTS if each.made.trip_id == one.made.trip_id]
        if len({each.made.version_ms for each in same}) == count == len(same):
            return sorted(same, key=lambda each: each.made.version_ms)
    raise AssertionError("the recipe makes corrections")


def positions(path: Path, prefix: str = "source_") -> list[str]:
    rows = pq.read_table(path, partitioning=None).to_pylist()
    return sorted(position(row, prefix) for row in rows)


def rewrite(path: Path, name: str, change: Callable[[list[Any]], list[Any]]) -> None:
    """Write the file again with another column."""
    table = pq.read_table(path, partitioning=None)
    number = table.column_names.index(name)
    column = pa.array(change(table.column(name).to_pylist()), table.schema.field(name).type)
    pq.write_table(table.set_column(number, name, column), path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return local.write(RECORDS, tmp_path_factory.mktemp("whole")).root


@pytest.fixture(scope="module")
def files(whole: Path) -> Sinks:
    return read(whole / "archive", whole / "lake")


@pytest.fixture
def held(files: Sinks, tmp_path: Path) -> World:
    """A run whose files are not to be damaged."""
    return World(tmp_path, files)


@pytest.fixture
def world(whole: Path, tmp_path: Path) -> World:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return World(tmp_path)


def test_a_faultless_run_has_no_problems(world: World) -> None:
    verdict = oracle.judge(SENT, world.sinks())
    assert verdict.problems() == []
    assert verdict.counts == {
        "archive": len(SENT),
        "lake": len(EVENTS),
        "dead_letters": 40,
        "index": len({name_of(one.made) for one in EVENTS}),
        "replica some": len(EVENTS),
    }


def test_without_what_was_sent_nothing_is_judged(held: World) -> None:
    with pytest.raises(AssertionError, match="nothing was sent"):
        oracle.judge([], held.sinks())
    with pytest.raises(AssertionError, match="given twice"):
        oracle.judge([*SENT, SENT[0]], held.sinks())
    nothing = Sink(records=[])
    found = oracle.judge(SENT, Sinks(archive=nothing, lake=nothing, index=nothing))
    assert {name: len(keys) for name, keys in found.wrong.items()} == {
        "archive missing": len(SENT),
        "lake missing": len(EVENTS),
        "index missing": len(held.documents),
    }


def test_a_lost_lake_file_is_named_by_its_positions(world: World) -> None:
    lost = positions(world.lake_file())
    world.lake_file().unlink()
    assert world.wrong() == {"lake missing": lost}


def test_a_copied_lake_file_is_doubled(world: World) -> None:
    path = world.lake_file()
    shutil.copy(path, path.with_name("part-copy.parquet"))
    assert world.wrong() == {"lake doubled": positions(path)}


@pytest.mark.parametrize(
    "folder",
    [
        "trip/pickup_location=002/year=2018/month=03",
        "green_trip/pickup_location=001/year=2017/month=12",
        "trip/pickup_location=2/year=2018/month=01",
        "odd",
    ],
)
def test_a_lake_file_in_another_folder_is_misplaced(world: World, folder: str) -> None:
    path = world.lake_file()
    moved = positions(path)
    elsewhere = world.lake / folder / "part-moved.parquet"
    elsewhere.parent.mkdir(parents=True, exist_ok=True)
    path.rename(elsewhere)
    assert world.wrong() == {"lake folder": moved}


@pytest.mark.parametrize(
    ("name", "value"),
    [("tip_amount", 99.0), ("tip_amount", None), ("dropoff_datetime", 1), ("type", "Trip")],
)
def test_one_altered_value_in_the_lake_is_found(world: World, name: str, value: object) -> None:
    rewrite(world.lake_file(), name, lambda values: [value, *values[1:]])
    assert world.counts() == {"lake values": 1}


def test_rows_of_no_event_are_unexpected(world: World) -> None:
    path = world.lake_file()
    count = len(positions(path))
    column = "source_offset" if "trips/" in positions(path)[0] else "source_sequence_number"
    rewrite(path, column, lambda values: [type(values[0])(10**9 + i) for i in range(count)])
    assert world.counts() == {"lake missing": count, "lake unexpected": count}


def test_a_reject_in_the_lake_is_unexpected(held: World) -> None:
    sinks = held.sinks()
    assert sinks.lake is not None
    stray = (REJECTS[0].position, {"values": {}, "folder": "trip"})
    more = replace(sinks, lake=Sink(records=[*sinks.lake.records, stray]))
    assert oracle.judge(SENT, more).wrong == {"lake unexpected": [REJECTS[0].position]}


def test_hidden_files_do_not_count_and_broken_ones_fail(world: World) -> None:
    path = world.lake_file()
    path.with_name("_SUCCESS").write_bytes(b"")
    path.with_name(".part.inprogress").write_bytes(b"half")
    assert world.wrong() == {}
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(pa.ArrowInvalid):
        world.wrong()


def test_altered_bytes_in_the_archive_are_found(world: World) -> None:
    path = world.archive_file()
    rewrite(path, "raw", lambda values: [b"{}", *values[1:]])
    assert world.counts() == {"archive bytes": 1}


def test_a_tombstone_and_no_bytes_are_not_the_same(world: World) -> None:
    one = next(reject for reject in REJECTS if not reject.made.raw)
    for path in world.archive.rglob("*.parquet"):
        at = [position(row) for row in pq.read_table(path, partitioning=None).to_pylist()]
        if one.position in at:
            number, other = at.index(one.position), b"" if one.made.raw is None else None
            rewrite(path, "raw", lambda v: [*v[:number], other, *v[number + 1 :]])  # noqa: B023
    assert world.wrong() == {"archive bytes": [one.position]}


def test_an_archived_record_that_is_lost_doubled_or_misfiled_is_found(world: World) -> None:
    path = world.archive_file()
    table = pq.read_table(path, partitioning=None)
    first, second = (position(row) for row in table.slice(0, 2).to_pylist())
    pq.write_table(pa.concat_tables([table.slice(1), table.slice(1, 1)]), path)
    assert world.wrong() == {"archive missing": [first], "archive doubled": [second]}
    pq.write_table(table, path)
    hour = path.parent.with_name("arrival_hour=06")
    hour.mkdir()
    path.rename(hour / path.name)
    assert world.counts() == {"archive hour": len(table)}


def test_a_lost_document_is_named(held: World) -> None:
    lost = next(iter(held.documents))
    del held.documents[lost]
    assert held.wrong() == {"index missing": [lost]}


def test_a_document_of_an_older_version_is_named(held: World) -> None:
    old, new = versions(2)
    held.documents[name_of(new.made)] = document(old.made)
    assert held.counts() == {"index version": 1, "index values": 1}
    held.documents[name_of(new.made)] = {**document(old.made), "version": new.made.version_ms}
    assert held.wrong() == {"index values": [name_of(new.made)]}


@pytest.mark.parametrize("change", [{"fare_amount": True}, {"pickup_datetime": 1}, {"more": 1}])
def test_one_altered_value_in_the_index_is_found(held: World, change: dict[str, Any]) -> None:
    name = next(each for each in held.documents if each.startswith("trip"))
    one = held.documents[name]
    held.documents[name] = {**one, "values": values_of({**one["values"], **change})}
    assert held.wrong() == {"index values": [name]}


def test_documents_of_no_event_are_unexpected(held: World) -> None:
    one = next(iter(held.documents.values()))
    held.documents |= {"trip no-number": one, "trip 007": one}
    assert held.counts() == {"index unexpected": 2}


def test_a_lost_dead_letter_is_named(held: World) -> None:
    lost, _ = held.letters.pop(7)
    assert held.wrong() == {"dead_letters missing": [f"{lost} decode"]}


def test_a_dead_letter_with_another_reason_other_bytes_or_step_is_found(held: World) -> None:
    at, one = held.letters[3]
    for aspect, value in {"reason": "internal_error", "bytes": b"{}"}.items():
        held.letters[3] = at, {**one, aspect: value}
        assert held.wrong() == {f"dead_letters {aspect}": [f"{at} decode"]}
    held.letters[3] = at, {**one, "step": "lake"}
    assert held.counts() == {"dead_letters missing": 1, "dead_letters unexpected": 1}


def test_a_doubled_dead_letter_is_an_error_unless_copies_are_allowed(held: World) -> None:
    held.letters.append(held.letters[0])
    assert held.counts() == {"dead_letters doubled": 1}
    held.guarantee["letters"] = True
    assert held.wrong() == {}


def test_a_valid_event_among_the_dead_letters_of_decode_is_unexpected(held: World) -> None:
    held.letters.append(letter(EVENTS[0], "decode", "wrong_type"))
    assert held.counts() == {"dead_letters unexpected": 1}


def test_an_event_that_the_index_refused_is_accounted_for(held: World) -> None:
    (one,) = versions(1)
    held.letters.append(letter(one, "index", "index_unavailable"))
    assert held.wrong() == {}  # A request that timed out may have been carried out all the same.
    del held.documents[name_of(one.made)]
    assert held.wrong() == {}
    at, about = held.letters[-1]
    held.letters[-1] = at, {**about, "bytes": b"{}"}
    assert held.counts() == {"dead_letters bytes": 1}


def test_a_refused_newest_version_leaves_the_older_one(held: World) -> None:
    old, new = versions(2)
    held.letters.append(letter(new, "index", "index_rejected"))
    assert held.wrong() == {}
    held.documents[name_of(old.made)] = document(old.made)
    assert held.wrong() == {}
    del held.documents[name_of(old.made)]
    assert held.counts() == {"index missing": 1}


@pytest.fixture(params=[True, False], ids=["positions", "values"])
def placed(request: pytest.FixtureRequest, held: World) -> bool:
    """Whether the replica tells positions; in a stream it does not."""
    if not request.param:
        held.replica = [("", one) for _, one in held.replica]
    return bool(request.param)


def test_a_replicas_order_does_not_matter(held: World, placed: bool) -> None:
    held.replica.reverse()
    assert held.wrong() == {}


def test_a_lost_event_is_missing_even_if_it_is_one_of_two_repeats(
    held: World, placed: bool
) -> None:
    values = [one["values"] for _, one in held.replica]
    del held.replica[next(n for n, one in enumerate(values) if values.count(one) > 1)]
    assert held.counts() == {"replica some missing": 1}


def test_a_second_copy_in_a_replica_is_an_error_unless_allowed(held: World, placed: bool) -> None:
    held.replica.append(held.replica[3])
    assert held.counts() == {"replica some doubled": 1}
    held.guarantee["replica"] = True
    assert held.wrong() == {}


def test_what_the_filter_stops_is_unexpected(held: World, placed: bool) -> None:
    filters = {"some": lambda one: one.position != EVENTS[5].position}
    wrong = oracle.judge(SENT, held.sinks(), filters).wrong
    assert {what: len(keys) for what, keys in wrong.items()} == {"replica some unexpected": 1}


def test_an_altered_event_or_key_in_a_replica_is_found(held: World) -> None:
    at, one = held.replica[0]
    held.replica[0] = at, {**one, "values": held.replica[1][1]["values"]}
    assert held.wrong() == {"replica some values": [at]}
    held.replica[0] = at, {**one, "key": "trip"}
    assert held.wrong() == {"replica some key": [at]}


def test_an_event_too_large_for_one_replica_may_be_missing_from_that_alone(held: World) -> None:
    held.letters.append(letter(EVENTS[0], "replicate", "replica_too_large", "some"))
    assert held.wrong() == {}
    del held.replica[0]
    assert held.wrong() == {}
    held.letters[-1] = letter(EVENTS[0], "replicate", "replica_too_large", "other")
    assert held.counts() == {"replica some missing": 1}


@pytest.mark.parametrize("damage", ["", "none there", "other bytes", "another record's", "twice"])
def test_a_large_record_is_what_its_pointer_leads_to(tmp_path: Path, damage: str) -> None:
    one, other = [r for r in RECORDS if len(r.made.raw or b"") > 100][:2]
    raw = one.made.raw or b""
    found = {
        "": [one],
        "none there": [],
        "other bytes": [Record(other.made, one.position)],
        "another record's": [other],
        "twice": [one, one],
    }
    if found[damage]:
        pq.write_table(local.archive_table(found[damage]), tmp_path / "part-0.parquet")
    about = {
        **one.position._asdict(),
        "full_record": f"file://{tmp_path}",
        "raw_bytes": str(len(raw)),
        "sha256": hashlib.sha256(raw).hexdigest(),
    }
    assert (Reader({}).whole(raw[:10], about) == raw) == (damage == "")


def test_a_compacted_lake_is_as_it_was(tmp_path: Path) -> None:
    local.write(RECORDS, tmp_path, events_a_file=1)
    world = World(tmp_path)
    lakes = Lakes(f"file://{world.lake}")
    report = lakes.run()
    assert report.merged_files > 5
    assert world.wrong() == {}
    lakes.later = GRACE
    assert lakes.run(clean=True).deleted_files == report.replaced_files
    assert world.wrong() == {}
    merged = next((world.lake / "_compacted").rglob("*.parquet"))
    lost = positions(merged)
    shutil.copy(merged, world.lake / "trip" / "part-copy.parquet")
    assert set(lost) == set(world.wrong()["lake doubled"])
