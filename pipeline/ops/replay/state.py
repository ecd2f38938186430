"""How far a replay has come, in a file, so that another one can go on from there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from connectors.errors import UserError
from connectors.local_files import write_whole
from pipeline.ops.replay.history import Selection, Spans


class State(msgspec.Struct, frozen=True, kw_only=True):
    """`sent` events of round number `round` are acknowledged, and all of those before them.

    What is above is for knowing the replay again: another one must not go on from here.
    """

    input: str
    fingerprint: str
    selection: str
    targets: tuple[str, ...]
    rounds: int = 1
    round: int = 0
    sent: int = 0
    total: int = 0
    spans: Spans | None = None
    finished: bool = False


def default_path(folder: Path, state: State) -> Path:
    """A file's name made of input, selection and targets."""
    known = [state.input, state.selection, *state.targets, str(state.rounds)]
    name = hashlib.sha256(msgspec.json.encode(known)).hexdigest()[:16]
    return folder / f"{name}.json"


def described(selection: Selection) -> str:
    """A selection as a text that tells it from another."""
    return msgspec.json.encode(selection).decode()


def save(path: Path, state: State) -> None:
    """Replaces the file whole."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(state)))


def resumed(path: Path, now: State) -> State:
    """The state to go on from.

    Raises:
        UserError: there is none, or it is of another input, selection or target.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        raise UserError(
            f"--resume: there is no state of such a replay at {path}. Give the same input, options"
            " and targets as before, or --state FILE; or leave --resume out to begin anew."
        ) from None
    except msgspec.DecodeError as error:
        raise UserError(f"--resume: {path} is not a state of ours ({error}).") from None
    for what, then, today in _differences(found, now):
        raise UserError(
            f"--resume: {path} is of another replay: {what} was {then} and is now {today}. Give"
            " what was given then, or leave --resume out to begin anew."
        )
    return found


def _differences(found: State, now: State) -> Sequence[tuple[str, str, str]]:
    pairs = [
        ("the input", found.input, now.input),
        ("the selection", found.selection, now.selection),
        ("the target", ", ".join(found.targets), ", ".join(now.targets)),
        ("--loop", str(found.rounds), str(now.rounds)),
        ("the data set's fingerprint", found.fingerprint, now.fingerprint),
    ]
    return [pair for pair in pairs if pair[1] != pair[2]]
