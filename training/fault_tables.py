"""What README and bundle card say of faults, as Markdown; from faults.json alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from core.bundles import Bundle
from core.faults.record import FaultRecord, LayerRow, Outcome, read_faults
from training.mixture_tables import share, table

MOST = 16  # flips at which networks are compared
COMPARED_EPS = 4
WEAKEST = 8
Records = Mapping[str, FaultRecord]


class Loss(NamedTuple):
    """Points of accuracy, in [0, 1], that a network loses to flips, and the 95 % interval over trials."""

    value: float
    low: float
    high: float


def fault_summary(bundles: Iterable[Bundle]) -> list[str]:
    """A few lines for the README: every network of every bundle in a row."""
    known = {bundle.name: records(bundle) for bundle in bundles}
    rows = [summary_row(name, record) for name, found in known.items() for record in found.values()]
    if not rows:
        return ["**Faults**: not measured yet.", ""]
    head = ["network", "undamaged", "1 random flip", f"{MOST} flips", "the worst bit", "the worst silent one"]
    head += [f"PGD, {COMPARED_EPS}/255", "weight flips repaired", "false alarms", "guard, a scan"]
    studies = [study for found in known.values() for record in found.values() for study in record.studies.values()]
    counts = ", ".join(map(str, sorted({study.n for study in studies})))
    lines = [
        f"**Faults**: accuracy with bits flipped in float32 weights, n = {counts} validation scans; means over random "
        "trials with 95 % intervals over trials. `training.faults`; the rest is in the cards.",
        "",
        *table(head, rows),
        "",
    ]
    for name, found in known.items():
        lines += [f"{name}: {' '.join(verdicts(found))}", ""] if found else []
    return lines


def fault_tables(bundle: Bundle) -> list[str]:
    """Every study of every network of a bundle, for its card."""
    found = records(bundle)
    if not found:
        return ["**Faults**: not measured yet (`training.faults`).", ""]
    study = next(study for record in found.values() for study in record.studies.values())
    command = study.command.split(" --classifier")[0].removeprefix("python -m ")
    return [
        f"**Faults**, n = {study.n} validation scans drawn with seed {study.seed}. Accuracy; where flips are random, "
        "its mean over trials, with the 95 % interval over trials, which leaves open what other scans would say. An "
        f"answer that isn't finite is wrong. `{command}`",
        "",
        " ".join(verdicts(found)),
        "",
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


def records(bundle: Bundle) -> dict[str, FaultRecord]:
    """Classifier → what is recorded of it with the weights of today; those without any study are left out."""
    found = {name: read_faults(bundle, name) for name in bundle.classifiers}
    return {name: record for name, record in found.items() if record.studies}


def summary_row(bundle: str, record: FaultRecord) -> list[str]:
    """One network of the README's table."""
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
        clean[0] if clean else "–",
        cost[0] if cost else "–",
    ]


def worst_first(record: FaultRecord, silent: bool) -> Any:
    """The search's first round; None where there is none."""
    return next((row for row in record.rows("worst_case") if row.silent == silent), None)


def repaired(record: FaultRecord) -> float | None:
    """Share of trials with damaged weights after which every tensor was again what it had been."""
    rows = [row for row in record.rows("guard") if row.guard == "repair" and row.repaired is not None]
    trials = sum(row.trials for row in rows)
    return sum(row.repaired * row.trials for row in rows) / trials if trials else None


def verdicts(found: Records) -> list[str]:
    """What the figures say, in sentences."""
    return [*who_breaks_first(found), *bearing(found), *experts_verdicts(found)]


def losses(found: Records, flips: int = MOST) -> dict[str, Loss]:
    """Classifier → what it loses to so many random flips; the least first."""
    known = {name: loss(record.rows("flips"), flips) for name, record in found.items()}
    return dict(sorted(((name, lost) for name, lost in known.items() if lost), key=lambda pair: pair[1].value))


def loss(rows: Sequence[Any], flips: int) -> Loss | None:
    """What is lost between no flips and `flips`; None where either isn't there."""
    by_flips = {row.flips: row for row in rows}
    if not {0, flips} <= by_flips.keys():
        return None
    clean, damaged = by_flips[0].accuracy, by_flips[flips]
    low, high = damaged.interval
    return Loss(clean - damaged.accuracy, clean - high, clean - low)


def who_breaks_first(found: Records) -> list[str]:
    """Which network loses most to random flips, and which to the worst ones."""
    lost = losses(found)
    if len(lost) < 2:
        return []
    best, worst = next(iter(lost)), list(lost)[-1]
    text = (
        f"With {MOST} random flips {worst} loses most, {points(lost[worst])}, and {best} least, {points(lost[best])}"
        f"{settled(lost[best], lost[worst])}."
    )
    chosen = {name: worst_first(record, True) for name, record in found.items()}
    chosen = {name: row for name, row in chosen.items() if row}
    if not chosen:
        return [text]
    figures = ", ".join(f"{name} to {percent(row.accuracy)}" for name, row in chosen.items())
    return [text, f"One chosen bit that leaves every answer finite takes {figures}."]


def bearing(found: Records) -> list[str]:
    """Whether the networks that stand attacks or corruptions best also stand flips best."""
    lost = losses(found)
    scores = {
        f"PGD at {COMPARED_EPS}/255": lambda row: getattr(row, "eps", None) == COMPARED_EPS and row.method == "pgd",
        "the corruptions": lambda row: hasattr(row, "severity"),
    }
    lines = []
    for name, belongs in scores.items():
        held = {key: mean_accuracy(found[key], belongs) for key in lost}
        held = {key: value for key, value in held.items() if value is not None}
        if len(held) > 1:
            lines.append(bearing_text(name, held, lost))
    return lines


def mean_accuracy(record: FaultRecord, belongs: Callable[[Any], bool]) -> float | None:
    """Over the rows of attacks and corruptions that belong; None where there are none."""
    values = [row.accuracy for row in (*record.rows("attacks"), *record.rows("corruptions")) if belongs(row)]
    return float(np.mean(values)) if values else None


def bearing_text(name: str, held: Mapping[str, float], lost: Mapping[str, Loss]) -> str:
    """The network that stands something best beside the others, in a sentence."""
    best = max(held, key=held.__getitem__)
    others = [lost[key] for key in held if key != best]
    where = sum(other.value < lost[best].value for other in others)
    rank = f"more than {where} of the {len(others)} others" if where else "less than any other"
    rank = "more than the other" if where == len(others) == 1 else rank
    nearest = min(others, key=lambda other: abs(other.value - lost[best].value))
    return (
        f"The network that stands {name} best ({best}, {percent(held[best])}) loses {points(lost[best])} to {MOST} "
        f"flips, {rank}{settled(nearest, lost[best])}."
    )


def experts_verdicts(found: Records) -> list[str]:
    """Experts of one architecture: whether those trained on attacks lose less to flips than those that were not."""
    lines = []
    for name, record in found.items():
        lost = {expert: loss(rows, MOST) for expert, rows in by_expert(record).items()}
        attacked = [lost[expert] for expert in lost if lost[expert] and attack_trained(expert)]
        others = [lost[expert] for expert in lost if lost[expert] and not attack_trained(expert)]
        if attacked and others:
            first, second = mean_loss(others), mean_loss(attacked)
            verdict = "more" if second.value > first.value else "less"
            lines.append(
                f"Within {name}, experts that began with attacked scans lose {points(second)} to {MOST} flips on "
                f"average, {verdict} than those that began with clean ones, {points(first)}{settled(first, second)}."
            )
    return lines


def by_expert(record: FaultRecord) -> dict[str, list[Any]]:
    """Expert → its rows."""
    rows: dict[str, list[Any]] = {}
    for row in record.rows("experts"):
        rows.setdefault(row.expert, []).append(row)
    return rows


def attack_trained(expert: str) -> bool:
    """Whether an expert's name says that it was trained on an attack first, as Divided We Fall's names do."""
    return expert.startswith(("FGSM", "PGD"))


def mean_loss(parts: Sequence[Loss]) -> Loss:
    """The mean of several losses, their trials being independent: half widths add up in squares."""
    value, count = float(np.mean([part.value for part in parts])), len(parts)
    below, above = ([getattr(part, side) - part.value for part in parts] for side in ("low", "high"))
    return Loss(value, value - float(np.hypot.reduce(below)) / count, value + float(np.hypot.reduce(above)) / count)


def points(lost: Loss) -> str:
    """A loss in percentage points."""
    return f"{100 * lost.value:.1f} points ({100 * lost.low:.1f} to {100 * lost.high:.1f})"


def settled(first: Loss, second: Loss) -> str:
    """What is added where two losses can't be told apart."""
    apart = first.high < second.low or second.high < first.low
    return "" if apart else "; the intervals overlap, so that this is not settled"


def percent(value: float | None) -> str:
    """A share in percent; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f} %"


def cell(row: Any) -> str:
    """Accuracy with its interval; a dash where nothing was answered or measured."""
    return "–" if row is None or row.accuracy is None else share(asdict(row))


def beside(about: str, first: str, found: Records, columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Networks side by side: label → classifier → row, with a head; empty where there is nothing."""
    if not columns:
        return []
    rows = [[label, *(cell(by_network.get(name)) for name in found)] for label, by_network in columns.items()]
    return [about, "", *table([first, *found], rows), ""]


def gathered(found: Records, study: str, label: Callable[[Any], str]) -> dict[str, dict[str, Any]]:
    """Label → classifier → row of one study, in the order of the first that has it."""
    columns: dict[str, dict[str, Any]] = {}
    for name, record in found.items():
        for row in record.rows(study):
            columns.setdefault(label(row), {})[name] = row
    return columns


def flips_table(found: Records) -> list[str]:
    """Accuracy over the number of random flips."""
    columns = gathered(found, "flips", lambda row: str(row.flips))
    return beside("**Random flips** anywhere in the weights", "flips", found, columns)


def attacks_table(found: Records) -> list[str]:
    """FGSM and PGD, each against the undamaged network itself."""

    def label(row: Any) -> str:
        return "no attack" if row.method == "none" else f"{row.method.upper()}-{row.steps}, {row.eps:g}/255"

    return beside("**Attacks** on the undamaged networks", "attack", found, gathered(found, "attacks", label))


def corruptions_table(found: Records) -> list[str]:
    """PatchDrop, noise and blur."""
    columns = gathered(found, "corruptions", lambda row: f"{row.name}, severity {row.severity}")
    return beside("**Corruptions** of the scans, undamaged networks", "change", found, columns)


def bits_table(found: Records) -> list[str]:
    """Sign and exponent bit by bit; the mantissa, which hardly matters, in one row."""
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
    """The mean of several outcomes with the same number of trials, and the widest interval that theirs allow."""
    return Outcome(
        trials=sum(row.trials for row in rows),
        accuracy=float(np.mean([row.accuracy for row in rows])),
        interval=(float(np.mean([row.interval[0] for row in rows])), float(np.mean([row.interval[1] for row in rows]))),
        worst=min(row.worst for row in rows),
        label_changes=float(np.mean([row.label_changes for row in rows])),
        non_finite=float(np.mean([row.non_finite for row in rows])),
    )


def layers_tables(found: Records) -> list[str]:
    """Stages in order, or the weakest where a mixture has too many; then the weakest tensors."""
    lines = []
    for name, record in found.items():
        rows = record.rows("layers")
        stages = [row for row in rows if row.level == "stage"]
        tensors = [row for row in rows if row.level == "tensor"]
        if stages:
            flips = stages[0].flips
            lines += layer_table(f"**{flips} flips within one layer**, {name}", stages, 2 * WEAKEST)
        if tensors:
            lines += layer_table(f"The same within one tensor, {name}", tensors, WEAKEST)
    return lines


def layer_table(about: str, rows: Sequence[LayerRow], most: int) -> list[str]:
    """A line a layer."""
    shown = weakest(rows, most)
    cells = [
        [row.name, f"{row.elements:,}", cell(row), percent(row.worst), percent(row.label_changes)] for row in shown
    ]
    about += f", the {most} weakest of {len(rows)}" if len(shown) < len(rows) else ""
    head = ["layer", "numbers", "accuracy", "worst trial", "labels changed"]
    return [f"{about}; {rows[0].trials} trials each", "", *table(head, cells), ""]


def weakest(rows: Sequence[Any], most: int) -> list[Any]:
    """All rows as they come, or, where there are more than `most`, those with the lowest accuracy first."""
    return list(rows) if len(rows) <= most else sorted(rows, key=lambda row: row.accuracy)[:most]


def activations_tables(found: Records) -> list[str]:
    """One flip in what a stage puts out."""
    lines = []
    for name, record in found.items():
        if rows := record.rows("activations"):
            shown = weakest(rows, 2 * WEAKEST)
            about = f"**One flip in a stage's output**, {name}; {rows[0].trials} trials each"
            about += f"; the {len(shown)} weakest of {len(rows)}" if len(shown) < len(rows) else ""
            cells = [[row.stage, f"{row.elements:,}", cell(row), percent(row.non_finite)] for row in shown]
            lines += [about, "", *table(["stage", "numbers a scan", "accuracy", "not finite"], cells), ""]
    return lines


def worst_table(found: Records) -> list[str]:
    """The worst-case search, round by round."""
    rows = [
        [
            name,
            "finite answers only" if row.silent else "any",
            str(row.index + 1),
            f"{row.tensor}[{row.element}]",
            f"{row.bit} ({row.field})",
            percent(row.accuracy),
            f"{row.loss:.1f}",
            f"{row.seconds:.1f} s",
            "yes" if row.detected else "no",
            "yes" if row.repaired else "no",
        ]
        for name, record in found.items()
        for row in record.rows("worst_case")
    ]
    if not rows:
        return []
    head = ["network", "flips allowed", "flips", "the last one", "bit", "accuracy", "loss", "search"]
    head += ["seen by the guard", "repaired"]
    about = "**The worst flips**, found by gradient and tried, each on top of the one before"
    return [about, "", *table(head, rows), ""]


def guard_tables(found: Records) -> list[str]:
    """Accuracy with the guard off, detecting and repairing; false alarms; cost."""
    return [*guarded_table(found), *alarms_table(found), *cost_table(found)]


def guarded_table(found: Records) -> list[str]:
    """A line for each kind of damage of each network."""
    rows = []
    for name, record in found.items():
        by_damage: dict[tuple[str, int], dict[str, Any]] = {}
        for row in record.rows("guard"):
            by_damage.setdefault((row.damage, row.flips), {})[row.guard] = row
        for (damage, flips), modes in by_damage.items():
            detect = modes.get("detect")
            caught = [percent(detect.alarms), percent(detect.refused)] if detect else ["–", "–"]
            rows.append([name, f"{damage}, {flips}", cell(modes.get("off")), *caught, cell(modes.get("repair"))])
    if not rows:
        return []
    head = ["network", "damage, flips", "guard off", "detect: trials with an alarm", "scans refused", "repair"]
    about = (
        "**The guard.** With detect, a scan after an alarm gets no label; with repair, weights are put right and "
        "activations cut to their ranges before it is answered"
    )
    return [about, "", *table(head, rows), ""]


def alarms_table(found: Records) -> list[str]:
    """False alarms on clean runs."""
    rows = [
        [name, f"{row.runs:,}", row.scans, str(row.weight_alarms), str(row.range_alarms)]
        for name, record in found.items()
        for row in record.rows("clean_runs")
    ]
    head = ["network", "clean runs", "on", "false alarms of the weights' codes", "of the activations' ranges"]
    return ["**False alarms**", "", *table(head, rows), ""] if rows else []


def cost_table(found: Records) -> list[str]:
    """What the guard costs."""
    rows = [
        [
            name,
            str(row.threads),
            f"{row.bytes:,} of {row.weight_bytes:,}",
            f"{row.check_ms:.2f}",
            f"{row.ranges_ms:.2f}",
            f"{row.repair_ms:.2f}",
            f"{row.patrol_scans} at {row.budget_ms:g} ms a scan",
            f"{row.load:.1f}",
        ]
        for name, record in found.items()
        for row in record.rows("cost")
    ]
    head = ["network", "threads", "bytes", "check, ms", "ranges, ms", "check and repair, ms", "patrol: scans a round"]
    head += ["load of each core meanwhile"]
    return ["**What the guard costs a scan**, medians", "", *table(head, rows), ""] if rows else []


def map_tables(found: Records) -> list[str]:
    """Flips times ε, a table for each network."""
    lines = []
    for name, record in found.items():
        rows = {(row.flips, row.eps): row for row in record.rows("map")}
        if rows:
            flips, radii = ({key[place]: None for key in rows} for place in (0, 1))
            cells = [[f"{eps:g}/255", *(cell(rows.get((count, eps))) for count in flips)] for eps in radii]
            head = ["PGD", *(f"{count} flips" for count in flips)]
            lines += [f"**Flips and attacks together**, {name}", "", *table(head, cells), ""]
    return lines


def experts_tables(found: Records) -> list[str]:
    """Experts of a mixture, each asked alone."""
    lines = []
    for name, record in found.items():
        if experts := by_expert(record):
            flips = list(dict.fromkeys(row.flips for row in record.rows("experts")))
            cells = []
            for expert, rows in experts.items():
                by_flips = {row.flips: row for row in rows}
                cells.append([expert, *(cell(by_flips.get(count)) for count in flips)])
            head = ["expert", *(f"{count} flips" for count in flips)]
            lines += [f"**Experts of {name}**, each asked alone", "", *table(head, cells), ""]
    return lines
