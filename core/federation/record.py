"""assets/federation/record.json: what a federation of real sites was measured to reach, round by round.

`training.measure.federation` writes it. Accuracies are shares in [0, 1] on validation scans, with 95 % intervals by
bootstrap over patients or near-duplicate groups. `POOLED` stands among the sites for the scans of all of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.federation.configurations import Measured

PATH = Path(__file__).resolve().parents[2] / "assets" / "federation" / "record.json"
COMMAND = "python -m training.measure.federation --data br35h.npz tcga-lgg.npz cheng.npz"
FEDAVG, MIXTURE, PERSONAL, LOCAL = "fedavg", "mixture", "personal", "local"
WAYS = (FEDAVG, MIXTURE, PERSONAL, LOCAL)
RULES = ("mean", "median", "krum")
NO_POISON, FLIPPED_LABELS, FLIPPED_SIGNS = "none", "labels", "signs"
POISONS = (NO_POISON, FLIPPED_LABELS, FLIPPED_SIGNS)
POOLED = "pooled"


class RecordError(ValueError):
    """One sentence: why the record can't be read."""


@dataclass(frozen=True)
class SiteFacts:
    """A site and its data.

    Attributes
    ----------
    name, description, source : str
        What it is called, what it is, and where its scans come from with their licence.
    train, val : mapping of str to int
        Class → scans to train on, and scans to measure on.
    groups : int
        Patients, or near-duplicate groups, among the latter.
    histogram : tuple of float
        Shares of its training scans' pixels above the background, by grey level from 0 to 1 in equal bins.
    mean_picture : str
        The mean of its training scans, a PNG in base64.
    pictures : tuple of str
        A few validation scans, PNG in base64, the one that the gate is followed on first; empty where the licence
        doesn't allow to show them.
    followed : str
        Class of the validation scan that the gate is followed on.
    """

    name: str
    description: str
    source: str
    train: Mapping[str, int]
    val: Mapping[str, int]
    groups: int
    histogram: tuple[float, ...]
    mean_picture: str
    pictures: tuple[str, ...]
    followed: str


@dataclass(frozen=True)
class Figure:
    """What a network reaches on n scans of so many groups; auc None where one class is missing."""

    n: int
    groups: int
    accuracy: Measured
    auc: Measured | None


@dataclass(frozen=True)
class RoundFigures:
    """How things stood after a round.

    Attributes
    ----------
    figures : mapping of str to mapping of str to Figure
        One of WAYS → site or POOLED → what it reaches on that site's validation scans.
    gate : mapping of str to tuple of float
        Site → how much the mixture trusts each site's network for the one scan that is followed there.
    """

    figures: Mapping[str, Mapping[str, Figure]]
    gate: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Unseen:
    """What the networks reach at a site that took no part.

    Attributes
    ----------
    site : str
    trained_on : tuple of str
        Who took part instead.
    n, groups : int
        Scans and patients; of one patient there is no interval.
    accuracy : mapping of str to Measured
        One of WAYS → share; 'personal' and 'local' are means over the networks of all sites.
    gains : mapping of str to Measured
        The mixture's accuracy less that of another way, paired over the scans.
    """

    site: str
    trained_on: tuple[str, ...]
    n: int
    groups: int
    accuracy: Mapping[str, Measured]
    gains: Mapping[str, Measured]


@dataclass(frozen=True)
class Poisoned:
    """The last round's network under one rule, with one site poisoned; `cost`: the same rule unpoisoned, less this."""

    rule: str
    poison: str
    accuracy: Measured
    cost: Measured


@dataclass(frozen=True)
class FederationRecord:
    """All that was measured.

    Attributes
    ----------
    command, seed, settings, minutes
        How it was made: the settings are those of the plan, `minutes` of computing in all.
    sites : tuple of SiteFacts
        In the order of the gate's weights.
    rounds : tuple of RoundFigures
    gains : mapping of str to mapping of str to Measured
        Another way → site or POOLED → the mixture's accuracy less the other's after the last round, paired.
    unseen : tuple of Unseen
    crossing : mapping of str to int
        Bytes of one site: an update as `fedavg` and as `medfedpure` send it, the whole `network` for the gate,
        an `encrypted` update, and the encrypted `token` of one scan.
    poisoned_site : str
    poisoned : tuple of Poisoned
        Every rule under every poison.
    """

    command: str
    seed: int
    settings: Mapping[str, float]
    minutes: float
    sites: tuple[SiteFacts, ...]
    rounds: tuple[RoundFigures, ...]
    gains: Mapping[str, Mapping[str, Measured]]
    unseen: tuple[Unseen, ...]
    crossing: Mapping[str, int]
    poisoned_site: str
    poisoned: tuple[Poisoned, ...]

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "FederationRecord":
        """Read what `training.measure.federation` wrote; KeyError, TypeError or ValueError where it is something else.

        Parameters
        ----------
        content : mapping
            Of the whole file, all parts of the measurement.
        """
        parts = content["parts"]
        rows = [row for rule in RULES for row in parts[f"poison {rule}"]["rows"]]
        return cls(
            command=content["command"],
            seed=content["basis"]["seed"],
            settings=content["basis"]["settings"],
            minutes=sum(part["minutes"] for part in parts.values()),
            sites=tuple(_site(row) for row in parts["sites"]["rows"]),
            rounds=tuple(_round(row) for row in parts["rounds"]["rows"]),
            gains={way: _measures(row) for way, row in parts["rounds"]["gains"].items()},
            unseen=tuple(_unseen(row) for row in (*parts["rounds"]["unseen"], *parts["unseen"]["rows"])),
            crossing=dict(parts["crossing"]["bytes"]),
            poisoned_site=content["basis"]["poisoned"],
            poisoned=tuple(
                Poisoned(row["rule"], row["poison"], Measured(*row["accuracy"]), Measured(*row["cost"])) for row in rows
            ),
        )


def read_record(path: Path = PATH) -> FederationRecord | None:
    """What is recorded; None where nothing is.

    Raises
    ------
    RecordError
        The file is damaged, or its measurement was cut off; one sentence.
    """
    if not path.is_file():
        return None
    try:
        return FederationRecord.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path.name} of the federation is damaged or not finished; run {COMMAND} again.") from error


def _site(row: Mapping[str, Any]) -> SiteFacts:
    lists = {name: tuple(row[name]) for name in ("histogram", "pictures")}
    return SiteFacts(**{**row, **lists})


def _round(row: Mapping[str, Any]) -> RoundFigures:
    figures = {way: {site: _figure(each) for site, each in row["figures"][way].items()} for way in WAYS}
    return RoundFigures(figures, {site: tuple(weights) for site, weights in row["gate"].items()})


def _figure(row: Mapping[str, Any]) -> Figure:
    auc = Measured(*row["auc"]) if row["auc"] else None
    return Figure(row["n"], row["groups"], Measured(*row["accuracy"]), auc)


def _unseen(row: Mapping[str, Any]) -> Unseen:
    accuracy, gains = _measures(row["accuracy"]), _measures(row["gains"])
    return Unseen(row["site"], tuple(row["trained_on"]), row["n"], row["groups"], accuracy, gains)


def _measures(row: Mapping[str, Any]) -> dict[str, Measured]:
    return {name: Measured(*values) for name, values in row.items()}
