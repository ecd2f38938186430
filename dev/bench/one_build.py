"""The whole job of one checkout, run by that checkout's interpreter for `dev.bench.builds`.

`one_build.py SERVERS OUTPUT INDEX_URL TOPIC RECORDS BAD BYTES`. Prints the figures as JSON. It uses
only what the benches of earlier versions have, too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dev.bench.contenders import Bench, configured
from dev.bench.topic import Topic


def main(servers: str, output: str, url: str, name: str, *sizes: str) -> None:
    """Run the job with archive, lake, dead letters and an index."""
    folder = Path(output)
    records, bad, size = map(int, sizes)
    bench = Bench(servers, folder.parent)
    sections = {
        "archive": {"path": f"file://{folder}/archive"},
        "index": {"url": url, "prefix": f"{folder.name}-", "refresh_interval": "30s"},
    }
    config = bench.config(name, folder, **sections)
    figures = configured(bench, Topic(name, records, bad, size), folder, config)
    names = ("start_seconds", "run_seconds", "cpu_seconds", "peak_bytes")
    print(json.dumps({name: getattr(figures, name) for name in names}))


if __name__ == "__main__":
    main(*sys.argv[1:])
