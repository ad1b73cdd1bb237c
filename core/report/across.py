"""The recorded defence of a bundle, as tasks are held side by side: from its answers to the calibration scans."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from core.bundles.bundle import INSTABILITY
from core.bundles.calibration import Calibration
from core.bundles.record import Record, bundle_record
from core.defence.fitting import cross_fitted_limits
from core.evaluation.operating_points import JOINT, Condition, OperatingPoint, Roc, operating_point, recorded, roc
from core.evaluation.tradeoff import results_entry


class Attacked(NamedTuple):
    """A task under one attack, by an attacker who knows the classifier and not the defence.

    Attributes
    ----------
    point : OperatingPoint
        With limits that were fitted without each scan's fold.
    altered : Roc or None
        How the scores that ask whether anything was added tell attacked scans from clean ones, all together; None where
        the bundle doesn't ask.
    misleading : Roc
        The same of decision instability, which raises the alarm.
    command : str
        What measures these figures again.
    """

    condition: Condition
    point: OperatingPoint
    altered: Roc | None
    misleading: Roc
    command: str


@dataclass(frozen=True)
class Task:
    """One clinical task, with its default classifier.

    Attributes
    ----------
    classes : int
        How many there are to choose from.
    pixels : int
        A side of the pictures that its networks take.
    lacks : str or None
        One sentence: why nothing is known of a defence; None where something is.
    n, groups : int
        Calibration scans, and near-duplicate groups among them; 0 where `lacks` says why.
    split : str
        Of the data set that they are from, such as ``val``; empty where that isn't recorded.
    attacks : mapping of str to Attacked
        `Condition.name` → what is recorded under it, by method and strength.
    """

    name: str
    title: str
    classifier: str
    classes: int
    pixels: int
    modalities: tuple[str, ...]
    lacks: str | None
    n: int
    groups: int
    split: str
    attacks: Mapping[str, Attacked]


def recorded_task(name: str) -> Task:
    """What is recorded of a bundle; BundleError, one sentence, where there is none or its record is damaged."""
    record = bundle_record(name)
    facts, answers = record.facts, record.calibration
    return Task(
        name=name,
        title=facts["title"],
        classifier=facts["default_classifier"],
        classes=len(facts["classes"]),
        pixels=facts["input"]["resolution"],
        modalities=tuple(facts["modalities"]),
        lacks=record.lacks,
        n=len(answers.labels) if answers else 0,
        groups=len(set(answers.groups)) if answers else 0,
        split=facts.get("calibrated", {}).get("split", ""),
        attacks=_attacks(answers, _commands(record)) if answers else {},
    )


def _attacks(calibration: Calibration, commands: Mapping[str, str]) -> dict[str, Attacked]:
    limits = cross_fitted_limits(calibration)
    asked = all(own.altered for own in limits)
    return {
        condition.name: Attacked(
            condition,
            operating_point(calibration, condition.name, limits),
            roc(calibration, condition.name, JOINT, limits) if asked else None,
            roc(calibration, condition.name, INSTABILITY),
            commands.get(condition.name, commands[""]),
        )
        for condition in recorded(calibration)
        if not condition.benign
    }


def _commands(record: Record) -> dict[str, str]:
    """Condition → the command that measures its figures alone, where one is recorded; under "" what measures all."""
    rows, whole = (results_entry(record.folder, name) for name in ("rows", "command"))
    measured = {row["condition"]: row["report"]["settings"]["command"] for row in rows}
    return {"": whole or record.facts.get("calibrated", {}).get("command", ""), **measured}
