"""The estimate of costs: by hand, and by its properties."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deploy.cost import commands
from pipeline.deploy.cost.estimate import estimate
from pipeline.deploy.cost.load import LIMITS, Files, Load, Settings
from pipeline.deploy.cost.measured import FIGURES
from pipeline.deploy.cost.prices import BY_NAME, PRICES, with_own
from pipeline.deploy.cost.stack import PARAMETERS, Stack
from tests.deploy.costs import DEFAULT, PROVISIONED, of, usd
from tests.deploy.stacks import EVERYTHING

MONTH = 730 * 3600
GB = 2**30


class TestByHand:
    def test_kpus(self) -> None:
        """27,348 events/s of a core, half for the index, 75 % busy: 10,255.5, of which 5."""
        found = of(46_700)
        assert usd(found, "Managed Flink: KPUs") == round((5 + 1) * 730 * 0.11, 2) == 481.80
        assert usd(found, "Managed Flink: running storage") == 5 * 50 * 0.10

    def test_without_an_index_a_kpu_takes_twice_as_much(self) -> None:
        assert of(46_700, {"OpenSearch": "none"}).plan.kpus == 3

    def test_the_template_s_parallelism_is_the_least(self) -> None:
        assert of(1).plan.kpus == 2
        assert of(1, {"Parallelism": "12", "ParallelismPerKPU": "4"}).plan.kpus == 3

    def test_events_of_twice_the_size_take_twice_as_long(self) -> None:
        assert of(46_700, bytes_per_event=830).plan.kpus == 10
        assert of(46_700, bytes_per_event=100).plan.kpus == 5
        assert of(46_700, events_per_kpu=1000).plan.kpus == 47

    def test_a_stream_on_demand_bills_each_record_as_a_whole_kb(self) -> None:
        found, gb = of(46_700), 46_700 * 1024 * MONTH / GB
        assert usd(found, "Source stream: stream") == 29.20
        assert usd(found, "Source stream: data in") == round(gb * 0.08, 2) == 9363.37
        assert usd(found, "Source stream: data out") == round(gb * 0.04, 2)
        six_days = 46_700 * 1024 * 6 * 86_400 / GB
        assert usd(found, "Source stream: extended retention") == round(six_days * 0.10, 2)

    def test_a_stream_of_shards(self) -> None:
        found = of(46_700, PROVISIONED)
        assert found.plan.shards == 47
        assert usd(found, "Source stream: shards") == round(47 * 730 * 0.015, 2)
        units = 46_700 * MONTH / 1e6
        assert usd(found, "Source stream: PUT payload units") == round(units * 0.014, 2)
        assert usd(found, "Source stream: extended retention") == round(47 * 730 * 0.02, 2)

    def test_large_events_need_shards_for_their_bytes(self) -> None:
        assert of(10_000, PROVISIONED, bytes_per_event=2 * 2**20 / 10).plan.shards == 2000

    def test_aggregated_events_are_billed_by_their_bytes(self) -> None:
        """20 events of 415 bytes are 8,300 bytes: 9 KB, and one payload unit."""
        found = of(20_000, events_per_record=20)
        assert found.plan.records == 1000
        assert found.plan.stream_bytes == 1000 * 9 * 1024
        assert found.plan.put_units == 1000
        assert found.plan.shards == 8  # 8.3 MB/s is 7.9 MiB/s

    def test_dead_letters_are_kept_for_thirty_days(self) -> None:
        """A letter of 556 bytes in base64 and 430 of fields is a KB."""
        found = of(10_000, rejected_percent=1)
        assert found.plan.letter_bytes == 100 * 1024
        older_than_a_week = 100 * 1024 * (720 - 168) * 3600 / GB
        name = "Dead letters: long-term retention"
        assert usd(found, name) == round(older_than_a_week * 0.023, 2)

    def test_a_partition_gets_a_file_a_minute_and_a_file_three_requests(self) -> None:
        found = of(10_000, rejected_percent=0)
        assert found.plan.lake_files == 265 / 60
        requests = 265 / 60 * MONTH * 3
        assert usd(found, "S3: requests, lake") == round(requests / 1000 * 0.005, 2) == 174.10

    def test_few_events_make_a_file_each(self) -> None:
        found = of(1, rejected_percent=0)
        assert found.plan.lake_files == 1
        assert found.plan.lake_bytes == pytest.approx(7602 + 31.7)

    def test_buckets_close_by_size(self) -> None:
        """A bucket of 1 MiB has 17,476 rows of 60 bytes, and an eighth of the partitions."""
        small = Settings(Files(600, 2**20, buckets=8), None)
        found = of(1000, own=small, rejected_percent=0, partitions=80)
        assert found.plan.lake_files == pytest.approx(1000 * 60 / 2**20 * 10)
        assert found.plan.archive_files == found.plan.archive_bytes == 0

    def test_the_archive_stops_growing(self) -> None:
        """400 days and 30 more as old versions are 14.1 months."""
        assert of(1, month=12).plan.archive_months == 11.5
        assert of(1, month=60).plan.archive_months == pytest.approx(430 * 24 / 730)
        assert of(1, month=60).plan.lake_months == 59.5

    def test_the_domain_is_what_the_template_makes(self) -> None:
        found = of(46_700)
        assert usd(found, "OpenSearch: nodes") == round(3 * 730 * 0.167, 2)
        assert usd(found, "OpenSearch: disks") == 36.60
        hours = 300 * GB / (46_700 * 0.99 * 415 * 2 * 1.45) / 3600
        assert found.plan.index_hours == pytest.approx(hours)
        assert f"in {hours:.1f} hours" in " ".join(found.notes)

    def test_what_the_template_does_not_allow_is_told(self) -> None:
        notes = " ".join(of(600_000, {"SourceStreamMode": "PROVISIONED"}).notes)
        assert "It needs 600 shards, and SourceStreamShards allows 500." in notes
        assert "KPUs, and Parallelism allows 128" in " ".join(of(10_000_000).notes)
        assert "It needs" not in " ".join(of(46_700, {"SourceStreamMode": "PROVISIONED"}).notes)

    def test_what_is_counted_twice_or_not_read_is_told(self) -> None:
        assert "share of each source" in " ".join(of(1000, {"Source": "both"}).notes)
        assert "leave --brokers out" in " ".join(of(1000, brokers=3, broker_gib=10).notes)

    def test_if_all_is_rejected_nothing_is_written_but_archive_and_letters(self) -> None:
        found = of(1, rejected_percent=100)
        assert found.plan.lake_bytes == 0
        assert found.plan.index_hours == float("inf")
        assert "fills the domain" not in " ".join(found.notes)

    def test_brokers_are_the_user_s(self) -> None:
        found = of(1000, {"Source": "msk"}, brokers=3, broker_gib=1000)
        assert found.groups()["MSK, not of the template"] == round(3 * 730 * 0.204 + 300, 2)
        assert "Source stream" not in found.groups()

    def test_one_s_own_key_costs(self) -> None:
        found = of(1, {"KmsKeyArn": EVERYTHING["KmsKeyArn"]})
        assert usd(found, "KMS: your key") == 1


LOADS = st.fixed_dictionaries(
    {
        "rate": st.floats(0.01, 1e6),
        "bytes_per_event": st.floats(1, 100_000),
        "partitions": st.integers(1, 100_000),
        "rejected_percent": st.floats(0, 100),
        "month": st.integers(1, 120),
    }
)
STACKS = st.fixed_dictionaries(
    {
        "Parallelism": st.sampled_from(["1", "2", "16"]),
        "ParallelismPerKPU": st.sampled_from(["1", "3"]),
        "Source": st.sampled_from(["kinesis", "msk", "both"]),
        "SourceStreamMode": st.sampled_from(["ON_DEMAND", "PROVISIONED", "EXISTING"]),
        "SourceRetentionHours": st.sampled_from(["24", "100", "168", "8760"]),
        "OpenSearch": st.sampled_from(["create", "existing", "none"]),
        "ArchiveExpireDays": st.sampled_from(["30", "400"]),
    }
)
FILES = st.builds(
    Files, st.floats(1, 86_400), st.integers(2**20, 2**28), st.none() | st.integers(1, 200)
)
SETTINGS = st.builds(Settings, st.none() | FILES, st.none() | FILES)
CENTS = 0.02
"""Lines are rounded to cents, so that a few may each be a half too high or too low."""


@given(
    LOADS, STACKS, SETTINGS, st.floats(1, 50),
    st.sampled_from(["rate", "bytes_per_event", "partitions", "month"]),
)  # fmt: skip
def test_more_never_costs_less(
    load: dict[str, Any], parameters: dict[str, str], own: Settings, factor: float, more: str
) -> None:
    greatest = LIMITS["events_per_second" if more == "rate" else more][1]
    grown = min(load[more] * factor, greatest)
    larger = {**load, more: int(grown) if isinstance(load[more], int) else grown}
    before, after = (of(**each, parameters=parameters, own=own) for each in (load, larger))
    old = {(line.group, line.name): line.quantity for line in before.lines}
    new = {(line.group, line.name): line.quantity for line in after.lines}
    assert {name for name in old if new.get(name, 0) < old[name] * (1 - 1e-9)} == set()
    assert after.usd >= before.usd - CENTS


@given(LOADS, STACKS, SETTINGS)
def test_parts_add_up_and_the_report_says_the_same(
    load: dict[str, Any], parameters: dict[str, str], own: Settings
) -> None:
    found = of(**load, parameters=parameters, own=own)
    report = json.loads(json.dumps(found.report(), allow_nan=False))
    assert round(sum(line["usd_month"] for line in report["lines"]), 2) == report["usd_month"]
    assert round(sum(report["groups"].values()), 2) == report["usd_month"]
    for line in report["lines"]:
        assert round(line["quantity"] * line["usd_unit"], 2) == line["usd_month"]
        assert line["quantity"] > 0
        assert line["formula"]
    used = {line["price"] for line in report["lines"]}
    assert used == {price["name"] for price in report["prices"]}
    shown = [line.rpartition(" ")[2] for line in commands.text(found)]
    amounts = [f"{line['usd_month']:,.2f}" for line in report["lines"]]
    assert shown[1 : len(amounts) + 2] == [*amounts, f"{report['usd_month']:,.2f}"]


@given(st.sampled_from(sorted(BY_NAME)), st.floats(0, 1000))
def test_a_price_of_one_s_own_replaces_ours_everywhere(name: str, value: float) -> None:
    load = Load(events_per_second=5000, brokers=3, broker_gib=10)
    for parameters in (PROVISIONED, {"KmsKeyArn": EVERYTHING["KmsKeyArn"]}):
        found = estimate(load, Stack(parameters), DEFAULT, with_own({name: value}))
        for line in found.lines:
            assert (line.price.usd == value) == (
                line.price.name == name or line.price.usd == value == BY_NAME[line.price.name].usd
            )


def test_every_price_is_used_and_has_a_source() -> None:
    variants = (
        of(1000, {"KmsKeyArn": EVERYTHING["KmsKeyArn"]}, brokers=1, broker_gib=1),
        of(1000, PROVISIONED),
    )
    used = {line.price.name for found in variants for line in found.lines}
    assert used == set(BY_NAME)
    assert len(BY_NAME) == len(PRICES)
    assert all(price.source and price.basis != "yours" for price in PRICES)
    assert len({each.name for each in FIGURES}) == len(FIGURES)


def test_what_is_from_memory_is_said() -> None:
    from_memory = {price.name for price in PRICES if price.basis == "memory"}
    found = of(1000, brokers=1, broker_gib=1)
    used = {line.price.name for line in found.lines}
    (note,) = (note for note in found.notes if note.startswith("Prices from memory"))
    assert set(note.rstrip(".").partition(": ")[2].split(", ")) == from_memory & used


@settings(max_examples=30)
@given(st.lists(st.sampled_from(sorted(PARAMETERS)), unique=True))
def test_any_default_may_be_given(names: list[str]) -> None:
    given_ones = {name: PARAMETERS[name].default for name in names}
    assert of(1000, given_ones).usd == of(1000).usd
