"""A site's own unattacked scans → the scores that a profile is fitted on, one scan a volume."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.bundles import Bundle
from core.defence.examination import Examination
from core.defence.pipeline import examine
from core.defence.profile import Profile, fit_profile
from core.report.cohort import packed
from core.report.sources import Source
from core.scans import Scan, ScanError, load_scan
from core.scans.text import one_line

MADE_HERE = ("attacked", "purified")


@dataclass
class SiteScans:
    """What was found among a site's files so far.

    Attributes
    ----------
    files : int
        How many there are.
    opened, settled : int
        How many of them were opened, and of how many it is known what becomes of them.
    scores : mapping of str to list of float
        Score → one value a scan that counts.
    flagged, altered : int
        Of the scans that count, how many are flagged, or altered, with the thresholds as shipped, which says nothing
        of a classifier that was added; none is altered where the bundle doesn't ask that.
    same_volume : int
        Files left out because another slice of their series counts.
    duplicates : int
        Scans left out because one with the same pixels counts.
    refused : int
        Scans left out because the bundle doesn't take them.
    made_here : int
        Files left out because Purescan wrote them, attacked or purified.
    unreadable : list of (str, str)
        Name and reason, of files that can't be opened; for showing alone.
    """

    files: int
    opened: int = 0
    settled: int = 0
    scores: dict[str, list[float]] = field(default_factory=dict)
    flagged: int = 0
    altered: int = 0
    same_volume: int = 0
    duplicates: int = 0
    refused: int = 0
    made_here: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set, repr=False)

    @property
    def scans(self) -> int:
        """How many scans count."""
        return len(next(iter(self.scores.values()), ()))

    def fitted(self, bundle: Bundle, classifier: str, epsilon: float | None = None) -> Profile:
        """The profile, on request a private one; ProfileError, one sentence, where too few scans count."""
        nothing: dict[str, list[float]] = {name: [] for name in bundle.starting_limits(classifier).thresholds}
        return fit_profile(self.scores or nothing, bundle, classifier, epsilon=epsilon)

    def left_out(self) -> list[str]:
        """What doesn't count and why, in words; empty where all of it does."""
        reasons = {
            "refused as no scan this bundle takes": self.refused,
            "with the same pixels as another": self.duplicates,
            "other slices of a volume that counts once": self.same_volume,
            "attacked or purified by Purescan": self.made_here,
            "unreadable": len(self.unreadable),
        }
        return [f"{count} {why}" for why, count in reasons.items() if count]


def folder_files(folder: Path) -> list[Source]:
    """Every file below a folder, in the natural order of their names; ScanError where there is none."""
    if not folder.is_dir():
        raise ScanError(f"There is no folder '{one_line(folder.name)}': name the one with the site's scans.")
    paths = [Path(parent) / file for parent, _, files in os.walk(folder) for file in files if not file.startswith(".")]
    if not paths:
        raise ScanError(f"'{one_line(folder.name)}' is an empty folder: choose the one with the site's scans.")
    return [Source(str(path.relative_to(folder)), "", path.read_bytes) for path in sorted(paths, key=_natural)]


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def site_scans(files: Sequence[Source], bundle: Bundle, classifier: str, seed: int = 0) -> Iterator[SiteScans]:
    """Open and examine a site's files; yield the same record after each step, with more in it.

    Slices of one volume are no independent scans, so a volume counts once, by its default frame: of a file with many
    frames the middle one, of a DICOM series in many files the middle one of the series as `load_scan` orders it; where
    the series can't be opened as one, the file in the middle of their names. Scans are examined with the bundle's own
    thresholds, and none is kept; of a classifier that was added the scores count, whatever is flagged.
    """
    if classifier in bundle.added:
        bundle = replace(bundle, limits={**bundle.limits, classifier: bundle.starting_limits(classifier)})
    found = SiteScans(len(files))
    series: dict[str, list[Source]] = {}
    for source in files:
        scan = _opened(source, found)
        found.opened += 1
        if scan is None or scan.derived in MADE_HERE:
            found.made_here += scan is not None
            found.settled += 1
        elif scan.series is not None:
            series.setdefault(scan.series, []).append(source)
        else:
            _take(scan, found, bundle, classifier, seed)
            found.settled += 1
        yield found
    for parts in series.values():
        scan = _opened_together(parts) or _opened(parts[len(parts) // 2], found)
        if scan is not None:
            _take(scan, found, bundle, classifier, seed)
        found.same_volume += len(parts) - 1
        found.settled += len(parts)
        yield found


def _opened_together(parts: list[Source]) -> Scan | None:
    try:
        return load_scan(packed(parts), "series") if len(parts) > 1 else None
    except (ScanError, OSError):
        return None


def _opened(source: Source, found: SiteScans) -> Scan | None:
    try:
        return load_scan(source.read(), source.name)
    except ScanError as error:
        found.unreadable.append((source.name, str(error)))
    except OSError as error:
        found.unreadable.append((source.name, f"'{one_line(source.name)}' can't be read: {error.strerror}."))
    return None


def _take(scan: Scan, found: SiteScans, bundle: Bundle, classifier: str, seed: int) -> None:
    exam = examine(scan, bundle, classifier=classifier, seed=seed)
    digest = _pixels_digest(exam)
    if exam.refused or exam.detection is None:
        found.refused += 1
    elif digest in found.seen:
        found.duplicates += 1
    else:
        found.seen.add(digest)
        found.flagged += exam.detection.flagged
        found.altered += bool(exam.detection.altered)
        for name, value in exam.detection.scores.items():
            found.scores.setdefault(name, []).append(value)


def _pixels_digest(exam: Examination) -> bytes:
    """What tells the pixels that the models saw from others, at 8 bits."""
    return hashlib.sha256((exam.pixels * 255).round().astype("uint8").tobytes()).digest()
