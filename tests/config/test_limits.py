"""What no system would accept is refused by the configuration, whole and with its key."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from connectors.errors import UserError
from connectors.options import ALLOWED
from pipeline.config import load as load_config
from pipeline.config.convert import sections
from tests.config.test_config import check

ROOT = Path(__file__).parents[2]
VALID = {
    "bootstrap_servers": "127.0.0.1:9092, [::1]:9093",
    "kafka_topics": "trips",
    "kinesis_streams": "trips",
    "url": "https://host:9200/path",
    "endpoint": "https://host",
    "region": "us-gov-west-1",
    "refresh_interval": "1s",
    "path": "s3a://bucket/a/b",
    "large_path": "file:///a/b",
    "checkpoint_dir": "s3a://bucket/",
    "event_type_by_topic": "trips=trip",
    "event_type_values": "TripEnded=trip",
}
FREE = {"filter"}
"""SQL, which may have several lines."""


def texts() -> Iterator[tuple[str, str, Any]]:
    """Yield section, key and annotation of every key whose value is any text or a list of texts."""
    for name, section in sections().items():
        plain = get_type_hints(section)
        for key, hint in get_type_hints(section, include_extras=True).items():
            if plain[key] in (str, tuple[str, ...]) and key not in FREE:
                yield name, key, hint


@pytest.mark.parametrize(("section", "key", "hint"), list(texts()))
@pytest.mark.parametrize("added", ["\n", "\r\n", "\0", "\x1b[2J"])
def test_no_text_may_end_in_a_control_character(
    section: str, key: str, hint: Any, added: str
) -> None:
    value = VALID.get(key, "a")
    is_text = get_type_hints(sections()[section])[key] is str
    assert msgspec.convert(value if is_text else [value], hint)
    with pytest.raises(msgspec.ValidationError, match="matching regex"):
        msgspec.convert(value + added if is_text else [value + added], hint)


def patterns(tree: ast.AST) -> Iterator[str]:
    """Yield the text of every pattern that a module gives to `re` or to msgspec's `Meta`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = [word.value for word in node.keywords if word.arg == "pattern"]
        if name.startswith("re.") or name in ("whole", "Meta"):
            given += node.args[:1]
        for each in given:
            yield "".join(
                part.value
                for part in ast.walk(each)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )


@pytest.mark.parametrize("folder", ["pipeline", "connectors"])
def test_no_pattern_ends_where_a_line_break_may_follow(folder: str) -> None:
    """`$` matches before a line break at the end, `\\Z` does not."""
    ends = [
        (path.name, pattern)
        for path in sorted((ROOT / folder).rglob("*.py"))
        for pattern in patterns(ast.parse(path.read_text()))
        if re.search(r"(?<!\\)\$$", pattern)
    ]
    assert ends == []


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"archive": {"path": "s3a://my_bucket/x"}}, "archive.path"),
        ({"archive": {"path": "s3a://My-Bucket/x"}}, "archive.path"),
        ({"archive": {"path": "s3a://ab/x"}}, "archive.path"),
        ({"archive": {"path": f"s3a://{'a' * 64}/x"}}, "archive.path"),
        ({"archive": {"path": "s3a://a..b/x"}}, "archive.path"),
        ({"archive": {"path": "s3a://-ab/x"}}, "archive.path"),
        ({"archive": {"path": "s3a://10.0.0.1/x"}}, "archive.path"),
        ({"archive": {"path": "s3a://key:secret@bucket/x"}}, "archive.path"),
        ({"archive": {"path": "s3a://bucket//x"}}, "archive.path"),
        ({"archive": {"path": "s3a://bucket/x//"}}, "archive.path"),
        ({"archive": {"path": "s3a://bucket/./x"}}, "archive.path"),
        ({"archive": {"path": "s3a://bucket/a/.."}}, "archive.path"),
        ({"archive": {"path": "s3a://bucket/a#b"}}, "archive.path"),
        ({"archive": {"path": "s3a://bucket/a?b"}}, "archive.path"),
        ({"archive": {"path": "file://host/x"}}, "archive.path"),
        ({"archive": {"path": "file://"}}, "archive.path"),
        ({"job": {"checkpoint_dir": "hdfs://x/y"}}, "job.checkpoint_dir"),
        ({"kafka": {"bootstrap_servers": "kafka://host:9092"}}, "kafka.bootstrap_servers"),
        ({"kafka": {"bootstrap_servers": "host"}}, "kafka.bootstrap_servers"),
        ({"kafka": {"bootstrap_servers": "127.0.0.1:99999"}}, "kafka.bootstrap_servers"),
        ({"kafka": {"bootstrap_servers": "127.0.0.1:1,"}}, "kafka.bootstrap_servers"),
        ({"kafka": {"bootstrap_servers": ""}}, "kafka.bootstrap_servers"),
        ({"source": {"kafka_topics": [".."]}}, "source.kafka_topics"),
        ({"source": {"kafka_group_id": ""}}, "source.kafka_group_id"),
        ({"kinesis": {"region": "Ireland!"}}, "kinesis.region"),
        ({"kinesis": {"endpoint": "http://[::1"}}, "kinesis.endpoint"),
        ({"index": {"url": "http://[::1"}}, "index.url"),
        ({"index": {"url": "http://127.0.0.1:99999"}}, "index.url"),
        ({"index": {"url": "http://127.0.0.1:0"}}, "index.url"),
        ({"index": {"url": "http://127.0.0.1:x"}}, "index.url"),
        ({"index": {"url": "https://host/#x"}}, "index.url"),
        ({"index": {"shards": 5000}}, "index.shards"),
        ({"job": {"parallelism": 129}}, "job.parallelism is 129, above job.max_parallelism, 128"),
        ({"job": {"parallelism": 10**23}}, "job.parallelism"),
        ({"job": {"max_parallelism": 32769}}, "job.max_parallelism"),
        ({"job": {"checkpoint_seconds": 1e-9}}, "job.checkpoint_seconds"),
        ({"job": {"checkpoint_seconds": float("inf")}}, "job.checkpoint_seconds"),
        ({"job": {"checkpoint_seconds": float("nan")}}, "job.checkpoint_seconds"),
        ({"job": {"checkpoint_timeout_seconds": float("inf")}}, "job.checkpoint_timeout_seconds"),
        ({"job": {"transaction_timeout_seconds": 2_147_484}}, "job.transaction_timeout_seconds"),
        ({"job": {"batch_records": 2**31}}, "job.batch_records"),
        ({"lake": {"path": "s3a://b-1/x", "file_seconds": 0.5}}, "lake.file_seconds"),
        ({"lake": {"path": "s3a://b-1/x", "file_seconds": 86_401}}, "lake.file_seconds"),
        ({"archive": {"path": "s3a://b-1/x", "bucket_bytes": 1000}}, "archive.bucket_bytes"),
        ({"archive": {"path": "s3a://b-1/x", "bucket_bytes": 1 << 29}}, "archive.bucket_bytes"),
        ({"lake": {"path": "s3a://b-1/x", "buckets": 0}}, "lake.buckets"),
        (
            {"lake": {"path": "s3a://b-1/x", "buckets": 129}},
            "lake.buckets is 129, above job.max_parallelism, 128",
        ),
        ({"decode": {"reject_limit_ratio": float("nan")}}, "decode.reject_limit_ratio"),
        ({"source": {"kafka_discover_partitions_seconds": 1e300}}, "discover_partitions_seconds"),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError) as raised:
        check(**changed)
    assert key in str(raised.value) and "secret" not in str(raised.value)


@pytest.mark.parametrize("section", ["lake", "archive", "dead_letters"])
def test_a_bucket_holds_a_record_of_the_largest_size(section: str) -> None:
    changed = {section: {"path": "s3a://b-1/x", "bucket_bytes": 1 << 20}}
    if section == "dead_letters":
        changed[section]["kafka_topic"] = ""
    assert check(**changed, decode={"max_record_bytes": 1 << 20})
    with pytest.raises(UserError, match=f"{section}.bucket_bytes is 1048576, below decode.max_rec"):
        check(**changed, decode={"max_record_bytes": (1 << 20) + 1})


def test_a_topic_collects_nothing_so_its_records_may_have_any_size() -> None:
    assert check(
        "archive", dead_letters={"kafka_topic": "dead"}, decode={"max_record_bytes": 1 << 30}
    )


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("page_bytes", "use lake.bucket_bytes"),
        ("file_bytes", "use lake.bucket_bytes and lake.file_seconds"),
        ("dictionary", "leave it out"),
    ],
)
def test_a_key_of_an_earlier_release_is_refused_with_what_replaces_it(
    key: str, instead: str, tmp_path: Path
) -> None:
    message = f"key lake.{key} was removed in 0.3.0; {instead}"
    with pytest.raises(UserError, match=message):
        check(lake={"path": "s3a://b-1/x", key: 4096})
    groups = {"PropertyGroupId": "lake", "PropertyMap": {"path": "s3a://b-1/x", key: "4096"}}
    (tmp_path / "groups.json").write_text(json.dumps([groups]))
    with pytest.raises(UserError, match=message):
        load_config.load_property_groups(tmp_path / "groups.json")


@pytest.mark.parametrize(
    "url", ["http://me:SECRET@127.0.0.1", "https://me:SE/CRET@host", "https://me:1/SECRET@host"]
)
@pytest.mark.parametrize(("section", "key"), [("index", "url"), ("kinesis", "endpoint")])
def test_a_url_with_a_user_name_is_refused_and_not_shown(url: str, section: str, key: str) -> None:
    with pytest.raises(UserError, match=f"{section}.{key}") as raised:
        check(**{section: {key: url}})
    assert "SECRET" not in str(raised.value) and "CRET" not in str(raised.value)


def test_a_wrong_choice_is_answered_with_the_choices() -> None:
    with pytest.raises(UserError) as raised:
        check(index={"auth": "SECRET" * 50_000})
    assert "Expected one of none, basic, sigv4 - at `$.index.auth`" in str(raised.value)
    assert len(str(raised.value)) < 300


def test_a_message_has_words_in_place_of_a_pattern() -> None:
    with pytest.raises(UserError) as raised:
        check(lake={"path": "s3a://trips/a b\n"}, source={"kafka_topics": ["trips"]})
    assert "Expected s3a://BUCKET/PREFIX" in str(raised.value)
    assert "at `$.lake.path`; the value is 's3a://trips/a b\\n'." in str(raised.value)
    assert "regex" not in str(raised.value)


def test_every_pattern_of_the_configuration_has_words() -> None:
    for section in sections().values():
        for hint in get_type_hints(section, include_extras=True).values():
            assert {meta.pattern for meta in metas(hint) if meta.pattern} <= set(ALLOWED)


def metas(hint: Any) -> Iterator[msgspec.Meta]:
    """Yield all of msgspec's limits of an annotation."""
    for part in (*get_args(hint), *getattr(hint, "__metadata__", ())):
        if isinstance(part, msgspec.Meta):
            yield part
        else:
            yield from metas(part)


def test_an_element_of_a_list_is_shown() -> None:
    with pytest.raises(UserError, match=r"kafka_topics\[1\]`; the value is 'a b'"):
        check(source={"kafka_topics": ["a", "a b"]})
    with pytest.raises(
        UserError, match=r"one of kafka, kinesis - at `\$.source.archived_from\[0\]"
    ):
        check(source={"archived_from": ["kafca"]})


def test_what_other_tools_take_is_answered_with_what_to_write() -> None:
    for changed, hint in (
        ({"lake": {"path": "s3://trips/lake"}}, "Write s3a:// in place of s3://"),
        ({"source": {"kafka_topics": "trips"}}, r"Write a list, such as \[a, b\]"),
        ({"job": {"checkpoint_seconds": "10s"}}, "Write the seconds as a number"),
    ):
        with pytest.raises(UserError, match=hint):
            check(**changed)


def test_a_number_for_a_text_is_answered_with_quotes() -> None:
    with pytest.raises(UserError, match="the value is 7. Put it in quotes"):
        check(kinesis={"region": 7})


def test_a_group_of_entries_without_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "groups.json"
    groups = '{"PropertyGroupId": "replicate%s", "PropertyMap": {"kafka_topic": "a"}}'
    path.write_text(f"[{groups % '.a'}, {groups % ''}]")
    with pytest.raises(UserError, match="replicate has no name of its own; name it replicate.NAME"):
        load_config.load_property_groups(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"PropertyGroupId": "job", "PropertyMap": {"name": "caf\xe9"}}]', "is not UTF-8"),
        (
            b'[{"PropertyGroupId": "job",\n"PropertyMap": {"name": "a",\n"name": "b"}}]',
            "'name' is given twice, in line 2 and in line 3",
        ),
    ],
)
def test_property_groups_of_another_encoding_or_with_a_key_twice(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "groups.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_config.load_property_groups(path)


@pytest.mark.parametrize("schemas", ["x" * 5000, "x" * 300, "/not/there", "conf"])
def test_a_folder_without_schemas_is_reported_with_its_key(schemas: str) -> None:
    with pytest.raises(UserError, match="decode.schemas") as raised:
        load_config.event_types(check(decode={"schemas": schemas}))
    assert len(str(raised.value)) < 600
