"""Metrics are read as Flink pushed them, whether all of them are parsed or a few."""

from __future__ import annotations

import math
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from connectors.flink.metrics import STEP_SCOPE, fetch, parse, step_totals
from dev.servers.metrics_server import Handler, process_url

PUSHED = (Path(__file__).parents[1] / "deploy" / "pushed.txt").read_text()
NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
def pushed_at() -> Iterator[str]:
    """The server that Flink's processes push to, after one did."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        url = process_url(f"http://127.0.0.1:{server.server_port}", "taskmanager-1")
        push(url, PUSHED)
        yield url
        server.shutdown()


def push(url: str, text: str) -> None:
    """Replace what the process at this address published."""
    request = urllib.request.Request(url, text.encode(), method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


def test_chosen_metrics_are_those_of_the_whole_text() -> None:
    whole = parse([PUSHED])
    assert len(whole) > 20
    for name, values in whole.items():
        assert parse([PUSHED], lambda each, name=name: each == name) == {name: values}  # type: ignore[misc]


def test_our_counters_are_summed_over_all_tasks(pushed_at: str) -> None:
    (events,) = parse([PUSHED])[f"{STEP_SCOPE}_events"].values()
    once = step_totals([pushed_at, NOWHERE])
    assert once["decode.events"] == events > 0
    assert {name.partition(".")[0] for name in once} == {"decode", "index"}
    other = PUSHED.replace("127_0_0_1:54117_9de0a8", "127_0_0_1:54118_0")
    push(pushed_at, f"{PUSHED}\n{other}")
    assert step_totals([pushed_at])["decode.events"] == 2 * events


def test_labels_are_unescaped_and_nan_is_left_out() -> None:
    text = '# TYPE n gauge\nn{a="x\\"y\\\\z",b="{,}",} 1.5\nn{a="nan"} NaN\nm 2\nk{a="i"} +Inf\n'
    series = parse([text])
    assert series["n"] == {frozenset({("a", 'x"y\\z'), ("b", "{,}")}): 1.5}
    assert series["m"] == {frozenset(): 2.0}
    assert series["k"] == {frozenset({("a", "i")}): math.inf}


def test_a_process_that_is_gone_has_no_metrics() -> None:
    assert fetch([NOWHERE], lambda name: True) == {}
