"""docs/results/faults.md: what bit flips do, and what the guard makes of it; from faults.json."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from core.bundles import Bundle
from core.faults.record import FaultRecord, Outcome
from training.publish.fault_details import (
    activations_tables,
    experts_tables,
    guard_tables,
    layers_tables,
    map_tables,
    worst_table,
)
from training.publish.fault_records import (
    COMPARED_EPS,
    MOST,
    Records,
    any_study,
    cell,
    comparable,
    fault_records,
    worst_first,
)
from training.publish.fault_verdicts import verdicts
from training.publish.markdown import NONE, document, made_by, percent, section

ABOUT = (
    "Accuracy with bits flipped in float32 weights. Where flips are random, means over trials with 95 % intervals over "
    "trials, which leaves open what other scans would say; otherwise intervals by bootstrap over near-duplicate "
    "groups. An answer that isn't finite is wrong."
)


def faults_page(bundles: Iterable[Bundle]) -> str:
    """Return the whole page: all networks beside each other, then a section for each bundle."""
    known = {bundle.name: fault_records(bundle) for bundle in bundles}
    lines = summary_table(known)
    for name, found in known.items():
        lines += [f"## {name}", "", *fault_tables(found)]
    return document("Faults", ABOUT, lines)


def summary_table(known: Mapping[str, Records]) -> list[str]:
    """Return every network of every bundle in a row; in several where its studies are of several sets of scans."""
    groups = [(name, group) for name, found in known.items() for group in comparable(found)]
    rows = [summary_row(name, record) for name, group in groups for record in group.values()]
    head = ["network", "undamaged", "1 random flip", f"{MOST} flips", "the worst bit", "the worst silent one"]
    head += [f"PGD, {COMPARED_EPS}/255", "weight flips repaired", "false alarms", "guard, a scan", "scans of"]
    about = "**All networks**; only those of the same scans can be compared. How each was measured stands below"
    return section(about, head, rows)


def fault_tables(found: Records) -> list[str]:
    """Return every study of every network of a bundle, those of the same scans together."""
    groups = comparable(found)
    if not groups:
        return ["Not measured yet (`training.measure.faults`).", ""]
    if len(groups) == 1:
        return compared_tables(groups[0])
    told = "Not all were asked about the same scans; those that weren't stand apart and are not compared."
    lines = [told, ""]
    for group in groups:
        lines += [f"### {', '.join(group)}: scans of {any_study(group).scans}", "", *compared_tables(group)]
    return lines


def compared_tables(found: Records) -> list[str]:
    """Return every study of networks that were asked about the same scans."""
    study = any_study(found)
    told = " ".join(verdicts(found))
    return [
        made_by(study.command.split(" --classifier")[0], study.n, study.seed),
        "",
        *([told, ""] if told else []),
        *flips_table(found),
        *worst_table(found),
        *guard_tables(found),
        *layers_tables(found),
        *bits_table(found),
        *activations_tables(found),
        *attacks_table(found),
        *corruptions_table(found),
        *map_tables(found),
        *experts_tables(found),
    ]


def summary_row(bundle: str, record: FaultRecord) -> list[str]:
    """Return one network's row."""
    by_flips = {row.flips: row for row in record.rows("flips")}
    first = [worst_first(record, silent) for silent in (False, True)]
    attacked = [row for row in record.rows("attacks") if (row.method, row.eps) == ("pgd", COMPARED_EPS)]
    clean = [f"{row.weight_alarms + row.range_alarms} of {row.runs:,}" for row in record.rows("clean_runs")]
    cost = [f"{row.bytes / 1000:.1f} KB, {row.check_ms + row.ranges_ms:.1f} ms" for row in record.rows("cost")]
    return [
        f"{bundle}, {record.classifier}",
        *(cell(by_flips.get(flips)) for flips in (0, 1, MOST)),
        *(percent(row.accuracy if row else None) for row in first),
        cell(attacked[0] if attacked else None),
        percent(repaired(record)),
        clean[0] if clean else NONE,
        cost[0] if cost else NONE,
        any_study({record.classifier: record}).scans,
    ]


def repaired(record: FaultRecord) -> float | None:
    """Return the share of trials with damaged weights after which every tensor was again what it had been."""
    rows = [row for row in record.rows("guard") if row.guard == "repair" and row.repaired is not None]
    trials = sum(row.trials for row in rows)
    return sum(row.repaired * row.trials for row in rows) / trials if trials else None


def beside(about: str, first: str, found: Records, columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return networks side by side: label → classifier → row, with a head; empty where there is nothing."""
    rows = [[label, *(cell(by_network.get(name)) for name in found)] for label, by_network in columns.items()]
    return section(about, [first, *found], rows)


def gathered(found: Records, study: str, label: Callable[[Any], str]) -> dict[str, dict[str, Any]]:
    """Return label → classifier → row of one study, in the order of the first that has it."""
    columns: dict[str, dict[str, Any]] = {}
    for name, record in found.items():
        for row in record.rows(study):
            columns.setdefault(label(row), {})[name] = row
    return columns


def flips_table(found: Records) -> list[str]:
    """Return accuracy over the number of random flips."""
    columns = gathered(found, "flips", lambda row: str(row.flips))
    return beside("**Random flips** anywhere in the weights", "flips", found, columns)


def attacks_table(found: Records) -> list[str]:
    """Return FGSM and PGD, each against the undamaged network itself."""

    def label(row: Any) -> str:
        return "no attack" if row.method == "none" else f"{row.method.upper()}-{row.steps}, {row.eps:g}/255"

    return beside("**Attacks** on the undamaged networks", "attack", found, gathered(found, "attacks", label))


def corruptions_table(found: Records) -> list[str]:
    """Return PatchDrop, noise and blur."""
    columns = gathered(found, "corruptions", lambda row: f"{row.name}, severity {row.severity}")
    return beside("**Corruptions** of the scans, undamaged networks", "change", found, columns)


def bits_table(found: Records) -> list[str]:
    """Return sign and exponent bit by bit; the mantissa, which hardly matters, in one row."""
    lines = []
    for form in ("float32", "bfloat16"):
        columns: dict[str, dict[str, Any]] = {}
        for name, record in found.items():
            rows = [row for row in record.rows("bits") if row.form == form]
            for row in reversed([row for row in rows if row.field != "mantissa"]):
                columns.setdefault(f"{row.bit}, {row.field}", {})[name] = row
            if mantissa := [row for row in rows if row.field == "mantissa"]:
                bits = [row.bit for row in mantissa]
                label = f"{max(bits)} to {min(bits)}, mantissa, mean"
                columns.setdefault(label, {})[name] = pooled(mantissa)
        lines += beside(f"**One flip of a given bit**, {form}", "bit", found, columns)
    return lines


def pooled(rows: Sequence[Outcome]) -> Outcome:
    """Return the mean of several outcomes with the same number of trials, and the widest interval that theirs allow."""
    return Outcome(
        trials=sum(row.trials for row in rows),
        accuracy=float(np.mean([row.accuracy for row in rows])),
        interval=(float(np.mean([row.interval[0] for row in rows])), float(np.mean([row.interval[1] for row in rows]))),
        worst=min(row.worst for row in rows),
        label_changes=float(np.mean([row.label_changes for row in rows])),
        non_finite=float(np.mean([row.non_finite for row in rows])),
    )
