"""One recorded study of one classifier, and which studies asked about the same scans: only these can be compared."""

import shlex
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Study:
    """One study of one classifier.

    Attributes
    ----------
    rows : tuple of Row
        Of the type that `core.faults.record.STUDIES` names.
    n, seed : int
        Validation scans, and what drew them and the faults.
    command, made_with : str
        What measured it, and the SHA-256 of the classifier's weights file as it was then.
    data_sha256 : str
        Of the data sets that the scans were drawn from; empty in records from before this was noted.
    """

    rows: tuple[Any, ...]
    n: int
    seed: int
    command: str
    made_with: str
    data_sha256: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the data sets, as the command gives them."""
        return data_files(self.command)

    @property
    def scans(self) -> str:
        """Names of the data sets in words, such as ``br35h, cheng``."""
        return ", ".join(Path(name).stem for name in self.files)


def data_files(command: str) -> tuple[str, ...]:
    """What follows --data in a command, as far as the next option; empty without it."""
    _, found, rest = command.partition(" --data ")
    return tuple(takewhile(lambda word: not word.startswith("--"), shlex.split(rest))) if found else ()


def same_data(one: tuple[tuple[str, ...], str], other: tuple[tuple[str, ...], str]) -> bool:
    """Whether two (names of data sets, SHA-256) are of the same data; an empty SHA-256 leaves that to the names."""
    if one[1] and other[1]:
        return one[1] == other[1]
    return one[0] == other[0]


def same_scans(one: Study, other: Study) -> bool:
    """Whether two studies asked about the same scans, drawn with the same seed."""
    drawn = (one.n, one.seed) == (other.n, other.seed)
    return drawn and same_data((one.files, one.data_sha256), (other.files, other.data_sha256))


def by_scans(studies: Mapping[Name, Study]) -> list[list[Name]]:
    """The names of the studies in groups that asked about the same scans, in the order in which they come."""
    groups: list[list[Name]] = []
    for name, study in studies.items():
        fitting = (group for group in groups if all(same_scans(studies[other], study) for other in group))
        group = next(fitting, None)
        if group is None:
            groups.append([name])
        else:
            group.append(name)
    return groups
