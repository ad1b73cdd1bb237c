"""Tables of faults that stand apart for each network: layers, worst flips, the guard, flips under attack, experts."""

from collections.abc import Sequence
from typing import Any

from core.faults.record import LayerRow
from training.publish.fault_records import WEAKEST, Records, by_expert, cell, weakest
from training.publish.markdown import NONE, percent, section, yes_no


def layers_tables(found: Records) -> list[str]:
    """Return stages in order, or the weakest where a mixture has too many; then the weakest tensors."""
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
    """Return a line a layer."""
    shown = weakest(rows, most)
    cells = [
        [row.name, f"{row.elements:,}", cell(row), percent(row.worst), percent(row.label_changes)] for row in shown
    ]
    about += f", the {most} weakest of {len(rows)}" if len(shown) < len(rows) else ""
    head = ["layer", "numbers", "accuracy", "worst trial", "labels changed"]
    return section(f"{about}; {rows[0].trials} trials each", head, cells)


def activations_tables(found: Records) -> list[str]:
    """Return one flip in what a stage puts out."""
    lines = []
    for name, record in found.items():
        if rows := record.rows("activations"):
            shown = weakest(rows, 2 * WEAKEST)
            about = f"**One flip in a stage's output**, {name}; {rows[0].trials} trials each"
            about += f"; the {len(shown)} weakest of {len(rows)}" if len(shown) < len(rows) else ""
            cells = [[row.stage, f"{row.elements:,}", cell(row), percent(row.non_finite)] for row in shown]
            lines += section(about, ["stage", "numbers a scan", "accuracy", "not finite"], cells)
    return lines


def worst_table(found: Records) -> list[str]:
    """Return the worst-case search, round by round."""
    rows = [
        [
            name,
            "finite answers only" if row.silent else "any",
            str(row.index + 1),
            f"{row.tensor}[{row.element}]",
            f"{row.bit} ({row.field})",
            percent(row.accuracy),
            percent(row.non_finite),
            f"{row.loss:.1f}",
            f"{row.seconds:.1f} s",
            yes_no(row.detected),
            yes_no(row.repaired),
        ]
        for name, record in found.items()
        for row in record.rows("worst_case")
    ]
    head = ["network", "flips allowed", "flips", "the last one", "bit", "accuracy", "no number", "loss", "search"]
    head += ["seen by the guard", "repaired"]
    about = "**The worst flips**, found by gradient and tried, each on top of the one before"
    return section(about, head, rows)


def guard_tables(found: Records) -> list[str]:
    """Return accuracy with the guard off, detecting and repairing; false alarms; cost."""
    return [*guarded_table(found), *alarms_table(found), *cost_table(found)]


def guarded_table(found: Records) -> list[str]:
    """Return a line for each kind of damage of each network."""
    rows = []
    for name, record in found.items():
        by_damage: dict[tuple[str, int], dict[str, Any]] = {}
        for row in record.rows("guard"):
            by_damage.setdefault((row.damage, row.flips), {})[row.guard] = row
        for (damage, flips), modes in by_damage.items():
            detect = modes.get("detect")
            caught = [percent(detect.alarms), percent(detect.refused)] if detect else [NONE, NONE]
            rows.append([name, f"{damage}, {flips}", cell(modes.get("off")), *caught, cell(modes.get("repair"))])
    head = ["network", "damage, flips", "guard off", "detect: trials with an alarm", "scans refused", "repair"]
    about = (
        "**The guard.** With detect, a scan after an alarm gets no label; with repair, weights are put right and "
        "activations cut to their ranges before it is answered"
    )
    return section(about, head, rows)


def alarms_table(found: Records) -> list[str]:
    """Return false alarms on clean runs."""
    rows = [
        [name, f"{row.runs:,}", row.scans, str(row.weight_alarms), str(row.range_alarms)]
        for name, record in found.items()
        for row in record.rows("clean_runs")
    ]
    head = ["network", "clean runs", "on", "false alarms of the weights' codes", "of the activations' ranges"]
    return section("**False alarms**", head, rows)


def cost_table(found: Records) -> list[str]:
    """Return what the guard costs."""
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
    return section("**What the guard costs a scan**, medians", head, rows)


def map_tables(found: Records) -> list[str]:
    """Return flips times ε, a table for each network."""
    lines = []
    for name, record in found.items():
        rows = {(row.flips, row.eps): row for row in record.rows("map")}
        if rows:
            flips, radii = ({key[place]: None for key in rows} for place in (0, 1))
            cells = [[f"{eps:g}/255", *(cell(rows.get((count, eps))) for count in flips)] for eps in radii]
            head = ["PGD", *(f"{count} flips" for count in flips)]
            lines += section(f"**Flips and attacks together**, {name}", head, cells)
    return lines


def experts_tables(found: Records) -> list[str]:
    """Return experts of a mixture, each asked alone."""
    lines = []
    for name, record in found.items():
        if experts := by_expert(record):
            flips = list(dict.fromkeys(row.flips for row in record.rows("experts")))
            cells = []
            for expert, rows in experts.items():
                by_flips = {row.flips: row for row in rows}
                cells.append([expert, *(cell(by_flips.get(count)) for count in flips)])
            head = ["expert", *(f"{count} flips" for count in flips)]
            lines += section(f"**Experts of {name}**, each asked alone", head, cells)
    return lines
