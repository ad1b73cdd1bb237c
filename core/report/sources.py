"""Where the scans of a cohort come from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.report.regions import OutlineFile
from core.scans.memory.content import Buffer


@dataclass(frozen=True)
class Source:
    """Where a case comes from.

    Attributes
    ----------
    name : str
        File name to show.
    sha256 : str
        Of the content, hex; of several files that are one series, of their digests in their order.
    read : callable
        → the content of the file, of several a ZIP archive; it isn't kept in memory between two readings.
    reference : Path or None
        The clean scan that this one was made from, where it is known.
    outlines : tuple of OutlineFile
        What may outline something on it.
    files : int
        How many files it is in.
    left_out : int
        How many files that came with it were left out, such as the viewer on a patient CD; of an archive its first scan
        counts them.
    not_unpacked : tuple of str
        Why some of these could not be unpacked, one sentence each: what is no scan isn't among them.
    truth : str or None
        The class that it is known to be of.
    """

    name: str
    sha256: str
    read: Callable[[], Buffer]
    reference: Path | None = None
    outlines: tuple[OutlineFile, ...] = ()
    files: int = 1
    left_out: int = 0
    not_unpacked: tuple[str, ...] = ()
    truth: str | None = None
