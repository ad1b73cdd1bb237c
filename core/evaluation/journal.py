"""JSON lines that outlive the process which writes them: work that was cut off goes on where it stopped."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class Journal:
    """Lines of one run in a file, each written whole and at once.

    Parameters
    ----------
    path : Path
        Made where it doesn't exist; its folder has to be there.
    run : mapping
        What the lines depend on.

    Attributes
    ----------
    lines : tuple of dict
        What was in the file when it was opened. A last line that was torn when its writer was killed is cut off.

    Raises
    ------
    ValueError
        The file is of another run.
    OSError
        The file can't be read or written.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self.path = path
        self._first = first = json.dumps({"run": fingerprint(run)}).encode() + b"\n"
        known = path.read_bytes() if path.exists() else b""
        if not known.startswith(first) and not first.startswith(known):
            raise ValueError(f"{path} holds the answers of another evaluation; name another file, or delete it.")
        whole = known[: known.rfind(b"\n") + 1]
        if len(whole) < len(known):
            os.truncate(path, len(whole))
        if not whole:
            self._write(first)
        self.lines = tuple(_parsed(whole.splitlines()[1:]))

    def add(self, line: Mapping[str, Any]) -> None:
        """Write one more line. It is in the system's hands before this returns, so that a killed process keeps it."""
        self._write(json.dumps(line).encode() + b"\n")

    def now(self) -> tuple[dict[str, Any], ...]:
        """What is in the file at this moment, as others write to it too; empty where it isn't this run's any more.

        Raises
        ------
        OSError
            The file is there and can't be read.
        """
        try:
            known = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        whole = known[: known.rfind(b"\n") + 1]
        return tuple(_parsed(whole.splitlines()[1:])) if whole.startswith(self._first) else ()

    def _write(self, line: bytes) -> None:
        # One write and no buffer: two processes that append to the same file don't mix their lines.
        with self.path.open("ab", buffering=0) as file:
            # Another may have deleted the file: what is written to it anew has to be known as this run's.
            begun = file.tell() or line == self._first
            file.write(line if begun else self._first + line)


def _parsed(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    """Each line that can be read; one that a full disk cut short is as good as not written."""
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def fingerprint(run: Mapping[str, Any]) -> str:
    """SHA-256, hex, of what a run depends on; the order of its entries doesn't matter."""
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()


def cache_folder() -> Path:
    """Where results are kept from one start of the program to the next; the folder need not exist yet.

    ``PURESCAN_CACHE`` where it is set, else purescan/ in the user's cache folder (XDG Base Directory Specification).
    """
    if wanted := os.environ.get("PURESCAN_CACHE"):
        return Path(wanted)
    given = os.environ.get("XDG_CACHE_HOME", "")
    # The specification tells to ignore a path that isn't absolute.
    home = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    return home / "purescan"
