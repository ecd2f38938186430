"""Schemas by id: of a real registry, which may be away, of answers of the API, and of a folder."""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from connectors.errors import UserError
from connectors.schema_registry.client import (
    Folder,
    Patience,
    Registry,
    WriterSchemas,
    writer_schemas,
)
from connectors.schema_registry.options import SchemaRegistry
from connectors.schema_registry.schema import Unknown, WriterSchema, parse
from dev.servers.ports import listeners_of
from dev.servers.setup import setup
from dev.servers.stack import Stack

ROOT = Path(__file__).parents[2]
TRIP: dict[str, Any] = {"type": "record", "name": "Trip", "fields": [{"name": "n", "type": "int"}]}
SECRET = "pass:wörd"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    setup(ROOT, say=print, servers=("registry",))
    folder = tmp_path_factory.mktemp("registry")
    made = Stack(ROOT, run_dir=folder, free_ports=True, servers=("registry",))
    with made.running(print) as running:
        yield running


def url_of(registry: Stack) -> str:
    return registry.environment()["SCHEMA_REGISTRY_URL"]


def wait(event: Event) -> None:
    assert event.wait(60)


def register(url: str, subject: str, schema: Any, **more: Any) -> int:
    body = json.dumps({"schema": json.dumps(schema), **more}).encode()
    request = urllib.request.Request(
        f"{url}/subjects/{subject}/versions", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return int(json.load(response)["id"])


@pytest.mark.server
def test_a_registered_schema_is_found_by_its_id(registry: Stack) -> None:
    url = url_of(registry)
    schemas = writer_schemas(SchemaRegistry(url=url + "/"))
    found = schemas(register(url, "trips-value", TRIP))
    assert isinstance(found, WriterSchema) and found.schema["name"] == "Trip"
    assert schemas(register(url, "trips-value", TRIP)) is found
    Registry(SchemaRegistry(url=url)).check()


@pytest.mark.server
def test_the_local_registry_listens_on_loopback_only(registry: Stack) -> None:
    found = listeners_of(registry.processes())
    assert found and all(listener.is_loopback for listener in found)


@pytest.mark.server
def test_references_are_resolved(registry: Stack) -> None:
    url = url_of(registry)
    zone = {"type": "record", "name": "tlc.Zone", "fields": [{"name": "id", "type": "long"}]}
    place = {
        "type": "record", "name": "tlc.Place", "fields": [{"name": "zone", "type": "tlc.Zone"}],
    }  # fmt: skip
    ride = {"type": "record", "name": "Ride", "fields": [
        {"name": "from", "type": "tlc.Place"}, {"name": "zone", "type": ["null", "tlc.Zone"]},
    ]}  # fmt: skip
    register(url, "zone", zone)
    to_zone = {"name": "tlc.Zone", "subject": "zone", "version": 1}
    register(url, "place", place, references=[to_zone])
    to_place = {"name": "tlc.Place", "subject": "place", "version": 1}
    number = register(url, "ride", ride, references=[to_place, to_zone])
    found = writer_schemas(SchemaRegistry(url=url))(number)
    assert isinstance(found, WriterSchema)
    assert {*found.named} == {"Ride", "tlc.Place", "tlc.Zone"}


@pytest.mark.server
@pytest.mark.parametrize("number", [0, 4_000_000, 2**31 - 1, 2**31, 2**32 - 1])
def test_an_id_without_a_schema_is_unknown(registry: Stack, number: int) -> None:
    found = writer_schemas(SchemaRegistry(url=url_of(registry)))(number)
    assert isinstance(found, Unknown) and f"schema id {number}" in found.detail


@pytest.mark.server
def test_an_unknown_id_is_asked_for_again_after_a_while(registry: Stack) -> None:
    url, now = url_of(registry), [0.0]
    fetch = Registry(SchemaRegistry(url=url))
    schemas = WriterSchemas(fetch, unknown_seconds=10.0, clock=lambda: now[0])
    late = {**TRIP, "name": "Late"}
    number = register(url, "before-value", {**TRIP, "name": "Before"}) + 1
    assert isinstance(schemas(number), Unknown)
    assert register(url, "late-value", late) == number
    now[0] = 9.0
    assert isinstance(schemas(number), Unknown)
    now[0] = 10.0
    assert isinstance(schemas(number), WriterSchema)


@pytest.mark.server
def test_a_registry_that_stops_is_waited_for(
    registry: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    url, waiting, back, found = url_of(registry), Event(), Event(), list[Any]()
    options = SchemaRegistry(url=url, username="etl", password=SECRET)
    fetch = Registry(options, on_wait=waiting.set, sleep=lambda seconds: wait(back))
    registry.stop_server("registry", print)
    with caplog.at_level(logging.WARNING):
        asking = Thread(target=lambda: found.append(fetch(1)), daemon=True)
        asking.start()
        assert waiting.wait(30)
        assert not found
        registry.start_server("registry", print)
        assert register(url, "trips-value", TRIP) == 1  # it has forgotten all, being in memory
        back.set()
        asking.join(30)
    assert [type(each) for each in found] == [WriterSchema]
    (said,) = caplog.records
    assert "is away (no answer: NewConnectionError)" in said.getMessage()
    assert SECRET not in caplog.text


Reply = tuple[int, Any]


@contextmanager
def answering(reply: Callable[[str, Any], Reply], **headers: str) -> Iterator[str]:
    """A server whose answers are made from the path and the headers of a request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = reply(self.path, self.headers)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        ((404, {"error_code": 40403, "message": "Schema not found"}), "40403: Schema not found"),
        ((422, {"error_code": 42202, "message": "Invalid"}), "42202: Invalid"),
        ((200, {"schema": "{}"}), "no valid Avro schema"),
        ((200, {"schema": "\"Other\""}), "no valid Avro schema (UnknownType: Other)"),
        ((200, {"schema": "\"int\"", "schemaType": "PROTOBUF"}), "of type PROTOBUF, not AVRO"),
        ((200, {"id": 1}), "has no schema"),
        ((200, {"schema": "\"A\"", "references": [{"name": "A"}]}), "without subject and version"),
        ((200, b'"' + b"x" * 10_000_000), "more than 10,000,000 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_usable_schema_is_unknown(reply: Reply, detail: str) -> None:
    with answering(lambda path, headers: reply) as url:
        found = writer_schemas(SchemaRegistry(url=url))(7)
    assert isinstance(found, Unknown) and detail in found.detail
    assert found.detail.startswith("schema id 7: ")


def test_a_reference_that_is_unknown_or_endless_is_unknown() -> None:
    def reply(path: str, headers: Any) -> Reply:
        if path.startswith("/subjects/gone"):
            return 404, {"error_code": 40401, "message": "Subject not found"}
        version = int(path.rpartition("/")[2]) + 1
        subject = "gone" if path == "/schemas/ids/1" else "a/b"
        return 200, {"schema": '"int"', "references": [{"subject": subject, "version": version}]}

    with answering(reply) as url:
        schemas = writer_schemas(SchemaRegistry(url=url))
        gone, endless = schemas(1), schemas(2)
    assert isinstance(gone, Unknown) and "its reference gone version 2" in gone.detail
    assert isinstance(endless, Unknown) and "more than 100 schemas" in endless.detail


@pytest.mark.parametrize(
    "reply",
    [(429, {}), (500, {"error_code": 50001}), (503, b"busy"), (404, b"<html>no"), (200, b"<html>")],
)
def test_a_registry_that_does_not_answer_is_waited_for(reply: Reply) -> None:
    answers, waits = [reply, reply, (200, {"schema": '"int"'})], list[int]()
    pauses: list[float] = []
    with answering(lambda path, headers: answers.pop(0)) as url:
        fetch = Registry(
            SchemaRegistry(url=url),
            on_wait=lambda: waits.append(1),
            patience=Patience(first=8.0, longest=10.0),
            sleep=pauses.append,
        )
        assert fetch(1) == WriterSchema("int", {})
    assert len(waits) == len(pauses) == 2
    assert 4.0 <= pauses[0] <= 8.0 and 5.0 <= pauses[1] <= 10.0


def test_a_wait_can_have_an_end() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    patience = Patience(most=60.0)
    with answering(lambda path, headers: (503, b"")) as url:
        fetch = Registry(
            SchemaRegistry(url=url), patience=patience, clock=lambda: now[0], sleep=sleep
        )
        with pytest.raises(UserError, match=r"registry 127.0.0.1:\d+ is away: it answers 503"):
            fetch(1)
        assert 60.0 <= now[0] <= 90.0
        with pytest.raises(UserError, match="cannot be used: it answers 503"):
            fetch.check()


def test_one_line_a_minute_says_that_records_wait(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += 1.0

    def reply(path: str, headers: Any) -> Reply:
        return (503, b"payload") if now[0] < 150 else (200, {"schema": '"int"'})

    with answering(reply) as url, caplog.at_level(logging.WARNING):
        options = SchemaRegistry(url=url, username="etl", password=SECRET)
        Registry(options, clock=lambda: now[0], sleep=sleep)(1)
    assert len(caplog.records) == 3
    assert "payload" not in caplog.text and SECRET not in caplog.text


def test_user_and_password_are_sent_in_utf_8() -> None:
    def reply(path: str, headers: Any) -> Reply:
        right = headers["authorization"] == "Basic ZXRsOnBhc3M6d8O2cmQ="
        return (200, {"schema": '"int"'}) if right else (401, {"error_code": 401})

    with answering(reply) as url:
        options = SchemaRegistry(url=url, username="etl", password=SECRET)
        assert Registry(options)(1) == WriterSchema("int", {})
        with pytest.raises(UserError, match="answers 401: check schema_registry.username"):
            Registry(SchemaRegistry(url=url))(1)


def test_a_redirect_is_not_followed() -> None:
    with answering(lambda path, headers: (302, b""), location="http://192.0.2.1/") as url:
        with pytest.raises(UserError, match="answers 302, a redirect, which is not followed"):
            Registry(SchemaRegistry(url=url))(1)


def test_an_id_is_asked_for_once() -> None:
    asked: list[int] = []

    def fetch(number: int) -> WriterSchema | Unknown:
        asked.append(number)
        return WriterSchema("int", {}) if number else Unknown("none")

    schemas = WriterSchemas(fetch)
    for _ in range(3):
        schemas(1), schemas(0)
    assert asked == [1, 0]


def test_a_folder_has_a_file_for_each_id(tmp_path: Path) -> None:
    (tmp_path / "7.avsc").write_text(json.dumps(TRIP))
    (tmp_path / "8.avsc").write_text("{")
    schemas = writer_schemas(SchemaRegistry(folder=str(tmp_path)))
    assert isinstance(schemas(7), WriterSchema)
    unknown = schemas(9)
    assert unknown == Unknown("schema id 9: there is no file 9.avsc in schema_registry.folder")
    with pytest.raises(UserError, match=r"8\.avsc: the schema is no valid Avro schema"):
        schemas(8)
    with pytest.raises(UserError, match="nowhere is no folder"):
        Folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "give url or folder"),
        ({"url": "http://a", "folder": "b"}, "give url or folder"),
        ({"url": "file:///etc"}, "is not a URL like https"),
        ({"url": "http://h:99999"}, "is not a URL like https"),
        ({"url": "http://h?x=1"}, "is not a URL like https"),
        ({"url": "https://u:secret@h"}, "has a user in it"),
        ({"url": "http://h", "username": "u", "password": "secret"}, "in the clear; use https"),
        ({"url": "https://h", "username": "u"}, "belong together"),
        ({"folder": "f", "username": "u", "password": "secret"}, "belong together, and to url"),
        ({"url": "https://h", "username": "u:v", "password": "secret"}, "no colon"),
    ],
)
def test_options_that_do_not_fit_each_other(options: dict[str, str], problem: str) -> None:
    with pytest.raises(UserError, match=problem) as raised:
        writer_schemas(SchemaRegistry(**options))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "schema",
    [
        5, None, {}, {"type": "array"}, {"type": "record", "name": "A"},
        {"type": "fixed", "name": "F", "size": -1}, {"type": "fixed", "name": "F", "size": "1"},
        {"type": "enum", "name": "E", "symbols": "AB"}, {"type": "record", "fields": []},
        {**TRIP, "fields": TRIP["fields"] * 2}, {**TRIP, "fields": ["n"]},
    ],
)  # fmt: skip
def test_what_is_no_schema(schema: Any) -> None:
    assert isinstance(parse(json.dumps(schema)), Unknown)


def test_a_schema_is_read_as_widely_as_java_does() -> None:
    odd = {**TRIP, "fields": [
        {"name": "a", "type": {"type": {"type": "string", "avro.java.string": "String"}}},
        {"name": "b", "type": "int", "default": "wrong"},
        {"name": "c", "type": ["null", {"type": "fixed", "name": "F", "size": 0}]},
    ]}  # fmt: skip
    assert isinstance(parse(json.dumps(odd)), WriterSchema)
    deep: Any = "int"
    for _ in range(200):
        deep = {"type": "array", "items": deep}
    assert isinstance(parse(json.dumps(deep)), Unknown)
    assert isinstance(parse("[" * 100_000), Unknown)
