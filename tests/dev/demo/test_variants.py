"""The demo's variants: their names and their configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.errors import UserError
from dev.demo.variants import AIRPORTS, VARIANTS, variant
from dev.servers.layout import ALL_SERVERS
from pipeline.config import load as load_config

CONF = Path(__file__).parents[3] / "conf"


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
