"""`python -m dev.bench.index`: our bulk indexing beside opensearch-py's own `parallel_bulk`.

The same trips, with the same ids and versions, into indices with the same mapping on one real node,
alternating, in another order each round; documents are counted before a figure counts.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Annotated, Any, Final

import typer
from opensearchpy import OpenSearch
from opensearchpy.helpers import parallel_bulk

from connectors.opensearch import client as opensearch
from connectors.opensearch.bulk import Document, Done, Limits
from connectors.opensearch.options import Index
from connectors.opensearch.templates import ensure_templates
from dev.bench.contenders import running
from dev.bench.topic import raws
from pipeline.config.model import Job
from pipeline.decode.decoder import Decoder
from pipeline.events import event_types
from pipeline.events.derive import mapping
from pipeline.index.indexer import Indexer, RetryPolicy
from pipeline.options import ROOT

_BATCH: Final = Job().batch_records
Load = Callable[[Index, list[Document]], None]


def documents(count: int) -> list[Document]:
    """Return trips as the decode step hands them to the index step."""
    decoder = Decoder(event_types.load(ROOT / "schemas"), documents=True)
    docs: list[Document] = []
    payloads = raws(count)
    while block := list(islice(payloads, _BATCH)):
        decoded = decoder.decode_batch(block)
        columns = zip(decoded.document_id, decoded.document_version, decoded.document, strict=True)
        docs += [Document("trip", key, int(version), body) for key, version, body in columns]
    return docs


def ours(tasks: int) -> Load:
    """Return our load with several tasks, here threads, each with its part."""

    def load(settings: Index, docs: list[Document]) -> None:
        parts = [docs[number::tasks] for number in range(tasks)]
        with ThreadPoolExecutor(tasks) as pool:
            list(pool.map(partial(task, settings), parts))

    return load


def task(settings: Index, docs: list[Document]) -> None:
    """Run one task: one connection, one Arrow batch per call."""
    index, name = Index(url=settings.url), f"{settings.prefix}trip"
    indexer = Indexer(
        opensearch.bulk_sender(settings),
        limits=Limits(documents=index.max_documents, bytes=index.max_bytes),
        retry=RetryPolicy(),
        clock=time.monotonic,
        sleep=time.sleep,
        random=random.random,
    )
    for start in range(0, len(docs), _BATCH):
        batch = [Document(name, d.id, d.version, d.body) for d in docs[start : start + _BATCH]]
        assert set(indexer.index(batch)) == {Done.INDEXED}


def theirs(threads: int) -> Load:
    """Return a load by `parallel_bulk` with several threads, of documents already in JSON."""

    def load(settings: Index, docs: list[Document]) -> None:
        client = OpenSearch(settings.url, timeout=60, maxsize=threads)
        actions = _actions(f"{settings.prefix}trip", docs)
        options: dict[str, Any] = {"thread_count": threads, "chunk_size": 1000}
        for done, answer in parallel_bulk(client, actions, **options):
            assert done, answer

    return load


def _actions(index: str, docs: list[Document]) -> Iterator[dict[str, Any]]:
    for document in docs:
        yield {
            "_index": index,
            "_id": document.id,
            "version": document.version,
            "version_type": "external_gte",
            "_source": document.body.decode(),
        }


AT_ONCE: Final = (1, 2, 4)
LOADS: Final[dict[str, Load]] = {
    **{f"ours, {number} at once": ours(number) for number in AT_ONCE},
    **{f"parallel_bulk, {number} at once": theirs(number) for number in AT_ONCE},
}


def main(
    count: Annotated[int, typer.Option("--documents", min=1000)] = 100_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure on a fresh node."""
    docs = documents(count)
    with running("opensearch") as stack:
        speeds = measure(stack.environment()["OPENSEARCH_URL"], docs, rounds)
    medians = {name: statistics.median(measured) for name, measured in speeds.items()}
    for number in AT_ONCE:
        ratio = medians[f"ours, {number} at once"] / medians[f"parallel_bulk, {number} at once"]
        typer.echo(f"ours / parallel_bulk, {number} at once: {ratio:.2f}")
    typer.echo(json.dumps({**speeds, "documents": count, "load_after": os.getloadavg()[0]}))


def measure(url: str, docs: list[Document], rounds: int) -> dict[str, list[int]]:
    """Return documents per second of each load and round, after one warm-up round."""
    speeds: dict[str, list[int]] = {name: [] for name in LOADS}
    names = list(LOADS)
    for number in range(-1, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            speed = run_load(url, f"r{number + 1}-{names.index(name)}-", docs, LOADS[name])
            if number >= 0:
                speeds[name].append(speed)
                typer.echo(f"round {number + 1} {name}: {speed:,} documents/s")
    return speeds


def run_load(url: str, prefix: str, docs: list[Document], load: Load) -> int:
    """Run one load into its own index."""
    settings = Index(url=url, prefix=prefix, replicas=0, refresh_interval="1s")
    trip = event_types.load(ROOT / "schemas")["trip"]
    client = OpenSearch(url, timeout=60)
    ensure_templates(client, {"trip": mapping(trip)}, settings)
    began = time.monotonic()
    load(settings, docs)
    seconds = time.monotonic() - began
    client.indices.refresh(index=f"{prefix}trip")
    assert client.count(index=f"{prefix}trip")["count"] == len(docs)
    client.indices.delete(index=f"{prefix}trip")
    return round(len(docs) / seconds)


if __name__ == "__main__":
    typer.run(main)
