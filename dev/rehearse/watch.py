"""Sample the metrics repeatedly, and tell which alarms are on.

A period takes a fiftieth of its real time, and at least three samples.
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
    # Twice lake.file_seconds and three checkpoint intervals of the rehearsal, as on AWS.
    "LakeStalled": 40.0,
    # Room for three restarts of a job with a dozen Python workers.
    "RestartsRepeat": 150.0,
}


class Watch:
    """The samples of one rehearsal, in order.

    `environment` is read anew each time, since servers come and go. `sent` returns how many records
    the source stream took so far, which on AWS is a metric of the stream.
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
        """Take a sample; without `lake`, S3 is not read."""
        config = self._config if lake else _without_lake(self._config)
        sample = measure(config, self._environment())
        self.samples.append(
            replace(sample, values={**sample.values, "source_records": float(self._sent())})
        )

    def is_on(self, alarm: Alarm) -> bool:
        """Return whether the alarm is on now."""
        return fires(alarm, self.samples, period_seconds=period(alarm))

    def values(self, alarm: Alarm) -> Values:
        """Return the alarm's value of each period, newest last."""
        return datapoints(alarm, self.samples, period(alarm))

    def wait_off(self, alarms: Iterable[Alarm], act: Act, *, patience_seconds: float) -> list[str]:
        """Act and sample until no alarm is on; return those still on at the timeout."""
        pending = list(alarms)
        deadline = time.monotonic() + patience_seconds
        while pending and time.monotonic() < deadline:
            act()
            self._next()
            pending = [alarm for alarm in pending if self.is_on(alarm)]
        return [alarm.name for alarm in pending]

    def wait_on(
        self, alarms: Iterable[Alarm], act: Act, *, patience_seconds: float, lake: bool = True
    ) -> dict[str, Values]:
        """Act and sample until each alarm was on once; return what each observed."""
        pending = {alarm.name: alarm for alarm in alarms}
        fired: dict[str, Values] = {}
        deadline = time.monotonic() + patience_seconds
        while pending and time.monotonic() < deadline:
            act()
            self._next(lake=lake)
            for name, alarm in list(pending.items()):
                if self.is_on(alarm):
                    fired[name] = self.values(pending.pop(name))
        return fired

    def _next(self, *, lake: bool = True) -> None:
        """Take a sample, at least `LOOK_SECONDS` after the previous one."""
        last = self.samples[-1].at if self.samples else 0.0
        time.sleep(min(LOOK_SECONDS, max(0.0, last + LOOK_SECONDS - time.time())))
        self.look(lake=lake)


def period(alarm: Alarm) -> float:
    """Return the seconds that stand for the alarm's period."""
    return _OWN.get(alarm.name, max(_LEAST_SECONDS, alarm.period_seconds / _SHORTER))


def _without_lake(config: Config) -> Config:
    """Return a configuration without anything to read from S3."""
    return msgspec.structs.replace(config, lake=None)
