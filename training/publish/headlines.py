"""The few figures that README and the bundle cards show; from the same records as docs/results."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.bundles import Bundle, policy_classifiers
from core.bundles.policies import HARDENED
from core.evaluation.white_box.record import record_of_today
from core.faults.record import FaultRecord
from training.files import read_results
from training.publish.detection import classifiers_table
from training.publish.encryption import encryption_records, measured_share
from training.publish.fault_records import MOST, cell, fault_records
from training.publish.markdown import NONE, made_by, report_share, section, table
from training.publish.sites import left_out_table
from training.publish.white_box import headline_cells

SHOWN = "pgd 8/255"
DEFENCE = "detect and purify"
HARDENED_POLICY = "the hardened policy, another classifier that answers alone"
WITHOUT_DEFENCE, WITH_DEFENCE = "attacked_accuracy", "defended_attacked_accuracy"
SLOW = "autoattack 8/255"
DATA = (".npz", ".zip")


def readme_table(bundle: Bundle) -> list[str]:
    """Return the headline figures of a bundle that has a defence: each time without a measure and with it."""
    report = read_results(bundle.folder)
    plain = report["rows"][0]["report"]
    guard = list(fault_rows(bundle))
    about = (
        f"Right answers to n validation scans of {bundle.name}. Those of the defence are of {places(bundle)}"
        f"{bundle.facts['calibrated']['groups']} groups (near-duplicates, patients or blocks); 95 % intervals over "
        f"groups{', of the guard over trials' if guard else ''}; seed {plain['settings']['seed']}. Every command "
        "stands in docs/results."
    )
    rows = [*defence_rows(report), *knowing_rows(bundle), *guard, *encryption_rows(bundle)]
    return section(about, ["protection", "against", "n", "without it", "with it"], rows)


def places(bundle: Bundle) -> str:
    """Return from how many sites the validation scans are; nothing where a bundle tells no sites."""
    sites = bundle.facts["calibrated"].get("sites", {})
    return f"{len(sites)} sites and " if sites else ""


def defence_rows(report: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the default classifier without an attack and under the strongest ones, alone and behind the defence."""
    rows = {row["condition"]: row for row in report["rows"]}
    plain = rows["clean"]["report"]
    shares = report_share(plain, "clean_accuracy"), report_share(plain, "defended_clean_accuracy")
    yield [DEFENCE, "no attack", str(plain["n"]), *shares]
    own = plain["settings"]["classifier"]
    slow = {row["condition"]: row for row in report["slow"] if row["report"]["settings"]["classifier"] == own}
    yield attacked_row(rows[SHOWN])
    if SLOW in slow:
        yield attacked_row(slow[SLOW])


def knowing_rows(bundle: Bundle) -> list[list[str]]:
    """Return the same under attackers who know the defence, as far as weights and limits of today were measured."""
    clinical = [[DEFENCE, *cells] for cells in headline_cells(record_of_today(bundle))]
    if HARDENED not in policy_classifiers(bundle):
        return clinical
    found = headline_cells(record_of_today(bundle, HARDENED))
    return [*clinical, *([HARDENED_POLICY, against, n, NONE, right] for against, n, _, right in found)]


def attacked_row(row: Mapping[str, Any]) -> list[str]:
    """Return one attack, alone and behind the defence."""
    shares = [report_share(row["report"], name) for name in (WITHOUT_DEFENCE, WITH_DEFENCE)]
    return [DEFENCE, row["title"], str(row["report"]["n"]), *shares]


def fault_rows(bundle: Bundle) -> Iterator[list[str]]:
    """Yield the default classifier with random flips in its weights, without the guard and repaired by it."""
    record = fault_records(bundle).get(bundle.default_classifier)
    modes = guard_modes(record) if record else {}
    if {"off", "repair"} <= modes.keys() and record:
        shares = [cell(modes[mode]) for mode in ("off", "repair")]
        yield ["the guard", f"{MOST} random bit flips in the weights", str(record.studies["guard"].n), *shares]


def guard_modes(record: FaultRecord) -> dict[str, Any]:
    """Return guard mode → its row for `MOST` random flips in the weights."""
    rows = record.rows("guard")
    return {row.guard: row for row in rows if (row.damage, row.flips) == ("weights", MOST)}


def encryption_rows(bundle: Bundle) -> Iterator[list[str]]:
    """Yield each classifier with a class token, asked in the clear and under encryption with its linear head.

    Its scans are named: they need not be those of the defence.
    """
    for name, record in encryption_records(bundle).items():
        if found := record.heads.get(("linear", "linear")):
            shares = [measured_share(answers["accuracy"]) for answers in (found.plain, found.encrypted)]
            asked = ", ".join(Path(word).stem for word in shlex.split(record.command) if word.endswith(DATA))
            yield ["encryption", f"a curious server ({name}, scans of {asked})", str(record.n), *shares]


def card_table(bundle: Bundle) -> list[str]:
    """Return how often each classifier of a bundle is right, as its card shows it; first at hospitals left out."""
    report = read_results(bundle.folder)
    if bundle.lacks:
        return classifiers_table(report.get("plain_rows", []))
    by_classifier = {report["rows"][0]["report"]["settings"]["classifier"]: report["rows"], **report["other_rows"]}
    plain = report["rows"][0]["report"]
    head = ["classifier", "no attack, alone", "behind the defence", "PGD-40 at 8/255, alone", "behind the defence"]
    return [
        *left_out_table(bundle, by_sequence=False),
        made_by(report["command"], plain["n"], plain["settings"]["seed"]),
        "",
        *table(head, [card_cells(name, rows) for name, rows in by_classifier.items()]),
    ]


def card_cells(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one classifier's row of the card."""
    reports = {row["condition"]: row["report"] for row in rows}
    clean = [report_share(reports["clean"], figure) for figure in ("clean_accuracy", "defended_clean_accuracy")]
    return [name, *clean, *(report_share(reports[SHOWN], figure) for figure in (WITHOUT_DEFENCE, WITH_DEFENCE))]
