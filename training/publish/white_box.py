"""docs/results/white-box.md: how the defence holds against attackers who know it; from results.json."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.attacks import AttackSettings, sees_defence
from core.bundles import Bundle, policy_classifiers
from core.evaluation.white_box.readings import READINGS, SHARES, reading_report
from core.evaluation.white_box.record import (
    ALL,
    Ball,
    attacker_title,
    measured_balls,
    measured_rows,
    proven_balls,
    record_of_today,
    site_reports,
)
from core.evaluation.white_box.sanity import UNBOUNDED, MeasuredRow, Verdict, strongest, verdicts
from training.conditions import radius_words
from training.publish.markdown import NONE, command, document, report_share, section, share, table

Record = Mapping[str, Any]
ABOUT = (
    "How often the defence still answers rightly when the attacker knows all of it, thresholds and detector noise "
    "included, and what was broken where it doesn't. Every attacked scan is read in four ways, a table each where "
    "anything is purified. **Right** is a right answer, with an alarm or without; **wrong, unnoticed** has passed "
    "without an alarm; **wrong, flagged** was flagged, and purification didn't bring the answer back; **refused** "
    "gives none; **alarm alone** is an alarm or a refusal where the answer was, or would have been, right. "
    "Thresholds are cross-fitted over groups, and the attacker faces those that judge the scan; "
    "95 % intervals by bootstrap over near-duplicate groups."
)
CHECKED = (
    "**Tests for masked gradients.** An attack that sees badly proves nothing. A row is *withdrawn* where more steps "
    "or EOT calls are surely weaker, where an attacker who sees less (the classifier alone, answers alone, an "
    "approximate gradient) is surely stronger, or where ε = 64/255 leaves right answers; *green* where all tests that "
    "apply were made and passed, *incomplete* where one has no row to compare with. What is withdrawn carries no claim."
)
NOTHING_YET = "Not measured with the weights of today; `python -m training.measure.white_box` does it."
ALL_ONE = "nothing is purified, so that no noise is drawn between one reading and another"
SITE_READINGS = ("single", "worst")
HEAD = ("right", "wrong, unnoticed", "wrong, flagged", "refused", "alarm alone")


def white_box_page(bundles: Iterable[Bundle]) -> str:
    """Return the whole page: a section for each bundle that has a defence."""
    lines = []
    for bundle in bundles:
        if bundle.lacks is None:
            policies = policy_classifiers(bundle)
            lines += [f"## {bundle.name}", ""]
            for policy, name in policies.items():
                record = record_of_today(bundle, policy)
                lines += [f"### The {policy} policy", ""] if len(policies) > 1 else []
                lines += white_box_tables(record, bundle.limits_of(name).purifies) if record else [NOTHING_YET, ""]
    return document("Attackers who know the defence", ABOUT, lines)


def white_box_tables(record: Record, purifies: bool = True) -> list[str]:
    """Return a table a reading, what the tests say of every row, and how each was measured.

    purifies: whether the policy does; without the purifier's noise all readings are one.
    """
    rows, groups = record["rows"], record["scans"]["groups"]
    measured = measured_rows(record)
    judged = verdicts(measured, groups)
    sites = ", ".join(sorted(set(record["scans"]["sites"])))
    lines = [
        f"{record['classifier']}, {len(groups)} validation scans in {len(set(groups))} near-duplicate groups "
        f"({sites}), seed {record['seed']}.",
        "",
    ]
    for reading, question in (READINGS if purifies else {"single": ALL_ONE}).items():
        head = ["attack", "classifier alone", *HEAD, "tests"]
        cells = [row_cells(row, reading, verdict) for row, verdict in zip(rows, judged)]
        cells += together_cells(measured, groups, reading)
        title = reading.capitalize() if purifies else "All four readings"
        lines += section(f"**{title}**: {question}", head, cells)
    return [*lines, *site_lines(record, purifies), *test_lines(rows, judged), *made_lines(rows)]


def row_cells(row: Record, reading: str, verdict: Verdict | None) -> list[str]:
    """Return one attacker's line under one reading."""
    report = row["readings"][reading]
    alone = share(row["undefended"], row["undefended_interval"])
    shares = (report_share(report, name) for name in SHARES)
    return [attacker_title(row), alone, *shares, verdict.state if verdict else NONE]


def together_cells(measured: Sequence[MeasuredRow], groups: Sequence[str], reading: str) -> list[list[str]]:
    """Return a line a ball: every scan meets the worst of the attackers for it."""
    cells = []
    for norm, eps, count, outcomes in strongest(measured):
        if count > 1:
            report = reading_report(outcomes[reading], groups)
            name = f"**the worst of {count} for each scan, {ball_words(norm, eps)}**"
            cells.append([name, NONE, *(report_share(report, share) for share in SHARES), NONE])
    return cells


def site_lines(record: Record, purifies: bool) -> list[str]:
    """Return what is left right at every site: unattacked, and of every ball by the worst of its attackers."""
    readings = SITE_READINGS if purifies else SITE_READINGS[:1]
    if len(set(record["scans"]["sites"])) < 2:
        return []
    lines: dict[str, Ball | None] = {"no attack": None}
    for (norm, eps), count in measured_balls(record).items():
        if count > 1:
            lines[f"the worst of {count} for each scan, {ball_words(norm, eps)}"] = (norm, eps)
    cells = []
    for attack, ball in lines.items():
        found = {reading: site_reports(record, reading, ball) for reading in readings}
        for site, report in found[readings[0]].items():
            own = [found[reading][site] for reading in readings]
            shares = [report_share(each, name) for each in own for name in ("accuracy", "passed_wrong")]
            cells += [[attack, site, str(len(report["outcomes"])), *shares]] if site != ALL else []
    head = ["attack", "site", "n"]
    head += [f"{name}, {reading}" if purifies else name for reading in readings for name in HEAD[:2]]
    return section("**By site**", head, cells)


def test_lines(rows: Sequence[Record], judged: Sequence[Verdict | None]) -> list[str]:
    """Return why rows are withdrawn, and what keeps others from being green."""
    cells = [
        [
            attacker_title(row),
            verdict.state,
            " ".join(verdict.faults) or f"no row to compare: {', '.join(verdict.missing)}",
        ]
        for row, verdict in zip(rows, judged)
        if verdict and verdict.state != "green"
    ]
    return [CHECKED, "", *(table(["attack", "verdict", "why"], cells) if cells else [])]


def made_lines(rows: Sequence[Record]) -> list[str]:
    """Return how each row was measured; the largest change shows that none left its ball."""
    head = ["attack", "n", "largest change, of ε", "device", "precision", "minutes", "command"]
    cells = [
        [
            attacker_title(row),
            str(row["n"]),
            f"{row['longest']:.3f}",
            row["device"],
            row["precision"],
            f"{row['minutes']:g}",
            command(row["command"]),
        ]
        for row in rows
    ]
    return section("**How the rows were measured**", head, cells)


def headline_cells(record: Record, reading: str = "worst") -> list[list[str]]:
    """Return, of every ball with a green row, n and what classifier and defence leave right.

    The classifier meets the attack that is worst for it, the defence the worst for each scan. Attacks made for the
    classifier alone are among them, as whoever knows the defence has those as well, so the words tell how many aren't.
    """
    measured, groups = measured_rows(record), record.get("scans", {}).get("groups", [])
    proven = proven_balls(record)
    cells = []
    for norm, eps, count, outcomes in strongest(measured):
        if (norm, eps) in proven and eps < UNBOUNDED:
            own = [row for row, each in zip(record["rows"], measured) if ball(each) == (norm, eps)]
            lowest = min(own, key=lambda row: row["undefended"])
            report = reading_report(outcomes[reading], groups)
            knowing = sum(ball(each) == (norm, eps) and sees_defence(each.attack) for each in measured)
            attacks = f"the worst of {count} attacks for each scan, {knowing} of them made against the defence"
            words = f"{attacks}, {ball_words(norm, eps)}"
            alone = share(lowest["undefended"], lowest["undefended_interval"])
            cells.append([words, str(len(groups)), alone, report_share(report, "accuracy")])
    return cells


def ball(row: MeasuredRow) -> tuple[str, float]:
    """Return norm and ε."""
    return row.attack.norm, row.attack.eps


def ball_words(norm: str, eps: float) -> str:
    """Return ``8/255`` or ``ℓ2 1``."""
    return radius_words(AttackSettings(eps=eps, norm=norm))
