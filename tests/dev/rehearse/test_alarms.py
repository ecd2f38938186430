"""Every alarm is made to fire in one way, and what only looks like it does not count."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from dev.rehearse.faults import FAULTS, GIVEN, LOWERED, RECONCILED, STOPPED
from dev.rehearse.given import fires_on_given, series
from dev.rehearse.judged import lowered, mismatch
from dev.rehearse.report import Proofs, watched
from dev.rehearse.run import judge_given
from dev.rehearse.watch import LOOK_SECONDS, period
from pipeline.deploy.monitoring.alarms import ALARMS, Alarm, alarm
from pipeline.deploy.monitoring.judge import Sample, fires
from pipeline.deploy.monitoring.local import LOCAL

PROVOKED = [name for fault in FAULTS for name in (*fault.alarms, *fault.after)] + list(STOPPED)


def test_each_alarm_is_made_to_fire_in_one_way() -> None:
    ways = Counter([*PROVOKED, *LOWERED, *GIVEN, *RECONCILED])
    assert ways == Counter({each.name: 1 for each in ALARMS})


def test_what_is_provoked_is_measured_on_the_local_servers() -> None:
    elsewhere = {"uncommitted", "lake_objects", "source_records"}
    for name in (*PROVOKED, *LOWERED):
        for each in filter(None, (alarm(name).signal, alarm(name).per)):
            assert each in elsewhere or each in LOCAL, name


@pytest.mark.parametrize("found", ALARMS, ids=lambda found: found.name)
def test_every_rule_fires_on_given_samples_beyond_its_threshold_only(found: Alarm) -> None:
    assert fires_on_given(found)


def test_a_rule_that_is_turned_round_is_found_out() -> None:
    found = alarm("Heap")
    turned = replace(found, comparison="<")
    assert fires(found, series(found, beyond=True))
    assert not fires(turned, series(found, beyond=True))


def test_given_samples_are_never_called_provoked() -> None:
    proofs = Proofs()
    judge_given(proofs)
    assert len(proofs.proofs) == len(GIVEN)
    assert {proof.how for proof in proofs.proofs} == {"on given samples"}
    assert all(proof.ok for proof in proofs.proofs)
    assert "AWS/ES ClusterStatus.red" in "".join(proof.seen for proof in proofs.proofs)


def test_a_period_is_played_in_less_time_but_never_less_than_three_looks() -> None:
    assert period(alarm("Down")) == 3 * LOOK_SECONDS
    assert period(alarm("BehindRetention")) == 3 * LOOK_SECONDS
    assert period(alarm("ReconcileMismatch")) == 1728
    assert period(alarm("RestartsRepeat")) == 150, "three restarts of the rehearsal's job"
    assert period(alarm("LakeStalled")) == 40, "2 file_seconds and 3 checkpoints there"


def test_the_daily_reconciliation_s_alarm_follows_its_report() -> None:
    found = alarm("ReconcileMismatch")
    assert mismatch(found, ok=False)
    assert not mismatch(found, ok=True)


def test_another_threshold_changes_nothing_else() -> None:
    heap = lowered(alarm("Heap"), 1)
    samples = [Sample(float(at), {"heap_percent": 7.0}) for at in range(0, 20, 2)]
    assert fires(heap, samples, period_seconds=6)
    assert not fires(alarm("Heap"), samples, period_seconds=6)


def test_what_was_seen_is_told_with_its_limit() -> None:
    assert watched(alarm("BehindKinesis"), [None]) == (
        "millis_behind: no data, fires at > 60000"
    )  # fmt: skip
    assert watched(alarm("IndexSlow"), [2500.0, 3000.0]) == (
        "growth of index.bulk_ms / index.requests: 2500, 3000, fires at > 2000"
    )
