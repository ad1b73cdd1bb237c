"""The content of a file, which is there while it is read and may be let go and unpacked again."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cached_property
from typing import IO, BinaryIO, cast

from core.scans.sniffing import HEAD_BYTES, sniff

Buffer = bytes | memoryview
_PIECE = 2**14
_MOST_BEGINNING = 2**20
"""What is further on is unpacked with all the rest."""


class Content:
    """A file's bytes.

    Parameters
    ----------
    unpack : callable
        → the bytes. It may be called again after `let_go`.
    size : int, optional
        How many they are, where that is known without unpacking.
    begin : callable, optional
        → a file that unpacks them from the start on, where that spares unpacking all of them.
    keep : bool
        Whether they are held once they are unpacked: then `let_go` has no effect.
    """

    def __init__(
        self,
        unpack: Callable[[], Buffer],
        size: int | None = None,
        begin: Callable[[], IO[bytes]] | None = None,
        keep: bool = False,
    ) -> None:
        self._unpack, self._size, self._begin, self._keep = unpack, size, begin, keep
        self._view: memoryview | None = None
        self._beginning: tuple[IO[bytes], bytearray] | None = None

    @classmethod
    def of(cls, held: Buffer) -> Content:
        """What is held anyway."""
        return cls(lambda: held)

    @property
    def view(self) -> memoryview:
        """All of it, unpacked where it isn't."""
        if self._view is None:
            self._view = memoryview(self._unpack()).cast("B")
            self._beginning = None
        return self._view

    def part(self, start: int, end: int) -> Buffer:
        """Bytes of it; of those near its beginning no more than these are unpacked."""
        if start >= self.size:
            return b""
        if self._view is None and self._begin and end <= _MOST_BEGINNING:
            file, known = self._beginning = self._beginning or (self._begin(), bytearray())
            if len(known) < end:
                known += file.read(max(end - len(known), _PIECE))
            return bytes(known[start:end])
        return self.view[start:end]

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.view) if self._size is None else self._size

    def let_go(self) -> None:
        """Free what was unpacked, until it is read again."""
        self._beginning = None
        if not self._keep:
            self._view = None

    @cached_property
    def head(self) -> bytes:
        """Its first bytes, enough to tell what it is."""
        return bytes(self.part(0, HEAD_BYTES))

    @cached_property
    def kind(self) -> str | None:
        """As `sniffing.sniff` says it."""
        return sniff(self.head)

    @property
    def stream(self) -> BinaryIO:
        """A file to read from."""
        return cast(BinaryIO, ContentStream(self))


class ContentStream(io.BufferedIOBase):
    """Reads a content without a copy of the whole, as BytesIO makes one of a view."""

    def __init__(self, content: Content) -> None:
        self.content, self._place = content, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place}.get(whence)
        self._place = max(0, offset + (self.content.size if start is None else start))
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        end = self.content.size if size is None or size < 0 else self._place + size
        found = bytes(self.content.part(self._place, end))
        self._place += len(found)
        return found

    def readinto(self, space: object) -> int:
        target = memoryview(space).cast("B")  # type: ignore[arg-type]
        found = self.content.view[self._place : self._place + len(target)]
        target[: len(found)] = found
        self._place += len(found)
        return len(found)
