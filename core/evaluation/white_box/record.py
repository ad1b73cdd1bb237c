"""What is recorded in a bundle of attackers who know its defence, as far as weights and limits are those of today."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from core.attacks import AttackSettings, sees_defence
from core.bundles import Bundle, classifier_under, weights_record
from core.bundles.policies import CLINICAL
from core.defence.fitting import cross_fitted_limits
from core.evaluation.journal import fingerprint
from core.evaluation.operating_points import Share
from core.evaluation.tradeoff import results_entry
from core.evaluation.white_box.readings import reading_report
from core.evaluation.white_box.sanity import UNBOUNDED, MeasuredRow, strongest, verdicts

KEY = "white_box"
ALL = "all"  # the scans of every site together
Ball = tuple[str, float]  # norm and ε


class TradePoint(NamedTuple):
    """One policy on the scans of one site, or of `ALL`.

    unattacked, attacked : Share
        Right, without an attack and after the worst of those measured for each scan.
    unnoticed : Share
        Wrong after it, and without an alarm.
    attackers, knowing : int
        How many attacks were measured, and how many of them were made against the defence.
    proven : bool
        One that follows its gradient has passed all tests for masked gradients.
    """

    site: str
    unattacked: Share
    attacked: Share
    unnoticed: Share
    attackers: int
    knowing: int
    proven: bool


def key_of(policy: str) -> str:
    """Return under which key of results.json the rows of a policy stand."""
    return KEY if policy == CLINICAL else f"{KEY}_{policy}"


def made_with_today(bundle: Bundle, name: str) -> dict[str, Any]:
    """Return what all rows of a classifier depend on: what was trained, and every limit by which a scan may be
    judged.
    """
    limits = [bundle.limits_of(name), *cross_fitted_limits(bundle.starting_calibration(name))]
    return {
        "weights_sha256": weights_record(bundle, name),
        "limits": fingerprint({"limits": [repr(own) for own in limits]}),
    }


def record_of_today(bundle: Bundle, policy: str = CLINICAL) -> Mapping[str, Any]:
    """Return what results.json says of attackers on a policy; empty where other weights or limits were measured."""
    record, name = results_entry(bundle.folder, key_of(policy)), classifier_under(bundle, policy)
    return record if record.get("rows") and record.get("made_with") == made_with_today(bundle, name) else {}


def settings_of(row: Mapping[str, Any]) -> AttackSettings:
    """Return the attack of a recorded row."""
    return AttackSettings(**row["attack"])


def attacker_title(row: Mapping[str, Any]) -> str:
    """Return what a row is called: who doesn't know the defence is told from the others."""
    knowing = not row["name"].startswith("transfer")
    return row["title"] if knowing else f"{row['title']}, made for the classifier alone"


def measured_rows(record: Mapping[str, Any]) -> list[MeasuredRow]:
    """Return the recorded rows as the tests of `core.evaluation.white_box.sanity` take them."""
    outcomes = [
        {name: reading["outcomes"] for name, reading in each["readings"].items()} for each in record.get("rows", [])
    ]
    return [MeasuredRow(settings_of(each), found) for each, found in zip(record.get("rows", []), outcomes)]


def measured_balls(record: Mapping[str, Any]) -> dict[Ball, int]:
    """Return norm and ε → by how many attackers it was measured; not so far a ball that anything can be made of it."""
    return {(norm, eps): count for norm, eps, count, _ in strongest(measured_rows(record)) if eps < UNBOUNDED}


def proven_balls(record: Mapping[str, Any]) -> set[Ball]:
    """Return where an attack that follows the defence's gradient has passed all tests for masked gradients."""
    rows = measured_rows(record)
    judged = verdicts(rows, record.get("scans", {}).get("groups", []))
    return {
        (row.attack.norm, row.attack.eps)
        for row, verdict in zip(rows, judged)
        if row.kind == "exact" and verdict and verdict.state == "green"
    }


def site_reports(record: Mapping[str, Any], reading: str, ball: Ball | None = None) -> dict[str, dict[str, Any]]:
    """Return the shares of `reading_report` by site, `ALL` first: unattacked, or after the worst in a ball for each
    scan. Empty where nobody measured that.

    reading: in `core.evaluation.white_box.readings.READINGS`.
    """
    rows = measured_rows(record)
    if ball is None:
        letters = next((row.outcomes[reading] for row in rows if row.kind == "clean"), "")
    else:
        letters = next((found[reading] for norm, eps, _, found in strongest(rows) if (norm, eps) == ball), "")
    if not letters:
        return {}
    sites, groups = (np.array(record["scans"][column]) for column in ("sites", "groups"))
    own = {ALL: np.full(len(sites), fill_value=True)}
    own |= {site: sites == site for site in sorted(set(record["scans"]["sites"]))}
    return {
        site: reading_report("".join(np.array(list(letters))[chosen]), groups[chosen].tolist())
        for site, chosen in own.items()
    }


def trade_points(record: Mapping[str, Any], reading: str, ball: Ball) -> list[TradePoint]:
    """Return what a policy leaves right, of `ALL` and at every site where there are several.

    Empty where either side wasn't measured.
    """
    before, after = site_reports(record, reading), site_reports(record, reading, ball)
    sites = ALL, *sorted(set(record["scans"]["sites"]))
    attacks = [row.attack for row in measured_rows(record) if (row.attack.norm, row.attack.eps) == ball]
    attacks, proven = [attack for attack in attacks if attack.method], ball in proven_balls(record)
    return [
        TradePoint(
            site,
            _share(before[site], "accuracy"),
            _share(after[site], "accuracy"),
            _share(after[site], "passed_wrong"),
            len(attacks),
            sum(map(sees_defence, attacks)),
            proven,
        )
        for site in (sites if len(sites) > 2 else sites[:1])
        if site in before and site in after
    ]


def _share(report: Mapping[str, Any], name: str) -> Share:
    low, high = report["intervals"][name]
    return Share(report[name], low, high, len(report["outcomes"]))
