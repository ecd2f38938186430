"""The entry point of the package: a copy of this file is `main.py` at the root of the zip."""

from __future__ import annotations

import sys

from pipeline.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
