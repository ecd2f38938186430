"""The boards and the local readings name what is really pushed, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from connectors.flink.metrics import parse
from dev.servers.exposition import METRICS_TABLE
from dev.templates.dashboard import dashboard
from dev.templates.documented import DOCUMENTED
from dev.templates.grafana import board
from dev.templates.panels import PANELS
from dev.templates.prometheus_rules import rules
from dev.templates.promql import is_exposed, query
from dev.templates.signals import MADE, signal
from pipeline import metrics
from pipeline.decode.reasons import REASONS
from pipeline.deploy.monitoring.alarms import ALARMS
from pipeline.deploy.monitoring.local import LOCAL, Local, reading, readings

PUSHED = (Path(__file__).parent / "pushed.txt").read_text()
# Of these the run, of 0.2, had nothing to push: no dead letter was sealed, no bulk request was
# repeated or refused, no record met a fault of ours, none had redrive headers, nothing was
# Avro, no row was collected.
NOT_SEEN = {
    "decode.forged_redrives",
    "decode.native",
    "decode.native_failures",
    "decode.registry_waits",
    "claim_check.in",
    "claim_check.large",
    "index.retries",
    *(f"{step}.{name}" for step in ("decode", "index") for name in metrics.names(step)
      if name.startswith("rejected")),
    *(f"{step}.{name}" for step in ("archive", "lake", "dead_letters")
      for name in metrics.names(step)),
}  # fmt: skip


def test_local_names_are_what_flink_pushes() -> None:
    series = parse([PUSHED])
    missing = {name for name, each in LOCAL.items() if each.metric not in series} - NOT_SEEN
    assert missing == set()


def test_a_sample_has_the_signals_that_were_pushed() -> None:
    values = readings(parse([PUSHED]))
    assert values["checkpoint_ms"] == 285
    assert values["failed_checkpoints"] == 3
    assert values["heap_percent"] == pytest.approx(100 * 2.02636104e8 / 1.207959552e9)
    assert values["index.in"] > 0
    assert "search_red" not in values


def test_a_reading_joins_series_and_keeps_others_labels_out() -> None:
    series = parse(
        [
            '# HELP n none\nn{step="decode",task="0",} 3.0\nn{step="decode",task="1",} 4.0\n'
            'n{step="index",task="0",} 50.0\n',
            'load{tm="a"} NaN\nused{tm="a"} 1\nmost{tm="a"} 4\nused{tm="b"} 3\nmost{tm="b"} 4\n',
        ]
    )
    assert reading(Local("n", "sum", (("step", "decode"),)), series) == 7
    assert reading(Local("n", "max", (("step", "index"),)), series) == 50
    assert reading(Local("used", per="most", scale=100), series) == 75
    assert reading(Local("load"), series) is None
    assert readings(parse([])) == {}


def test_every_line_of_a_panel_is_a_signal() -> None:
    for panel in PANELS:
        for line in panel.lines:
            assert signal(line.signal) and (not line.per or signal(line.per))
            assert bool(line.per) == (line.form == "ratio")


def test_the_board_shows_every_reason_of_a_reject() -> None:
    (panel,) = [panel for panel in PANELS if panel.title == "Rejects by reason"]
    shown = {line.label for line in panel.lines}
    assert shown == {
        reason.code for reason in REASONS.values() if reason.step in ("decode", "index")
    }


def test_every_metric_of_the_dashboard_is_known() -> None:
    known = {(each.namespace, each.name) for each in DOCUMENTED}
    ours = {name for step in ("decode", "index", "claim_check") for name in metrics.names(step)}
    text = dashboard()["Properties"]["DashboardBody"]["Fn::Sub"]
    for widget in json.loads(text)["widgets"]:
        for namespace, metric in _named(widget["properties"]["metrics"]):
            is_ours = namespace == "AWS/KinesisAnalytics" and metric in ours
            assert is_ours or metric in MADE or (namespace, metric) in known


def _named(entries: list[list[object]]) -> list[tuple[str, str]]:
    """Namespace and metric of every entry, also of what an expression asks for."""
    text = json.dumps([entry[0] for entry in entries if isinstance(entry[0], dict)])
    asked = [
        *re.findall(r'Namespace=\\+"(.*?)\\+" MetricName=\\+"(.*?)\\+"', text),
        *((b, a) for a, b in re.findall(r'SELECT \w+\(\\+"(.*?)\\+"\) FROM \\+"(.*?)\\+"', text)),
    ]
    plain = [(str(entry[0]), str(entry[1])) for entry in entries if isinstance(entry[0], str)]
    return plain + asked


def test_widgets_do_not_lie_on_one_another() -> None:
    text = dashboard()["Properties"]["DashboardBody"]["Fn::Sub"]
    places = [(widget["x"], widget["y"]) for widget in json.loads(text)["widgets"]]
    assert len(set(places)) == len(places)
    assert all(x + 8 <= 24 for x, _ in places)


def expressions() -> list[str]:
    """Every query of the Grafana board."""
    return [
        target["expr"] for panel in json.loads(board())["panels"] for target in panel["targets"]
    ]


def test_the_grafana_board_asks_each_metric_as_its_type_wants() -> None:
    """Counters by their growth, which knows their restarts, and gauges as they are."""
    kinds = {each.name: each.kind for each in METRICS_TABLE}
    named = re.compile(r"(\w*)\(?\b((?:flink|streaming_etl)_\w+)")
    found = [each for expression in expressions() for each in named.findall(expression)]
    assert len(found) > 40
    for before, name in found:
        kind = kinds.get(name) or kinds[re.sub("_(bucket|sum|count)$", "", name)]
        assert (before in ("rate", "increase")) == (kind != "gauge"), (before, name)


def test_the_grafana_board_shows_every_signal_that_is_measured_here() -> None:
    shown = " ".join(expressions())
    signals = {line.signal for panel in PANELS for line in panel.lines}
    assert all(
        query(name).series.partition("{")[0] in shown for name in signals if is_exposed(name)
    )


def test_the_rules_of_prometheus_are_the_alarms_that_it_has_metrics_for() -> None:
    made = yaml.safe_load(rules())["groups"][0]["rules"]
    measured = {each.name for each in ALARMS if is_exposed(each.signal)} - {"Throughput"}
    needs_more = {each.name for each in ALARMS if each.per and not is_exposed(each.per)}
    assert {rule["alert"] for rule in made} == measured - needs_more
    assert len(made) > 15
