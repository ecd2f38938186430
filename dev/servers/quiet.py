"""Keep PyFlink from printing environments, and with them passwords, into Flink's logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

# Loggers of Flink 1.20 that print every environment variable of a process. The first prints those
# of the TaskManager, at WARN and INFO, whenever a Python worker ends (FLINK-39572); the second
# those of `flink run`, at INFO, which must have the passwords that a configuration refers to.
LOGGERS = {
    "pythonworkers": "org.apache.beam.runners.fnexecution.control.DefaultJobBundleFactory",
    "pythonclient": "org.apache.flink.client.python.PythonEnvUtils",
}


def silence(properties: Path) -> None:
    """Turn these loggers off in one of Flink's log4j files."""
    lines = [f"logger.{key}.name = {name}" for key, name in LOGGERS.items()]
    lines += [f"logger.{key}.level = OFF" for key in LOGGERS]
    text = properties.read_text("utf-8")
    properties.write_text("\n".join([text.rstrip("\n"), *lines, ""]), "utf-8")


@contextmanager
def client_configuration(conf: Path) -> Iterator[Path]:
    """Offer FLINK_CONF_DIR for one run of Flink's client: as `conf`, with these loggers off."""
    with TemporaryDirectory(prefix="flink-conf-") as folder:
        for file in conf.iterdir():
            if file.name == "log4j-cli.properties":
                copy = Path(folder, file.name)
                copy.write_bytes(file.read_bytes())
                silence(copy)
            else:
                Path(folder, file.name).symlink_to(file.resolve())
        yield Path(folder)
