"""The demo's variants: each sends the same data set, whatever its sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from pipeline import load_config
from pipeline.demo import variants
from pipeline.demo.generate import Recipe, generate
from pipeline.demo.ledger import Ledger
from pipeline.demo.made import Made
from pipeline.demo.produce import Progress
from pipeline.demo.variants import AIRPORTS, VARIANTS, Senders, to_airports, variant
from pipeline.demo.writer import StreamWriter, Writer
from pipeline.errors import UserError
from pipeline.local.layout import ALL_SERVERS
from tests.demo import sinks as local

CONF = Path(__file__).parents[2] / "conf"
RECIPE = Recipe(events=1_000, seed=8)


def to_nowhere(source: str, _: object) -> Callable[..., Ledger]:
    """Takes records as a source would, for the ledger alone."""

    def send(made: Iterable[Made], *, rate: float | None, progress: Progress) -> Ledger:
        assert rate in (None, 50.0)
        writer = Writer(source) if source == "kafka" else StreamWriter(source)
        for number, one in enumerate(made):
            line = writer.sent(one)
            if isinstance(writer, Writer):
                writer.acknowledged(line, 0, number)
            else:
                writer.acknowledged(line, "shard", str(number))
            progress(number + 1)
        return writer.ledger()

    return send


@pytest.mark.parametrize(("name", "rate"), [("kafka", 50.0), ("kinesis", 50.0), ("both", 100.0)])
def test_all_sources_together_get_the_whole_set_once(
    name: str, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variants, "_sender", to_nowhere)
    told: list[int] = []
    senders = Senders(variant(name), RECIPE, {})
    first = senders.send(600, progress=told.append)
    assert (len(first), max(told)) == (600, 600)
    rest = senders.send(rate=rate, progress=told.append)
    digests = np.concatenate([first.numbers("digest"), rest.numbers("digest")])
    whole = local.on_kafka(generate(RECIPE))[1].numbers("digest")
    assert sorted(digests.tolist()) == sorted(whole.tolist())


def test_both_sources_get_half_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "_sender", to_nowhere)
    ledger = Senders(variant("both"), RECIPE, {}).send(600, progress=lambda _: None)
    assert int((ledger.positions >= 0).sum()) == 300
    assert ledger.topics == ["kafka"]


def test_a_source_that_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match="no source 'kafak'; there are kafka, kinesis, both"):
        variant("kafak")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_configuration_reads_what_the_variant_sends(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KINESIS_ENDPOINT", raising=False)
    config = load_config.load(CONF / VARIANTS[name].config)
    assert bool(config.source.kafka_topics) == ("kafka" in VARIANTS[name].sources)
    assert bool(config.source.kinesis_streams) == ("kinesis" in VARIANTS[name].sources)
    assert set(VARIANTS[name].servers) <= set(ALL_SERVERS)
    assert config.archive is not None and config.archive.path
    zones = ", ".join(map(str, AIRPORTS))
    filters = {replica.filter for replica in config.replicate.values()}
    assert filters == {f"pickup_location_id IN ({zones})"}


def test_airports_are_chosen_by_their_zones() -> None:
    records, ledger = local.on_kafka(generate(RECIPE))
    chosen = [record.made.pickup_location_id in AIRPORTS for record in records]
    assert to_airports(ledger).tolist() == chosen
    assert any(chosen)
