"""`python -m dev.bench.decode`: what an event costs to decode, without Flink.

The taxi trips of the generator by the native decoder and by Python, and the readings of the
example, which are nested, alternating; for each the least CPU time of several rounds: decode
without documents, decode with them, and the lake's rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

from dev.bench.topic import raws
from pipeline.collect.inputs import Inputs
from pipeline.collect.lake_rows import LakeRows
from pipeline.config.model import Job, Native, Source
from pipeline.decode.decoder import Decoder
from pipeline.decode.native import extension
from pipeline.decode.origins import Origins
from pipeline.decode.type_rule import BY_TYPE, TypeRule
from pipeline.events import event_types
from pipeline.options import ROOT

_BATCH: Final = Job().batch_records
_EXAMPLE: Final = ROOT / "examples" / "readings"
_SOURCE: Final = Source(kafka_topics=("any",))
_KEYS: Final = tuple(f"lake/{number}" for number in range(8))


@dataclass(frozen=True)
class Contender:
    """Events, what decodes them, and what makes rows of them."""

    name: str
    raws: list[bytes]
    plain: Decoder
    with_documents: Decoder
    lake: LakeRows

    @property
    def event_bytes(self) -> float:
        """The mean size of an event."""
        return sum(map(len, self.raws)) / len(self.raws)


def contender(
    name: str, found: list[bytes], schemas: Path, rule: TypeRule, native: Native = "off"
) -> Contender:
    """Return a contender with the events that its decoder accepts, as many as a batch has."""
    types = event_types.load(schemas)
    decoder = Decoder(types, type_rule=rule, native=native)
    kinds = decoder.decode_batch(found, origins(len(found))).kind
    events = [raw for raw, kind in zip(found, kinds, strict=True) if kind == "event"]
    return Contender(
        name,
        list(islice(cycle(events), _BATCH)),
        decoder,
        Decoder(types, type_rule=rule, documents=True, native=native),
        LakeRows(types, _SOURCE, _KEYS, keep_unknown=False),
    )


def origins(rows: int) -> Origins:
    """Return origins for types that ask for the order of arrival."""
    return Origins(versions=np.arange(rows))


def works(each: Contender) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the parts that are measured."""
    given = origins(len(each.raws))
    decoded = each.plain.decode_batch(each.raws, given)
    records = inputs(each.raws)
    yield "decode", lambda: each.plain.decode_batch(each.raws, given)
    yield "decode with documents", lambda: each.with_documents.decode_batch(each.raws, given)
    yield "rows of the lake", lambda: list(each.lake.streams(decoded, records))


def inputs(found: list[bytes]) -> Inputs:
    """Return the events as records of a topic."""
    rows = len(found)
    nothing = np.full(rows, None, object)
    position = {
        "topic": np.full(rows, "any", object),
        "partition": np.zeros(rows, np.int64),
        "offset": np.arange(rows),
    }
    arrived = np.full(rows, 1_600_000_000_000)
    return Inputs(np.array(found, object), arrived, nothing, position, nothing)


def main(
    rounds: Annotated[int, typer.Option(min=1, help="The least of so many counts.")] = 15,
) -> None:
    """Measure decoding of flat events, native and in Python, and of nested ones.

    Example: python -m dev.bench.decode --rounds 30
    """
    sample = (_EXAMPLE / "sample.jsonl").read_bytes().splitlines()
    trips, schemas = list(islice(raws(_BATCH), _BATCH)), ROOT / "schemas"
    contenders = [
        contender("trips", trips, schemas, BY_TYPE),
        contender("readings", sample, _EXAMPLE / "schemas", TypeRule("", constant="reading")),
    ]
    if extension("auto"):
        contenders.append(contender("trips, native", trips, schemas, BY_TYPE, "required"))
    parts = [(each, part, run) for each in contenders for part, run in works(each)]
    least: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        for each, part, run in parts:
            began = time.process_time()
            run()
            took = time.process_time() - began
            least[each.name, part] = min(took, least.get((each.name, part), took))
    for each, part, _ in parts:
        micros = least[each.name, part] / len(each.raws) * 1e6
        per_byte = micros / each.event_bytes * 1e3
        print(f"{each.name:13} {part:22} {micros:6.2f} us an event, {per_byte:6.2f} ns a byte")
    ratio = least["readings", "decode"] / least["trips", "decode"]
    sizes = [each.event_bytes for each in contenders[:2]]
    print(f"decode of nested events to flat ones, by byte: {ratio * sizes[0] / sizes[1]:.2f}")


if __name__ == "__main__":
    typer.run(main)
