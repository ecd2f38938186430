"""Index rows by their position in the source, and select those to judge.

A partition or shard has a number in the table `parts`; 0 means no known position. Within it, a row
is identified by `number`: on Kafka its offset; on Kinesis 63 bits of a hash of the sequence number,
which is too long for an integer and is kept beside it in `sequence`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from pipeline.ops.reconcile.coverage import Bounds
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.options import DIGITS, Interval, Part

_NUMBER: Final = f"[0-9]{{1,{DIGITS}}}"
_LAST_OFFSET: Final = 2**63 - 1
_NOWHERE: Final = ("", -1, "")
_TABLES: Final = """
CREATE TABLE parts (part INTEGER, source VARCHAR, partition INTEGER, shard VARCHAR);
CREATE TABLE judged (
    part INTEGER, source VARCHAR, partition INTEGER, shard VARCHAR,
    first_number BIGINT, last_number BIGINT, first_sequence VARCHAR, last_sequence VARCHAR
);
CREATE TABLE held (
    source VARCHAR, partition INTEGER, shard VARCHAR, first_number BIGINT, first_sequence VARCHAR
);
"""
_RANGES: Final = """
WITH positions AS (SELECT DISTINCT part, number, sequence FROM ({relation})),
runs AS (
    SELECT part, sequence, min(number) AS first, max(number) AS last
    FROM (
        SELECT *, CASE WHEN sequence IS NULL
            THEN number - row_number() OVER (PARTITION BY part, sequence IS NULL ORDER BY number)
            ELSE number END AS run
        FROM positions
    )
    GROUP BY part, sequence, run
)
SELECT CASE
    WHEN part = 0 THEN 'a row without a known position'
    WHEN sequence IS NOT NULL THEN source || '/' || shard || '@' || sequence
    WHEN first = last THEN source || '/' || partition || '@' || first
    ELSE source || '/' || partition || '@' || first || '..' || last END
FROM runs JOIN parts USING (part)
ORDER BY part = 0, shard <> '', source, partition, shard, {ordered}, first
"""


def ordered(sequence: str) -> str:
    """Return SQL for a sequence number as a text that compares like the number."""
    return f"lpad({sequence}, {DIGITS}, '0')"


def placed(columns: Collection[str], prefix: str = "") -> str:
    """Return SQL for the columns source, partition, shard, number and sequence of a row.

    They are derived from topic, partition and offset, or stream, shard and sequence_number, where
    they are in `columns` with `prefix` before their names.
    """

    def column(name: str, kind: str) -> str:
        return f'TRY_CAST("{prefix}{name}" AS {kind})' if prefix + name in columns else "NULL"

    topic, stream = column("topic", "VARCHAR"), column("stream", "VARCHAR")
    partition, offset = column("partition", "INTEGER"), column("offset", "BIGINT")
    shard, sequence = column("shard", "VARCHAR"), column("sequence_number", "VARCHAR")
    kafka = f"{stream} IS NULL AND {topic} <> '' AND {partition} >= 0 AND {offset} >= 0"
    kinesis = f"{stream} <> '' AND {shard} <> '' AND regexp_full_match({sequence}, '{_NUMBER}')"
    if stream == "NULL":
        kinesis = "false"
    return f"""
    CASE WHEN {kafka} THEN {topic} WHEN {kinesis} THEN {stream} ELSE '' END AS source,
    CASE WHEN {kafka} THEN {partition} ELSE -1 END::INTEGER AS partition,
    CASE WHEN {kinesis} THEN {shard} ELSE '' END AS shard,
    CASE WHEN {kafka} THEN {offset} WHEN {kinesis} THEN (hash({sequence}) >> 1)::BIGINT
        ELSE -1 END::BIGINT AS number,
    CASE WHEN {kinesis} THEN {sequence} END::VARCHAR AS sequence"""


def is_held() -> str:
    """Return SQL for whether the source retains a row that is joined with `held` AS h."""
    return f"""coalesce(CASE WHEN sequence IS NULL THEN number >= h.first_number
        ELSE {ordered("sequence")} >= h.first_sequence END, false)"""


class PositionIndex:
    """The known partitions and shards; rows within the bounds are judged."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bounds = Bounds(parts={}, whole=True, open_shards=True)
        database.run(_TABLES)

    def judge(self, bounds: Bounds) -> None:
        """Set what is judged; call it before `put`."""
        self._bounds = bounds
        self._add(_NOWHERE, [(-1, -1)] if bounds.whole else [])

    def put(self, into: str, columns: str, where: str = "true") -> int:
        """Add the judged rows of the table `page` to another table; return how many.

        `columns` is SQL for what follows part, number and sequence there. `page` must have source,
        partition, shard, number, sequence and arrival_ms.
        """
        new = self._database.rows(
            "SELECT DISTINCT source, partition, shard FROM page"
            " ANTI JOIN parts USING (source, partition, shard) ORDER BY ALL"
        )
        for source, partition, shard in new:
            part = (source, partition, shard)
            self._add(part, self._bounds.of(part))
        return self._database.run(
            f"""
            INSERT INTO {into} SELECT part, number, sequence, {columns}
            FROM page JOIN judged USING (source, partition, shard)
            WHERE CASE WHEN sequence IS NULL THEN number BETWEEN first_number AND last_number
                ELSE {ordered("sequence")} BETWEEN first_sequence AND last_sequence END
            AND {self._in_time()} AND ({where})
            """
        )

    def note_retained(self, retained: Iterable[tuple[Part, int]]) -> None:
        """Note the first position that the source retains of each partition or shard."""
        for part, first in retained:
            row = [*part, min(first, _LAST_OFFSET), _padded(first)]
            self._database.run("INSERT INTO held VALUES (?, ?, ?, ?, ?)", row)

    def names(self, relation: str, most: int | None = None) -> list[str]:
        """Name the positions in a relation with part, number and sequence: trips/0@5..9.

        They ascend; consecutive positions are one range. `most` limits the number of names.
        """
        limit = "" if most is None else f" LIMIT {most}"
        sql = _RANGES.format(relation=relation, ordered=ordered("sequence"))
        return [name for (name,) in self._database.rows(sql + limit)]

    def _add(self, part: Part, intervals: list[Interval]) -> None:
        number = self._database.size("parts")
        self._database.run("INSERT INTO parts VALUES (?, ?, ?, ?)", [number, *part])
        for interval in intervals:
            limits = [*(min(end, _LAST_OFFSET) for end in interval), *map(_padded, interval)]
            row = [number, *part, *limits]
            self._database.run("INSERT INTO judged VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _in_time(self) -> str:
        since, until = self._bounds.since, self._bounds.until
        # A row without an arrival time sorts before all times.
        return ("true" if since is None else f"arrival_ms >= {since}") + (
            "" if until is None else f" AND (arrival_ms < {until} OR arrival_ms IS NULL)"
        )


def _padded(position: int) -> str:
    return str(position).zfill(DIGITS)
