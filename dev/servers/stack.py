"""The local servers together: up, down, status, and the crashes that recovery tests ask for."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from connectors import local_files as lock
from connectors.errors import UserError
from connectors.local_files import write_whole
from dev.servers import layout, ports, process
from dev.servers.cache import ServerCache
from dev.servers.layout import SERVERS, Layout
from dev.servers.process import Started
from dev.servers.server import Server

Say = Callable[[str], None]

POLL_SECONDS = 0.2
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server as it is now; `ready` means that it was asked and answered."""

    name: str
    pid: int
    alive: bool
    ready: bool
    url: str
    log: str


class Stack:
    """The servers of one run directory; any number of stacks can run beside each other with free
    ports.

    What runs is known from files in the run directory alone, so any process can ask for the
    status or stop it. Stopping ends exactly the processes that were started, by pid and start
    time, and is safe to repeat.
    """

    def __init__(
        self,
        root: Path,
        *,
        run_dir: Path | None = None,
        free_ports: bool = False,
        task_managers: int = 1,
        servers: tuple[str, ...] = SERVERS,
        slots: int = 2,
    ) -> None:
        self.root = root.resolve()
        self.run_dir = (run_dir or root / "build" / "run").resolve()
        self.free_ports = free_ports
        self.task_managers = task_managers
        self.servers = servers
        self.slots = slots

    @classmethod
    def load(cls, run_dir: Path) -> Stack:
        """The stack that runs (or half runs) in a run directory; UserError when there is none."""
        known = layout.read(run_dir / "stack.json")
        if known is None:
            raise UserError(f"No stack was started in {run_dir}: make up")
        return cls(
            Path(known.root),
            run_dir=run_dir,
            task_managers=len(known.task_managers),
            servers=known.servers,
            slots=known.slots,
        )

    def up(self, say: Say) -> None:
        """Start what does not run yet and wait until all of it answers.

        Raises UserError when a port is taken, a server dies or stays silent (with the end of its
        log), or when what is up was started without one of the servers; what this call had started
        is then stopped again.
        """
        with self.locked():
            wanted = self.known_layout()
            if wanted is None or not any(status.alive for status in self.status()):
                wanted = self.new_layout()
            absent = [name for name in self.servers if name not in wanted.servers]
            if absent:
                names = ", ".join(absent)
                raise UserError(f"What is up has no {names}: make down, then up again")
            missing = self.not_running(layout.servers_of(wanted, self.run_dir))
            if not missing:
                say(f"already up (in {self.run_dir})")
                return
            self.start(missing, say)
            say(f"addresses and keys of the servers: source {self.write_environment()}")

    def down(self, say: Say, *, wipe: bool = False) -> None:
        """Stop everything that was started here, Flink before what it writes to; with `wipe` drop
        the data too."""
        with self.locked():
            started = self.started()
            flink = [name for name in started if name.startswith(("taskmanager", "jobmanager"))]
            self.stop(flink, say)
            self.stop([name for name in started if name not in flink], say)
            self.layout_file.unlink(missing_ok=True)
            self.environment_file.unlink(missing_ok=True)
            if not started:
                say(f"nothing was up (in {self.run_dir})")
        if wipe:
            shutil.rmtree(self.run_dir, ignore_errors=True)

    @contextmanager
    def running(self, say: Say, *, wipe: bool = False) -> Iterator[Stack]:
        """Up for the length of a `with`, and down whatever happens in it."""
        self.up(say)
        try:
            yield self
        finally:
            self.down(say, wipe=wipe)

    def status(self) -> list[ServerStatus]:
        """Each server of the stack as it is now; empty when nothing was started."""
        known = self.known_layout()
        if known is None:
            return []
        started = self.started()
        servers = layout.servers_of(known, self.run_dir)
        return [self.status_of(server, started.get(server.name)) for server in servers.values()]

    def environment(self) -> dict[str, str]:
        """Addresses and throw-away keys of the running stack, as environment variables."""
        return layout.environment_of(self.existing_layout(), self.run_dir)

    def pids(self) -> set[int]:
        """Every living process of the stack, descendants included."""
        return {member.pid for member in self.processes()}

    def processes(self) -> set[psutil.Process]:
        """Every living process of the stack, descendants included."""
        return {member for started in self.started().values() for member in process.family(started)}

    def task_manager_pids(self) -> dict[int, int]:
        """The JVMs' pids by TaskManager number, of those alive."""
        managers = {
            number: self.started().get(f"taskmanager-{number}")
            for number in self.existing_layout().task_managers
        }
        return {
            n: started.pid
            for n, started in managers.items()
            if started and process.is_alive(started)
        }

    def python_worker_pids(self) -> set[int]:
        """The Python processes that Flink's TaskManagers run our functions in."""
        family = {
            member.pid
            for name, started in self.started().items()
            if name.startswith("taskmanager")
            for member in process.family(started)
        }
        return {
            pid for pid in family if "pyflink.fn_execution" in " ".join(ports.command_line(pid))
        }

    def restart_task_manager(self, number: int, say: Say) -> None:
        """Start a TaskManager anew, after ending what is left of its predecessor; returns when it
        is registered. A new number adds one."""
        with self.locked():
            self.stop([f"taskmanager-{number}"], say)
            known = self.existing_layout()
            known.task_managers[number] = ports.unused(1)[0]
            layout.write(self.layout_file, known)
            self.start_named([f"taskmanager-{number}"], say)
            self.write_environment()

    def remove_task_manager(self, number: int, say: Say) -> None:
        """Stop a TaskManager for good; returns when the cluster has no slots of it."""
        name = f"taskmanager-{number}"
        with self.locked():
            known = self.existing_layout()
            server = layout.servers_of(known, self.run_dir)[name]
            self.stop([name], say)
            while server.is_ready():
                time.sleep(POLL_SECONDS)
            del known.task_managers[number]
            layout.write(self.layout_file, known)
            self.write_environment()

    def stop_server(self, name: str, say: Say) -> None:
        """Stop one server, keeping its data and its place: an outage."""
        with self.locked():
            self.stop([name], say)

    def start_server(self, name: str, say: Say) -> None:
        """Start one stopped server again on the same ports and data; returns when it is ready."""
        with self.locked():
            self.start_named([name], say)

    # What follows is how it is done.

    @property
    def layout_file(self) -> Path:
        """What the running stack is made of."""
        return self.run_dir / "stack.json"

    @property
    def environment_file(self) -> Path:
        """Shell commands that export `environment`: what the operator tools are given."""
        return self.run_dir / "env.sh"

    def write_environment(self) -> Path:
        """Write `environment_file`; return it, relative to the checkout where it is inside."""
        lines = [f"export {name}={shlex.quote(text)}" for name, text in self.environment().items()]
        write_whole(self.environment_file, "\n".join([*lines, ""]).encode())
        inside = self.environment_file.is_relative_to(self.root)
        return self.environment_file.relative_to(self.root) if inside else self.environment_file

    def known_layout(self) -> Layout | None:
        """The layout of the running stack, if any."""
        return layout.read(self.layout_file)

    def existing_layout(self) -> Layout:
        """The layout of the running stack; UserError when there is none."""
        known = self.known_layout()
        if known is None:
            raise UserError(f"No stack was started in {self.run_dir}: make up")
        return known

    def new_layout(self) -> Layout:
        """Choose the ports of a stack that is about to start, and drop the logs of the one
        before."""
        preferred = layout.preferred_ports(self.servers)
        chosen = ports.choose(preferred, free=self.free_ports, within=layout.WITHIN)
        numbers = range(1, self.task_managers + 1) if "flink" in self.servers else ()
        fresh = Layout(
            root=str(self.root),
            servers=self.servers,
            slots=self.slots,
            ports=chosen,
            task_managers=dict(zip(numbers, ports.unused(len(numbers)), strict=True)),
        )
        shutil.rmtree(self.run_dir / "logs", ignore_errors=True)
        layout.write(self.layout_file, fresh)
        return fresh

    def started(self) -> dict[str, Started]:
        """What the pid files say was started, alive or not."""
        files = sorted((self.run_dir / "pids").glob("*.json"))
        records = {file.stem: process.read(file) for file in files}
        return {name: started for name, started in records.items() if started is not None}

    def not_running(self, servers: dict[str, Server]) -> list[Server]:
        """Those that have to be started."""
        started = self.started()
        return [
            server
            for name, server in servers.items()
            if name not in started or not process.is_alive(started[name])
        ]

    def start_named(self, names: Iterable[str], say: Say) -> None:
        """Start some servers of the running stack."""
        servers = layout.servers_of(self.existing_layout(), self.run_dir)
        self.start([servers[name] for name in names], say)

    def start(self, servers: list[Server], say: Say) -> None:
        """Start servers side by side and wait for all; stop them again if that fails or is
        interrupted."""
        if not ServerCache(self.root).stamps.is_dir():
            raise UserError("The servers are not installed: make setup")
        say(f"starting {', '.join(server.name for server in servers)} ...")
        with ExitStack() as undo:
            undo.callback(self.stop, [server.name for server in servers], say)
            for server in servers:
                server.prepare()
                self.start_process(server)
            self.wait_until_ready(servers, say)
            undo.pop_all()

    def start_process(self, server: Server) -> None:
        """Start one server's process."""
        process.start(
            server.command,
            environment=server.environment,
            log=self.run_dir / "logs" / f"{server.name}.log",
            pid_file=self.pid_file(server.name),
        )

    def wait_until_ready(self, servers: list[Server], say: Say) -> None:
        """Ask each until it answers; UserError with the end of its log when it dies or stays
        silent."""
        began = time.monotonic()
        pending = list(servers)
        while pending:
            for server in list(pending):
                started = self.check_alive(server, time.monotonic() - began)
                if is_ready(server, started):
                    say(
                        f"{server.name} is ready at {server.url} ({time.monotonic() - began:.0f} s)"
                    )
                    pending.remove(server)
            time.sleep(POLL_SECONDS if pending else 0)

    def check_alive(self, server: Server, seconds: float) -> Started:
        """The starting server's process; UserError when it has ended or has had its time."""
        started = process.read(self.pid_file(server.name))
        if started is not None and process.is_alive(started) and seconds < server.patience:
            return started
        what = "did not get ready in time" if seconds >= server.patience else "ended while starting"
        log = self.run_dir / "logs" / f"{server.name}.log"
        raise UserError(f"{server.name} {what}. The end of {log}:\n{process.log_tail(log)}")

    def stop(self, names: list[str], say: Say) -> None:
        """Stop some servers side by side and forget them."""
        chosen = {name: started for name, started in self.started().items() if name in names}
        for started in chosen.values():
            process.terminate(started)
        for name, started in chosen.items():
            process.stop(started, patience=STOP_SECONDS)
            self.pid_file(name).unlink(missing_ok=True)
            say(f"{name} stopped")

    def status_of(self, server: Server, started: Started | None) -> ServerStatus:
        """One server as it is now."""
        alive = started is not None and process.is_alive(started)
        return ServerStatus(
            name=server.name,
            pid=started.pid if started else 0,
            alive=alive,
            ready=alive and started is not None and is_ready(server, started),
            url=server.url,
            log=str(self.run_dir / "logs" / f"{server.name}.log"),
        )

    def pid_file(self, name: str) -> Path:
        """Where one server's pid is kept."""
        return self.run_dir / "pids" / f"{name}.json"

    def locked(self) -> AbstractContextManager[None]:
        """Keep two commands from starting and stopping the same stack at once."""
        busy = f"Another command is starting or stopping the servers in {self.run_dir}: wait for it"
        return lock.exclusive(self.run_dir / "lock", busy=busy)


def is_ready(server: Server, started: Started) -> bool:
    """Whether the server listens on its port itself and answers."""
    running = process.living(started)
    open_ports = {listener.port for listener in ports.listeners_of([running] if running else [])}
    return server.port in open_ports and server.is_ready()
