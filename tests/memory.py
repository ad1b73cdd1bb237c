"""What a process and all that it has started hold of the memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def held(process: int) -> int:
    """Return the bytes that a process and all below it hold; what several share counts once."""
    return sum(_proportional(one) for one in family(process))


def family(process: int) -> Iterator[int]:
    """Yield the numbers of a process and of all below it."""
    yield process
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text(encoding="ascii").split():
                yield from family(int(child))


def _proportional(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    except OSError:  # it has ended meanwhile
        return 0
    return int(lines.partition("\nPss:")[2].split()[0]) * 1024 if "\nPss:" in lines else 0


class Memory:
    """While entered: the most that a process and all below it have held beyond what they held at first, in bytes."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._start, self._most = held(process), 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        """Return it."""
        return self._most - self._start

    def _watch(self) -> None:
        while not self._over.wait(0.03):
            self._most = max(self._most, held(self._process))
