"""The stages of a rehearsal; each records what it proved."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from connectors.flink.rest import wait_for
from connectors.opensearch.options import index_name
from connectors.s3.client import s3_client
from dev.rehearse import as_platform, resources
from dev.rehearse.account import Account, account
from dev.rehearse.faults import FAULTS, LOWERED, RECONCILED, STOPPED, Fault, Scene, feed
from dev.rehearse.judged import lowered, mismatch
from dev.rehearse.load import FIELD, Load
from dev.rehearse.platform import Platform, next_version
from dev.rehearse.report import Proofs, watched
from dev.rehearse.tool import tool
from dev.rehearse.watch import Watch
from dev.servers import kinesis
from dev.servers.job_watch import ArchivedRecords, wait_checkpoints
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from pipeline.deploy.monitoring.alarms import Alarm, alarm
from pipeline.ops.reconcile.options import Options
from pipeline.ops.reconcile.report import Report
from pipeline.ops.reconcile.run import reconcile
from pipeline.ops.systems import Systems
from pipeline.progress import Steps
from pipeline.submit import Submitted

PATIENCE_SECONDS: Final = 240.0
_FIRES_SECONDS: Final = 300.0
_PARTITIONS: Final = 4
_BACKLOG: Final = 1_500
_UPGRADED: Final = 400


@dataclass(kw_only=True)
class Rehearsal:
    """One run on running servers; the job exists from `start_from_bucket` on."""

    root: Path
    folder: Path
    stack: Stack
    steps: Steps
    proofs: Proofs
    account: Account
    platform: Platform
    load: Load
    job: Submitted = field(init=False)
    systems: Systems = field(init=False)
    watch: Watch = field(init=False)

    @classmethod
    def of(cls, root: Path, folder: Path, stack: Stack, steps: Steps, proofs: Proofs) -> Rehearsal:
        """Prepare a run: read the template, make the load and the bare Python."""
        servers = stack.environment()
        aws = account(root, servers)
        with steps.step("making the historical data set"):
            load = Load(folder / "load", aws.topic, aws.source_stream, servers)
        python = as_platform.bare_python(folder / "python")
        platform = Platform(aws, stack, folder / "platform", python)
        return cls(
            root=root, folder=folder, stack=stack, steps=steps, proofs=proofs, account=aws,
            platform=platform, load=load,
        )  # fmt: skip

    def make_resources(self) -> None:
        """Create bucket and streams by the template's properties, and the topic it expects.

        The bucket's policy is left out: it refuses everything that is not TLS, which nothing here
        is.
        """
        servers = self.stack.environment()
        s3, streams = s3_client(servers), kinesis.client(servers["KINESIS_ENDPOINT"])
        with self.steps.step("making bucket and streams"):
            s3.create_bucket(Bucket=self.platform.packages)
            results = resources.make_bucket(s3, self.account.properties("DataBucket"))
            for properties in self.account.streams.values():
                results += resources.make_stream(streams, properties)
            create_topics(
                servers["KAFKA_BOOTSTRAP_SERVERS"],
                source=self.load.topic,
                dead_letters=None,
                partitions=_PARTITIONS,
            )
        taken = sum(not result.refused for result in results)
        observed = (
            f"{taken} of {len(results)} of the template's properties taken by the local servers"
        )
        self.proofs.add("bucket and streams", "done", True, observed)
        self.proofs.notes += [result.sentence() for result in results]
        self.proofs.notes.append("bucket policy: left out, nothing here comes over TLS")
        self.proofs.notes += self.account.changes()

    def start_from_bucket(self, package: Path) -> None:
        """Upload the package, start the job from it, and process a backlog."""
        key = str(self.account.stack.ref("PackageKey"))
        with self.steps.step("replaying a backlog"):
            self.load.replay(to_topic=_BACKLOG, to_stream=_BACKLOG // 3)
        with self.steps.step("starting the package from the bucket"):
            self.platform.upload(package, key)
            self._start(key)
        self.watch = Watch(self.job.config, self.stack.environment, lambda: self.load.on_stream)
        self._drain()
        observed = f"{self.load.records:,} records archived, {len(self.account.groups())} groups"
        self.proofs.add("job from the package, by property groups", "done", True, observed)

    def provoke_all(self) -> None:
        """Provoke every fault, one after the other."""
        scene = Scene(self.stack, self.load, self.job)
        for fault in FAULTS:
            with self.steps.step(f"fault: {fault.what}"):
                self._provoke(fault, scene)
                self._wait_running()

    def judge_lowered(self) -> None:
        """Evaluate alarms with thresholds that local measurements exceed."""
        others = [
            lowered(self.account.alarm(alarm(name)), value) for name, value in LOWERED.items()
        ]
        usual = partial(feed, Scene(self.stack, self.load, self.job))
        with self.steps.step("judging with lowered thresholds"):
            fired = self.watch.wait_on(others, usual, patience_seconds=_FIRES_SECONDS)
        for other in others:
            observed = watched(other, fired.get(other.name, self.watch.values(other)))
            own = f"{observed} (own: {alarm(other.name).threshold:g})"
            self.proofs.add(f"alarm {other.name}", "threshold lowered", other.name in fired, own)

    def stop_and_reconcile(self, version: str) -> None:
        """Stop with a savepoint when everything is read, and reconcile every sink."""
        self._drain()
        self._stop()
        report = self._reconcile()
        for row in report.rows:
            counts = ", ".join(f"{row.count(k)} {k}" for k in ("missing", "doubled", "misplaced"))
            ok = not any(finding.is_error for finding in row.findings)
            observed = f"in {row.due:,}, out {row.observed:,}: {counts}"
            self.proofs.add(f"{version}: {row.step}", "reconciled", ok, observed)
        self.proofs.notes += report.problems()

    def miss_the_job(self) -> None:
        """Check that the alarm for a stopped job fires."""
        (name,) = STOPPED
        stopped = self.account.alarm(alarm(name))
        was_off = not self.watch.is_on(stopped)
        with self.steps.step(f"fault: {STOPPED[name]}"):
            on = self.watch.wait_on([stopped], lambda: None, patience_seconds=_FIRES_SECONDS)
        self._note(STOPPED[name], stopped, on.get(name), was_off=was_off)

    def miss_a_file(self) -> None:
        """Delete a file of the lake, reconcile, and restore it."""
        (name,) = RECONCILED
        s3, bucket = s3_client(self.stack.environment()), self.account.bucket
        with self.steps.step(f"fault: {RECONCILED[name]}"):
            listed = self.systems.store(f"s3a://{bucket}/lake").listing()
            key = f"lake/{listed[0].path}"
            content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            s3.delete_object(Bucket=bucket, Key=key)
            try:
                report = self._reconcile()
            finally:
                s3.put_object(Bucket=bucket, Key=key, Body=content)
        missing = report.row("lake").count("missing")
        observed = f"{missing} missing in the lake without {Path(key).name}"
        self.proofs.add(f"alarm {name}", "provoked", mismatch(alarm(name), report.ok), observed)

    def upgrade(self) -> None:
        """Start the next version from the savepoint: yellow trips have one more nullable field."""
        package = self.folder / "streaming-etl-2.zip"
        with self.steps.step("building the next version"):
            next_version(self.root, package, say=self.steps.say)
        with self.steps.step("starting it from the savepoint"):
            self.platform.upload(package, package.name)
            self._start(package.name, self._savepoint)
        with self.steps.step("replaying events of the next version"):
            self.load.replay(to_topic=_UPGRADED, to_stream=_UPGRADED // 4, upgraded=True)
        self._drain()
        documents = self._indexed(FIELD)
        observed = f"{documents} documents have the new field {FIELD}"
        self.proofs.add("upgraded from the savepoint", "done", documents > 0, observed)

    # What follows is how it is done.

    _savepoint: str = field(default="", init=False)

    def _start(self, key: str, savepoint: str = "") -> None:
        self.job, self.systems = self.platform.start(key, savepoint)
        self._wait_running()

    def _wait_running(self) -> None:
        job = self.job
        wait_for(lambda: job.cluster.running(job.job_id), PATIENCE_SECONDS, "the job did not run")

    def _provoke(self, fault: Fault, scene: Scene) -> None:
        due = [self.account.alarm(alarm(name)) for name in fault.alarms]
        later = [self.account.alarm(alarm(name)) for name in fault.after]
        usual = partial(feed, scene)
        still = self.watch.wait_off([*due, *later], usual, patience_seconds=_FIRES_SECONDS)
        with fault.begin(scene):
            wait_on = partial(self.watch.wait_on, patience_seconds=_FIRES_SECONDS)
            fired = wait_on(due, partial(fault.act, scene), lake=fault.lake)
        fired |= wait_on(later, lambda: None)
        for provoked in (*due, *later):
            self._note(
                fault.what, provoked, fired.get(provoked.name), was_off=provoked.name not in still
            )

    def _note(
        self, what: str, provoked: Alarm, values: list[float | None] | None, *, was_off: bool
    ) -> None:
        observed = watched(provoked, values if values is not None else self.watch.values(provoked))
        before = "" if was_off else "; was on before"
        ok = values is not None and was_off
        self.proofs.add(f"alarm {provoked.name}", "provoked", ok, f"{what}: {observed}{before}")

    def _drain(self) -> None:
        """Wait until completed checkpoints cover everything sent."""
        archived = ArchivedRecords(self.systems.store(f"s3a://{self.account.bucket}/archive"))

        def covered() -> bool:
            self.job.cluster.running(self.job.job_id)
            return archived.count() >= self.load.records

        with self.steps.step("waiting for checkpoints to cover everything"):
            wait_for(covered, PATIENCE_SECONDS, "not all records were archived", every=1.0)
            wait_checkpoints(self.job, 1)

    def _stop(self) -> None:
        with self.steps.step("stopping with a savepoint"):
            into = f"s3a://{self.account.bucket}/savepoints"
            output = tool(
                "stop",
                self.job.job_id,
                "--into",
                into,
                "--json",
                environment=self.stack.environment(),
            )
        self._savepoint = json.loads(output)["savepoint"]

    def _reconcile(self) -> Report:
        return reconcile(self.systems, Options(complete=True, settle_seconds=2.0), self.steps)

    def _indexed(self, name: str) -> int:
        """Count the yellow trips of the index that have a field."""
        assert self.job.config.index is not None, "the template has an index"
        client = self.systems.opensearch()
        index = index_name(self.job.config.index.prefix, "trip")
        client.indices.refresh(index=index)
        query = {"query": {"exists": {"field": name}}}
        return int(client.count(index=index, body=query)["count"])
