"""What is recorded of attackers who know the defence, in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pages.shared.records.figures import full_text, share_text
from pages.shared.words import heading, sign

if TYPE_CHECKING:
    from core.evaluation.white_box.record import Ball, TradePoint

ALL_SITES = "All sites"
OUTCOMES = {
    "accuracy": "Right", "passed_wrong": "Wrong, unnoticed", "flagged_wrong": "Wrong, flagged", "refused": "Refused",
    "alarm_alone": "Alarm alone",
}  # fmt: skip
NO_TEST = "no test"
UNPROVEN = "; not proven: the attacks’ own tests, below, are failed or incomplete"
HOW = (
    "“Alarm alone”: an alarm or a refusal where the answer was, or would have been, right. Tests for masked "
    "gradients: more steps must not be weaker, who sees less not stronger, and ε = 64/255 must leave nothing right. A "
    "row that fails one is withdrawn and proves nothing; one for which a test has no row to compare with is "
    "incomplete. Each scan is judged with thresholds that its fold (one of five) had no part in. "
    "Intervals: 95 %, bootstrap over near-duplicate groups."
)


def ball_words(norm: str, eps: float) -> str:
    """How far the attacker may go, such as “ℓ∞ 8/255”."""
    return f"{sign(norm)} {eps:g}/255" if norm == "linf" else f"{sign(norm)} {eps:g}"


def site_title(site: str) -> str:
    """A site, or the scans of all of them."""
    from core.evaluation.white_box.record import ALL

    return ALL_SITES if site == ALL else site


def trade_told(trade: Mapping[str, Sequence[TradePoint]], ball: Ball) -> str:
    """What each policy leaves right, unattacked and attacked, on all scans."""
    said = [
        f"{policy} **{share_text(points[0].attacked)}** of {points[0].attacked.n} scans, each under the worst of "
        f"{points[0].attackers} attacks for it, {points[0].knowing} of them made against the defence "
        f"({share_text(points[0].unattacked)} without an attack{'' if points[0].proven else UNPROVEN})"
        for policy, points in trade.items()
    ]
    return f"Right under attack, {ball_words(*ball)}: {'; '.join(said)}."


def verdicts_told(record: Mapping[str, Any]) -> list[str]:
    """Why attackers' rows are withdrawn or incomplete, a sentence each."""
    from core.evaluation.white_box.record import attacker_title, measured_rows
    from core.evaluation.white_box.sanity import verdicts

    judged = verdicts(measured_rows(record), record["scans"]["groups"])
    found = [(heading(attacker_title(row)), verdict) for row, verdict in zip(record["rows"], judged) if verdict]
    withdrawn = [f"{title}, withdrawn: {' '.join(verdict.faults)}" for title, verdict in found if verdict.faults]
    incomplete = [
        f"{title}, incomplete: no row to compare with for {' and '.join(verdict.missing)}."
        for title, verdict in found
        if verdict.state == "incomplete"
    ]
    return withdrawn + incomplete


def site_rows(trade: Mapping[str, Sequence[TradePoint]]) -> list[dict[str, str]]:
    """A line a policy and site."""
    return [
        {
            "Policy": heading(policy),
            "Site": site_title(point.site),
            "Scans": str(point.attacked.n),
            "Right, no attack": full_text(point.unattacked),
            "Right, attacked": full_text(point.attacked),
            "Wrong and unnoticed, attacked": full_text(point.unnoticed),
        }
        for policy, points in trade.items()
        for point in points
    ]


def attacker_rows(record: Mapping[str, Any], reading: str) -> list[dict[str, str]]:
    """A line an attacker: what is right without the defence, what becomes of the scan with it, and the tests."""
    from core.evaluation.white_box.record import attacker_title, measured_rows
    from core.evaluation.white_box.sanity import verdicts

    judged = verdicts(measured_rows(record), record["scans"]["groups"])
    rows = []
    for row, verdict in zip(record["rows"], judged):
        report, alone = row["readings"][reading], (row["undefended"], row["undefended_interval"])
        shares = {"Classifier alone": alone}
        shares |= {title: (report[name], report["intervals"][name]) for name, title in OUTCOMES.items()}
        cells = {title: _share_text(value, interval, row["n"]) for title, (value, interval) in shares.items()}
        tests = verdict.state if verdict else NO_TEST
        rows.append({"Attacker": heading(attacker_title(row)), **cells, "Tests": tests})
    return rows


def made_told(record: Mapping[str, Any]) -> str:
    """Of how many scans these figures are, and how they were made."""
    groups = record["scans"]["groups"]
    return (
        f"n = {len(groups)} validation scans in {len(set(groups))} near-duplicate groups, classifier "
        f"{record['classifier']}, seed {record['seed']}. {HOW}"
    )


def _share_text(value: float, interval: tuple[float, float], n: int) -> str:
    from core.evaluation.operating_points import Share

    return full_text(Share(value, *interval, n))
