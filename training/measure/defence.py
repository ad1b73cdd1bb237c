"""Measure how a bundle is attacked and defended: undefended, defended, flagged, for every classifier and condition.

Each row is one `python -m core evaluate` command, which the row names. Answers that were recorded with the weights of
today (`training.measure.answers`) are not measured again, nor are the rows of slow attackers, who get fewer scans.
Attackers who know the defence have a protocol of their own, `training.measure.white_box`, and certificates theirs,
`training.measure.certified`: both take hours.
`training.publish.tables` runs this.
"""

import argparse
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tqdm import tqdm

from core.attacks import AttackSettings
from core.bundles import Bundle
from core.bundles.calibration import NOTHING, Calibration, Limits
from core.defence.fitting import cross_fitted_limits
from core.evaluation.datasets import Dataset
from core.evaluation.evaluation import columns_of, evaluate, own_limits, settings_record, weights_record
from core.evaluation.operating_points import operating_point
from core.evaluation.summary import summary
from core.evaluation.timing import machine, measure_timings
from core.evaluation.timing_explanations import mixture_timings
from training.conditions import condition_name, condition_title
from training.files import read_results, write_results
from training.measure.answers import NOTEBOOKS, conditions, notebook_path, weights_digest
from training.measure.attributions import record_attributions
from training.measure.purifiers import record_purifiers
from training.measure.variation import record_variation
from training.options import bundle_words, data_words, seed_words


@dataclass(frozen=True)
class Row:
    """An attacker who takes long, and on how many of the validation scans."""

    attack: AttackSettings
    limit: int | None
    classifier: str | None = None  # None for the bundle's default


QUERIES = 1000
SLOW = tuple(
    row
    for eps in (4, 8, 2)
    for row in (
        Row(AttackSettings("autoattack", eps=eps), 100),
        Row(AttackSettings("square", eps=eps, steps=QUERIES), 100),
    )
)


def measure_defence(bundle: Bundle, val: Dataset, options: argparse.Namespace) -> None:
    """Measure everything about detection, purification and explanations, into results.json."""
    folder = bundle.folder
    known = kept_rows(read_results(folder), bundle, val.sha256)
    report: dict[str, Any] = {"command": tables_command(options), "machine": machine()}
    report |= {
        "timings": measure_timings(bundle) | mixture_timings(bundle),
        "rows": list(recorded_rows(bundle, val, bundle.default_classifier, options)),
        "other_rows": {
            name: list(recorded_rows(bundle, val, name, options))
            for name in bundle.limits
            if name != bundle.default_classifier
        },
        "benign": benign_totals(bundle),
        "slow": [],
    }
    for row in slow_rows(bundle, val, known, options):
        report["slow"].append(row)
        write_results(folder, report)
    write_results(folder, report)
    record_purifiers(val, bundle, options)
    record_variation(val, bundle, options)
    if not options.recorded:
        record_attributions(val, bundle, options)


def tables_command(options: argparse.Namespace) -> str:
    """Return the line that measures all tables; `make` has no word for another seed than 0, but the module has."""
    if options.seed:
        words = ["python", "-m", "training.publish.tables", *data_words(options), *bundle_words(options.bundle)]
        return shlex.join([*words, *seed_words(options)])
    names = " ".join(path.name for path in options.data)
    words = ["make", "tables", f"DATA={names}" if len(options.data) == 1 else f'DATA="{names}"']
    words += [f"BUNDLE={name}" for name in bundle_words(options.bundle)[1:]]
    words += [f"PER_SITE={options.per_site}"] if options.per_site else []
    return " ".join(words)


def benign_totals(bundle: Bundle) -> dict[str, dict[str, int]]:
    """Return how many scans were purified over all benign changes, and what became of their labels.

    Purified are those that were flagged or called altered, without the refused ones; the key ``flagged``, which records
    have had from before there was a second question, counts them all. Under ``none stands`` the same if no borderline
    answer had been kept.
    """
    calibration = bundle.calibrations[bundle.default_classifier]
    limits = cross_fitted_limits(calibration)
    without = [replace(own, borderline=NOTHING) for own in limits]
    return {"measured": _totals(calibration, limits), "none stands": _totals(calibration, without)}


def _totals(calibration: Calibration, limits: Sequence[Limits]) -> dict[str, int]:
    points = [operating_point(calibration, condition, limits) for condition in calibration.benign]
    kept = [point.label_kept for point in points if point.label_kept]
    return {
        "flagged": sum(share.n for share in kept),
        "kept": sum(share.hits for share in kept),
        "turned_wrong": sum(point.turned_wrong for point in points),
        "turned_right": sum(point.turned_right for point in points),
    }


def measure_classifiers(bundle: Bundle, val: Dataset, options: argparse.Namespace) -> None:
    """Measure how often the classifiers of a bundle without a defence are right, into results.json."""
    write_results(bundle.folder, {"plain_rows": list(plain_rows(bundle, val, options))})


def plain_rows(bundle: Bundle, val: Dataset, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield how often each classifier of a bundle is right, one row each; those that were added here are left out."""
    for name in (name for name in bundle.classifiers if name not in bundle.added):
        report = evaluate(val, bundle, classifier=name, seed=options.seed)
        command = row_command(Row(AttackSettings(), None, name), bundle, options)
        settings = settings_record(val, bundle, name, AttackSettings(), "val", options.seed, command)
        yield {"title": name, "report": report | {"settings": settings}}


def kept_rows(earlier: dict[str, Any], bundle: Bundle, data_sha256: str) -> dict[str, dict[str, Any]]:
    """Return command → row of an earlier run that was measured with the weights, limits and data sets of today."""
    by_command = {row["report"]["settings"]["command"]: row for row in earlier.get("slow", [])}

    def of_today(row: dict[str, Any]) -> bool:
        settings = row["report"]["settings"]
        name = settings["classifier"]
        if name not in bundle.limits:
            return False
        limits = bundle.limits_of(name)
        own = dict(limits.thresholds), limits.borderline._asdict(), list(limits.altered)
        then = settings["thresholds"], settings.get("borderline"), settings.get("altered", [])
        today = {"limits": repr(limits), "data_sha256": data_sha256}
        noted = {key: settings.get(key, value) for key, value in today.items()}  # rows of earlier may lack either
        return noted == today and (weights_record(bundle, name), *own) == (settings["weights_sha256"], *then)

    return {command: row for command, row in by_command.items() if of_today(row)}


def recorded_rows(bundle: Bundle, val: Dataset, name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for each condition that has been recorded of one classifier, without an attack first."""
    calibration = bundle.calibrations[name]
    limits, labels = own_limits(val, bundle, name), val.labels.numpy()
    clean = calibration.conditions["clean"]
    for attack in conditions(bundle.channels):
        condition = condition_name(attack)
        if condition not in calibration.conditions:
            continue
        answers = calibration.conditions[condition] if attack.method else None
        report = summary(labels, val.groups, limits, clean, answers, columns_of(val))
        command = row_command(Row(attack, None, name), bundle, options)
        settings = settings_record(val, bundle, name, attack, "val", options.seed, command)
        yield {"title": condition_title(attack), "condition": condition, "report": report | {"settings": settings}}


def slow_rows(
    bundle: Bundle, val: Dataset, known: dict[str, dict[str, Any]], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Yield a row for each attacker of `SLOW`, measured here where it isn't known."""
    for row in SLOW:
        if row.classifier and row.classifier not in bundle.limits:
            continue
        command = row_command(row, bundle, options)
        if command in known:
            yield known[command]
        elif not options.recorded:
            yield measure(row, val.limited(row.limit, options.seed), bundle, command, options)


def measure(row: Row, data: Dataset, bundle: Bundle, command: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return one attacker's row, measured now."""
    name = condition_name(row.attack)
    NOTEBOOKS.mkdir(parents=True, exist_ok=True)
    whose = f"{row.classifier}-" if row.classifier else ""
    run = {"command": command, "weights": weights_digest(bundle, bundle.classifier_name(row.classifier))}
    notebook = notebook_path(f"{bundle.name}-slow-{whose}{name}", run)
    with tqdm(total=2 * len(data), desc=name, unit="image", disable=None) as bar:
        report = evaluate(
            data,
            bundle,
            classifier=row.classifier,
            attack=row.attack,
            seed=options.seed,
            resume=notebook,
            progress=bar.update,
        )
    settings = settings_record(data, bundle, row.classifier, row.attack, "val", options.seed, command)
    settings["limits"] = repr(bundle.limits_of(settings["classifier"]))  # all of them, for `kept_rows`
    return {"title": condition_title(row.attack), "condition": name, "report": report | {"settings": settings}}


def row_command(row: Row, bundle: Bundle, options: argparse.Namespace) -> str:
    """Return the command that measures one row on its own."""
    attack, limit = row.attack, row.limit
    words = ["python", "-m", "core", "evaluate", *data_words(options)]
    words += ["--attack", attack.method] if attack.method else []
    for option in ("eps", "norm", "steps", "restarts", "eot", "severity"):
        if getattr(attack, option) != getattr(AttackSettings(), option):
            words += [f"--{option}", f"{getattr(attack, option)}"]
    words += ["--white-box"] if attack.white_box else []
    words += ["--classifier", row.classifier] if row.classifier not in (None, bundle.default_classifier) else []
    words += ["--limit", str(limit)] if limit else []
    words += [*seed_words(options), *bundle_words(options.bundle)]
    return shlex.join(words)
