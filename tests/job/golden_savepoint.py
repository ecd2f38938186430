"""The golden savepoint: a small job's savepoint and files, kept to be restored by later versions.

`python -m tests.job.golden_savepoint` makes that of the present version, on servers of its own. Do
so once for each release, and keep those of earlier ones.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from connectors.flink.rest import wait_for
from connectors.s3.store import open_store
from dev.demo.generate import Recipe, generate
from dev.demo.made import Made
from dev.servers.kafka import create_topics
from dev.servers.layout import ALL_SERVERS
from dev.servers.stack import Stack
from pipeline import __version__
from tests.job.harness import PATIENCE_SECONDS, Harness

ROOT: Final = Path(__file__).parents[2]
GOLDEN: Final = ROOT / "tests" / "data" / "golden"
# Its first records have a reject among them and no green trip: a transaction that is open in the
# savepoint could not be committed in another Kafka.
_RECIPE: Final = Recipe(events=16, seed=1, defective=0.05, watermarks=1)
# As long as transactions may be; all records are collected long before.
_NEVER_HERE: Final = 300
EARLIER: Final = ("0.1.0", "0.2.0")
"""Versions whose savepoints later ones refuse."""
_FOLDERS: Final = ("archive", "lake", "dead-letters", "savepoints")


def name(version: str) -> str:
    """Of the job, its topic and its bucket: the state of sources and sinks names them."""
    return f"golden-{version.replace('.', '-')}"


def folder(version: str) -> Path:
    """Where the bucket of that version's job is kept."""
    return GOLDEN / f"savepoint-{version}"


def restored() -> list[str]:
    """All versions that are kept and whose savepoints must be restored."""
    kept = {each.name.removeprefix("savepoint-") for each in GOLDEN.glob("savepoint-*")}
    return sorted(kept.difference(EARLIER))


def records(version: str) -> list[Made]:
    """What was sent before the savepoint was taken."""
    return msgspec.json.decode((folder(version) / "records.json").read_bytes(), type=list[Made])


def harness(stack: Stack, where: Path, version: str, **sections: dict[str, Any]) -> Harness:
    """The job of the golden savepoint: every sink on S3, and a replica by transactions.

    `sections` are merged over it.
    """
    servers, own = stack.environment()["KAFKA_BOOTSTRAP_SERVERS"], name(version)
    create_topics(servers, source=f"{own}-replica", dead_letters=None, partitions=1)
    green = {"kafka_topic": f"{own}-replica", "event_types": ["green_trip"]}
    return Harness(
        stack=stack,
        name=own,
        folder=where,
        partitions=1,
        overrides={
            **sections,
            "dead_letters": {
                "path": f"s3a://{own}/dead-letters",
                **sections.get("dead_letters", {}),
            },
            "index": None,
            "replicate": {"green": green},
            "job": {"parallelism": 1, **sections.get("job", {})},
        },
    )


def upload(running: Harness, version: str) -> str:
    """Put the kept bucket in the place of the harness's; says where the savepoint is."""
    kept, bucket = folder(version), f"s3a://{running.name}"
    store = open_store(bucket, running.stack.environment())
    for path in (each for part in _FOLDERS for each in (kept / part).rglob("*")):
        if path.is_file():
            store.write(str(path.relative_to(kept)), path.read_bytes())
    (metadata,) = kept.glob("savepoints/*/_metadata")
    return f"{bucket}/{metadata.parent.relative_to(kept)}"


def make(stack: Stack, where: Path) -> None:
    """Run the job so that the savepoint has rows that wait for a file, of every step."""
    sent = list(generate(_RECIPE))
    late = {"file_seconds": _NEVER_HERE}
    sections = dict.fromkeys(("archive", "lake", "dead_letters"), late)
    sections["job"] = {"checkpoint_seconds": _NEVER_HERE}
    with harness(stack, where, __version__, **sections) as running:
        running.produce(sent)
        running.start(by_command=True)
        cluster = running.submitted.cluster
        wait_for(
            lambda: cluster.step_metrics().get("archive.in", 0) >= len(sent),
            PATIENCE_SECONDS,
            "the records were not collected",
        )
        running.stop()
    kept = folder(__version__)
    shutil.rmtree(kept, ignore_errors=True)
    bucket = stack.run_dir / "s3" / "data" / running.name
    for part in filter(lambda part: (bucket / part).exists(), _FOLDERS):
        shutil.copytree(bucket / part, kept / part)
    (kept / "records.json").write_bytes(msgspec.json.encode(sent))


def main() -> None:
    """Make the golden savepoint of this version."""
    where = Path(tempfile.mkdtemp())
    made = Stack(ROOT, run_dir=where / "stack", free_ports=True, servers=ALL_SERVERS)
    try:
        with made.running(print) as stack:
            make(stack, where)
    finally:
        shutil.rmtree(where)


if __name__ == "__main__":
    main()
