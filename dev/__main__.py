"""`python -m dev`: the workbench of a checkout. Local servers, demo, rehearsal, derived files.

Exit codes are those of `streaming-etl`: 0 done, 1 something was found wrong, 2 to be fixed by you.
"""

from __future__ import annotations

import sys

from connectors.errors import UserError
from dev.demo import commands as demo
from dev.rehearse import commands as rehearse
from dev.servers.commands import app
from dev.templates.commands import take_over, template

app.command(epilog="Example: python -m dev demo --source both --events 300000 --keep")(demo.demo)
app.command(epilog="Example: python -m dev page --picture")(demo.page)
app.command(epilog="Example: python -m dev rehearse --keep")(rehearse.rehearse)
app.command(epilog="Example: python -m dev template --write")(template)
app.command(
    epilog="Example: python -m dev take-over --account 123456789012 --region eu-west-1 > taken.json"
)(take_over)


def main() -> None:
    """Run a command; a mistake of the user is printed and exits with 2."""
    try:
        app(prog_name="python -m dev")
    except (UserError, TimeoutError) as error:
        print(f"python -m dev: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UserError) else 1)


if __name__ == "__main__":
    main()
