"""The demo's variants: their names and their configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.errors import UserError
from dev.demo.variants import AIRPORTS, LOCALSTACK, VARIANTS, Variant, variant
from dev.servers.layout import CHOICES
from pipeline.config import load as load_config

CONF = Path(__file__).parents[3] / "conf"


def test_a_source_that_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match="no source 'kafak'; there are kafka, kinesis, both"):
        variant("kafak")


def test_without_a_source_it_is_kafka_or_what_localstack_has() -> None:
    assert variant(None) == VARIANTS["kafka"]
    assert variant(None, "localstack") == variant("kinesis", "localstack") == LOCALSTACK


@pytest.mark.parametrize(
    ("source", "aws", "told"),
    [
        ("kafka", "localstack", "--source is 'kafka'; with --aws localstack allowed: kinesis"),
        (None, "moto", "--aws is 'moto'; allowed: localstack"),
    ],
)
def test_what_localstack_has_not_is_refused(source: str | None, aws: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        variant(source, aws)


@pytest.mark.parametrize("made", [*VARIANTS.values(), LOCALSTACK], ids=lambda made: made.config)
def test_the_configuration_reads_what_the_variant_sends(
    made: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KINESIS_ENDPOINT", raising=False)
    config = load_config.load(CONF / made.config)
    assert bool(config.source.kafka_topics) == ("kafka" in made.sources)
    assert bool(config.source.kinesis_streams) == ("kinesis" in made.sources)
    assert set(made.servers) <= set(CHOICES)
    assert config.archive is not None and config.archive.path
    zones = ", ".join(map(str, AIRPORTS))
    filters = {replica.filter for replica in config.replicate.values()}
    assert filters == {f"pickup_location_id IN ({zones})"}
