"""Redriving to a Kafka topic: exactly once, whatever happens."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from connectors.errors import UserError
from connectors.flink.rest import wait_for
from pipeline.decode.redriven import Mark, sign
from pipeline.ops.dead_letters.redrive_log import log_topic
from pipeline.ops.dead_letters.senders import TOO_LARGE
from tests.ops.dead_letters.harness import (
    REDRIVE_KEY,
    BackEnd,
    Case,
    DeadRecord,
    Servers,
    many,
)

ALL: list[BackEnd] = ["s3", "kafka", "kinesis"]
PATIENCE = 60.0


@pytest.mark.parametrize("back_end", ALL)
def test_exact_bytes_go_back_once(servers: Servers, back_end: BackEnd) -> None:
    case = servers.case(back_end)
    odd = bytes(range(256))
    letters = [
        DeadRecord(raw=odd, key=b"\xff\x00", position=case.position(1, 2), reason="invalid_utf8"),
        DeadRecord(raw=None, key=b"gone", position=case.position(2), reason="empty_payload"),
        DeadRecord(raw=b"", position=case.position(3), reason="empty_payload"),
        DeadRecord(raw=b"{}", position=case.position(4), step="index", reason="index_unavailable"),
        DeadRecord(
            raw=b"{}",
            position=case.position(4),
            step="replicate",
            reason="replica_too_large",
            detail="replica airport: 1234567 bytes",
        ),
    ]
    case.write([*letters, letters[0]])
    report = case.json("redrive", "--all")
    assert (report["selected"], report["redriven"], report["copies"]) == (5, 5, 1)

    found = {
        (record.headers["redrive_step"], record.headers["redrive_position"]): record
        for record in case.records()
    }
    assert len(found) == 5
    for letter in letters:
        position = "/".join(map(str, letter.position[:3]))
        record = found[letter.step, position]
        assert (record.raw, record.key) == (letter.raw, letter.key)
        assert record.partition == letter.position.partition
        added = {}
        if letter.step != "decode":
            mark = Mark(position, letter.step, "airport" if letter.step == "replicate" else "")
            signature = sign(REDRIVE_KEY, mark, letter.sha256)
            added = {"redrive_replica": mark.replica, "redrive_signature": signature}
        assert record.headers == {
            "redrive_step": letter.step,
            "redrive_position": position,
            **added,
        }

    again = case.json("redrive", "--all")
    assert (again["redriven"], again["already_redriven"]) == (0, 5)
    assert len(case.records()) == 5


def test_without_a_key_only_what_decode_rejected_goes_back(servers: Servers) -> None:
    case = servers.case("kafka")
    without = case.config()
    del without["dead_letters"]["redrive_key"]
    case.configure(without)
    refused = DeadRecord(raw=b"{}", position=case.position(1), step="index", reason="index_missing")
    case.write([refused, *many(case, 2)])
    for options in ((), ("--dry-run",)):
        with pytest.raises(UserError, match=f"redrive_key is not set.*{case.name}/0/1") as caught:
            case.json("redrive", "--all", *options, exit_code=1)
        assert "to the step index" in str(caught.value)
        assert "--step decode" in str(caught.value)
    assert case.records() == []
    assert case.json("redrive", "--step", "decode")["redriven"] == 2
    case.configure(case.config())
    report = case.json("redrive", "--all")
    assert (report["redriven"], report["already_redriven"]) == (1, 2)


@pytest.mark.parametrize("back_end", ALL)
def test_the_record_s_own_headers_go_back_in_order(servers: Servers, back_end: BackEnd) -> None:
    case = servers.case(back_end)
    own = (("a", b"1"), ("b", None), ("a", b"\xff"), ("", b""), ("step", b"x"), ("a", None))
    forged = (("redrive_step", b"index"), ("redrive_replica", b"airport"))
    case.write([DeadRecord(raw=b"0", position=case.position(0))])
    case.write(
        [
            DeadRecord(raw=b"1", position=case.position(1), headers=own),
            DeadRecord(raw=b"2", position=case.position(2), headers=(*forged, *own)),
            DeadRecord(raw=b"3" * 5_000, position=case.position(3), headers=own)
            if back_end == "s3"
            else DeadRecord(
                raw=b"3" * 5_000, position=case.position(3), headers=own, is_large=True
            ),
        ]
    )
    assert case.json("redrive", "--all")["redriven"] == 4
    ours = {"redrive_step", "redrive_position"}
    for record in case.records():
        assert {name for name, _ in record.pairs[-2:]} == ours
        assert record.pairs[:-2] == (() if record.raw == b"0" else own)
        assert record.headers["redrive_step"] == "decode"


def test_a_record_that_fits_without_its_headers_only_is_told(servers: Servers) -> None:
    case = servers.case("s3")
    half = Random(13).randbytes(600_000)  # Compression makes nothing of it smaller.
    letter = DeadRecord(raw=half, position=case.position(1), headers=(("a", half[::-1]),))
    case.write([letter, DeadRecord(raw=b"{", position=case.position(2))])
    report = case.json("redrive", "--all", exit_code=1)
    assert report["redriven"] == 1
    assert list(report["cannot_be_redriven"]) == [TOO_LARGE]


def test_one_that_fails_again_may_be_redriven_anew(servers: Servers) -> None:
    case = servers.case("kafka")
    case.write([DeadRecord(raw=b"{", position=case.position(1))])
    case.json("redrive", "--all")
    case.write([DeadRecord(raw=b"{", position=case.position(77))])
    report = case.json("redrive", "--all")
    assert (report["redriven"], report["already_redriven"]) == (1, 1)


def test_filters_limit_and_dry_run(servers: Servers) -> None:
    case = servers.case("s3")
    case.write(many(case, 50))
    case.write([DeadRecord(raw=b"x", position=case.position(99), reason="invalid_json")])

    dry = case.json("redrive", "--reason", "wrong_type", "--dry-run")
    assert dry["would_redrive"] == 50
    assert dry["by_target"] == {f"the topic {case.name}": 50}
    assert dry["by_reason"] == [{"step": "decode", "reason": "wrong_type", "count": 50}]
    assert case.records() == []
    assert log_topic(case.name) not in topics(servers)

    hours = ("--since", "2026-03-01T06:30:00Z", "--until", "2026-03-01T08:30:00+00:00")
    assert case.json("redrive", *hours, "--dry-run")["would_redrive"] == 20
    assert case.json("redrive", "--partition", f"{case.name}/2", "--limit", "7")["redriven"] == 7
    assert {record.partition for record in case.records()} == {2}
    assert case.json("redrive", "--reason", "invalid_json", "--step", "decode")["redriven"] == 1
    assert case.json("redrive", "--type", "green_trip")["selected"] == 0
    assert case.json("redrive", "--all")["redriven"] == 43
    assert Counter(record.key for record in case.records()).most_common(1)[0][1] == 1


def test_without_a_filter_it_asks_for_all(servers: Servers) -> None:
    result = servers.case("kafka").run("redrive")
    assert isinstance(result.exception, UserError)
    assert "--all" in str(result.exception)


@pytest.mark.parametrize(("answer", "redriven", "exit_code"), [(b"n\n", 0, 1), (b"y\n", 3, 0)])
def test_on_a_terminal_it_asks(
    servers: Servers, answer: bytes, redriven: int, exit_code: int
) -> None:
    case = servers.case("s3")
    case.write(many(case, 3))
    ours, theirs = os.openpty()
    try:
        os.write(ours, answer)
        program = [sys.executable, "-c", "from pipeline.cli import main; main()", *command(case)]
        environment = {**os.environ, **servers.environment}
        ended = subprocess.run(
            program, env=environment, stdin=theirs, capture_output=True, timeout=PATIENCE
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert ended.returncode == exit_code, ended.stderr
    assert b"3 of 3 would be redriven" in ended.stdout
    assert len(case.records()) == redriven


def test_what_cannot_be_redriven_is_counted(servers: Servers) -> None:
    case = servers.case("kafka")
    elsewhere = case.position(1)._replace(topic="another")
    no_such = "replica nowhere: 1234567 bytes"
    case.write(
        [
            DeadRecord(raw=b"{}", position=elsewhere),
            DeadRecord(raw=b"{}", position=case.position(2), step="replicate", detail=no_such),
            DeadRecord(raw=b"{}", position=case.position(3)),
        ]
    )
    report = case.json("redrive", "--all", exit_code=1)
    assert report["redriven"] == 1
    assert report["cannot_be_redriven"] == {
        "not a source of this configuration": {"count": 1, "samples": ["another/0/1"]},
        "this configuration has no such replica": {
            "count": 1,
            "samples": [f"{case.name}/0/2"],
        },
    }
    plain = case.run("redrive", "--all")
    assert plain.exit_code == 1
    assert "1 already redriven" in plain.output
    assert "cannot be redriven: not a source of this configuration; another/0/1" in plain.output


@pytest.mark.parametrize("back_end", ["kafka", "kinesis"])
def test_large_ones_go_back_whole(servers: Servers, back_end: BackEnd) -> None:
    case = servers.case(back_end)
    whole = DeadRecord(
        raw=b"w" * 50_000, key=b"k", position=case.position(1), step="index", is_large=True
    )
    absent = DeadRecord(raw=b"a" * 50_000, position=case.position(2), is_large=True)
    wrong = DeadRecord(raw=b"r" * 50_000, position=case.position(3), is_large=True)
    case.write([whole, absent, wrong])
    for one, content in ((absent, None), (wrong, b"q" * 50_000)):
        case.replace_whole(one, content)
    report = case.json("redrive", "--all", exit_code=1)
    assert {why: one["count"] for why, one in report["cannot_be_redriven"].items()} == {
        "its whole record is not on S3": 1,
        "its whole record on S3 differs from it in length or SHA-256": 1,
    }
    [record] = case.records()
    assert (record.raw, record.key) == (whole.raw, whole.key)
    signature = sign(REDRIVE_KEY, Mark(f"{case.name}/0/1", "index"), whole.sha256)
    assert record.headers["redrive_signature"] == signature, "of the whole, not of the head"


def test_one_too_large_for_the_topic_holds_up_nothing(servers: Servers) -> None:
    case = servers.case("s3")
    limit(servers, case.name, 10_000)
    tight = bytes(range(256)) * 38  # fits, but near enough to the limit to go alone
    random = b"".join(hash_of(number) for number in range(400))  # doesn't, even compressed
    raws = [b"{}", random, tight, b"[]"]
    case.write([DeadRecord(raw=raw, position=case.position(n)) for n, raw in enumerate(raws)])
    report = case.json("redrive", "--all", exit_code=1)
    assert report["cannot_be_redriven"] == {
        TOO_LARGE: {"count": 1, "samples": [f"{case.name}/0/1"]}
    }
    assert {record.raw for record in case.records()} == {b"{}", tight, b"[]"}
    assert case.json("redrive", "--all", exit_code=1)["already_redriven"] == 3


def test_killed_between_sending_and_committing(servers: Servers) -> None:
    case = servers.case("kafka")
    case.write(many(case, 300))
    program = (
        "import os, sys\n"
        "from connectors.kafka.transactions import TransactionalProducer\n"
        "assert TransactionalProducer._commit\n"
        "TransactionalProducer._commit = lambda self: os.kill(os.getpid(), 9)\n"
        "from pipeline.cli import main\n"
        "main()\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, *command(case)], timeout=PATIENCE)
    assert killed.returncode == -signal.SIGKILL
    assert case.json("redrive", "--all")["redriven"] == 300
    assert exactly_once(case) == 300


def test_killed_in_the_middle(servers: Servers) -> None:
    case = servers.case("kafka")
    case.write(many(case, 3_000))
    for enough in (1, 1_000):
        with started(case, "--rate", "400") as running:
            wait_for(partial(holds, case, enough), PATIENCE, "nothing was redriven", every=0.05)
            running.send_signal(signal.SIGKILL)
            assert running.wait(PATIENCE) == -signal.SIGKILL
    report = case.json("redrive", "--all")
    assert 1_000 <= report["already_redriven"] < 3_000
    assert report["redriven"] + report["already_redriven"] == 3_000
    assert exactly_once(case) == 3_000


def test_of_two_at_once_the_earlier_is_fenced_off(servers: Servers) -> None:
    case = servers.case("kafka")
    case.write(many(case, 400))
    with started(case, "--rate", "20") as earlier:
        wait_for(partial(holds, case, 1), PATIENCE, "nothing was redriven", every=0.05)
        report = case.json("redrive", "--all")
        _, message = earlier.communicate(timeout=PATIENCE)
    assert earlier.returncode == 2, message
    assert f"another redrive of the topic {case.name} started and took over" in message
    assert report["redriven"] + report["already_redriven"] == 400
    assert exactly_once(case) == 400


def test_a_redrive_log_that_is_not_compacted_is_refused(servers: Servers) -> None:
    case = servers.case("kafka")
    case.write(many(case, 1))
    asked = [NewTopic(log_topic(case.name), 1, config={"cleanup.policy": "delete"})]
    client = admin(servers)
    client.create_topics(asked)[log_topic(case.name)].result()
    result = case.run("redrive", "--all")
    assert isinstance(result.exception, UserError)
    assert "cleanup.policy=delete" in str(result.exception)
    assert case.records() == []


def command(case: Case, *options: str) -> list[str]:
    return ["dead-letters", "redrive", "--all", "--config", str(case.config_path), *options]


@contextmanager
def started(case: Case, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A redrive as a process of its own."""
    program = "from pipeline.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, *command(case, *options)],
        env={**os.environ, **case.servers.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def holds(case: Case, records: int) -> bool:
    return len(case.records()) >= records


def exactly_once(case: Case) -> int:
    """How many records a committed reader finds; each dead letter at most once."""
    positions = [record.headers["redrive_position"] for record in case.records()]
    assert len(positions) == len(set(positions))
    return len(positions)


def admin(servers: Servers) -> AdminClient:
    return AdminClient({"bootstrap.servers": servers.kafka.bootstrap_servers})


def topics(servers: Servers) -> set[str]:
    return set(admin(servers).list_topics(timeout=10).topics)


def limit(servers: Servers, topic: str, largest: int) -> None:
    entry = ConfigEntry(
        "max.message.bytes", str(largest), incremental_operation=AlterConfigOpType.SET
    )
    asked = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    client = admin(servers)
    client.incremental_alter_configs([asked])[asked].result()


def hash_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()
