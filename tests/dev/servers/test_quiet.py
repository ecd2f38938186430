"""The loggers that print environments are off in a copy of Flink's configuration."""

from __future__ import annotations

from pathlib import Path

from dev.servers import quiet


def test_client_gets_its_configuration_with_the_loggers_off(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("rest.port: 8081\n")
    (tmp_path / "log4j-cli.properties").write_text("rootLogger.level = INFO")
    (tmp_path / "sub").mkdir()

    with quiet.client_configuration(tmp_path) as conf:
        assert {each.name for each in conf.iterdir()} == {each.name for each in tmp_path.iterdir()}
        assert (conf / "config.yaml").read_text() == "rest.port: 8081\n"
        lines = (conf / "log4j-cli.properties").read_text().splitlines()

    assert lines == [
        "rootLogger.level = INFO",
        "logger.pythonworkers.name = "
        "org.apache.beam.runners.fnexecution.control.DefaultJobBundleFactory",
        "logger.pythonclient.name = org.apache.flink.client.python.PythonEnvUtils",
        "logger.pythonworkers.level = OFF",
        "logger.pythonclient.level = OFF",
    ]
    assert (tmp_path / "log4j-cli.properties").read_text() == "rootLogger.level = INFO"
    assert not conf.exists()
