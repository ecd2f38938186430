"""`python -m dev.bench.headers`: what the list of a record's headers costs when reading Kafka.

A Java consumer reads topics of records with 0, 1 and 5 headers from a broker on this machine, in
turn without the interceptor, with it, and with the lists unpacked. Flink has no part in it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from confluent_kafka import Producer

from dev.servers.kafka import create_topics
from dev.servers.setup import setup
from dev.servers.stack import Stack

ROOT = Path(__file__).parents[2]
_PROGRAM = Path(__file__).with_name("Consume.java")
_VALUE = b"v" * 400
_COUNTS = (0, 1, 5)


def main(
    records: Annotated[int, typer.Option(help="In each topic.", min=1_000)] = 500_000,
    rounds: Annotated[int, typer.Option(help="Of each mode.", min=1)] = 7,
) -> None:
    """Measure against a Kafka broker on this machine."""
    cache = setup(ROOT, say=typer.echo, servers=("kafka",))
    # The functions' base class is Flink's.
    flink = cache.flink_home / "lib" / "*"
    path = f"{cache.connectors_jar}:{flink}:{cache.jars('kafka')}/*"
    with tempfile.TemporaryDirectory(prefix="headers-bench-") as name:
        made = Stack(ROOT, run_dir=Path(name), free_ports=True, servers=("kafka",))
        with made.running(typer.echo) as stack:
            brokers = stack.environment()["KAFKA_BOOTSTRAP_SERVERS"]
            for count in _COUNTS:
                fill(brokers, f"headers-{count}", records, count)
                figures = {"headers": count, "load": os.getloadavg()[0]}
                typer.echo(json.dumps(figures | measure(path, brokers, f"headers-{count}", rounds)))


def fill(brokers: str, topic: str, records: int, count: int) -> None:
    """Write records with as many headers of 12 bytes."""
    create_topics(brokers, source=topic, dead_letters=None, partitions=1)
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 20})
    headers: Any = [(f"h{number:03}", b"12345678") for number in range(count)] or None
    for _ in range(records):
        while True:
            try:
                producer.produce(topic, _VALUE, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(120) == 0


def measure(path: str, brokers: str, topic: str, rounds: int) -> dict[str, Any]:
    """Return the CPU nanoseconds per record of each mode: the median, and all rounds."""
    command = ["java", "-Xmx1g", "-cp", path, str(_PROGRAM), brokers, topic, str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    modes = {}
    for line in filter(str.strip, done.stdout.splitlines()):
        mode, *nanos = line.split()
        modes[mode] = list(map(int, nanos))
    return {mode: {"median": statistics.median(all_), "all": all_} for mode, all_ in modes.items()}


if __name__ == "__main__":
    typer.run(main)
