"""Looks at the metrics again and again, and says which alarms are on.

Each period is played in a fiftieth of its time, at least three looks long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from pipeline.config.model import Config
from pipeline.deploy.monitoring.alarms import Alarm
from pipeline.deploy.monitoring.judge import Sample, datapoints, fires
from pipeline.deploy.monitoring.local import measure

Values = list[float | None]
Act = Callable[[], object]

LOOK_SECONDS: Final = 2.0
_SHORTER: Final = 50
_LEAST_SECONDS: Final = 3 * LOOK_SECONDS
_OWN: Final[Mapping[str, float]] = {
    # OpenSearch stands still for some seconds, and its counters move when it goes on.
    "IndexRetries": 12.0,
    "IndexSlow": 12.0,
    # Three checkpoint intervals of the rehearsal, as on AWS.
    "LakeStalled": 30.0,
    # Room for three restarts of a job with a dozen Python workers.
    "RestartsRepeat": 150.0,
}


class Watch:
    """The samples of one rehearsal, in the order of time.

    `environment` is asked anew each time, for servers come and go. `sent` is how many records the
    source stream took so far, which on AWS is a metric of the stream itself.
    """

    def __init__(
        self,
        config: Config,
        environment: Callable[[], Mapping[str, str]],
        sent: Callable[[], int],
    ) -> None:
        self.samples: list[Sample] = []
        self._config, self._environment, self._sent = config, environment, sent

    def look(self, *, lake: bool = True) -> None:
        """Take one sample; without `lake` S3 is not asked, which may be away."""
        config = self._config if lake else _without_lake(self._config)
        found = measure(config, self._environment())
        self.samples.append(
            replace(found, values={**found.values, "source_records": float(self._sent())})
        )

    def is_on(self, alarm: Alarm) -> bool:
        """Whether the alarm is on now."""
        return fires(alarm, self.samples, period_seconds=period(alarm))

    def values(self, alarm: Alarm) -> Values:
        """What the alarm sees now, a value for each period, the newest last."""
        return datapoints(alarm, self.samples, period(alarm))

    def wait_off(self, alarms: Iterable[Alarm], act: Act, *, patience_seconds: float) -> list[str]:
        """Act and look until none is on; the names of those that still are when time is up."""
        pending = list(alarms)
        deadline = time.monotonic() + patience_seconds
        while pending and time.monotonic() < deadline:
            act()
            self._next()
            pending = [each for each in pending if self.is_on(each)]
        return [each.name for each in pending]

    def wait_on(
        self, alarms: Iterable[Alarm], act: Act, *, patience_seconds: float, lake: bool = True
    ) -> dict[str, Values]:
        """Act and look until each was on once; what each saw then, without those never on."""
        pending = {each.name: each for each in alarms}
        seen: dict[str, Values] = {}
        deadline = time.monotonic() + patience_seconds
        while pending and time.monotonic() < deadline:
            act()
            self._next(lake=lake)
            for name, each in list(pending.items()):
                if self.is_on(each):
                    seen[name] = self.values(pending.pop(name))
        return seen

    def _next(self, *, lake: bool = True) -> None:
        """One look, not sooner than `LOOK_SECONDS` after the one before."""
        last = self.samples[-1].at if self.samples else 0.0
        time.sleep(min(LOOK_SECONDS, max(0.0, last + LOOK_SECONDS - time.time())))
        self.look(lake=lake)


def period(alarm: Alarm) -> float:
    """The seconds that stand in for the alarm's own period."""
    return _OWN.get(alarm.name, max(_LEAST_SECONDS, alarm.period_seconds / _SHORTER))


def _without_lake(config: Config) -> Config:
    """The same, with nothing to ask S3 for."""
    return msgspec.structs.replace(config, lake=None)
