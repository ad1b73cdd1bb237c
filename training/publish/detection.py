"""docs/results/detection.md: attacks and benign changes, undefended and behind the defence; from results.json."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.attacks import CORRUPTIONS
from core.bundles import Bundle, policy_classifiers
from core.bundles.policies import HARDENED
from training.files import read_results
from training.publish.markdown import (
    area,
    command,
    decimals,
    document,
    made_by,
    percent,
    report_share,
    section,
    share,
)

Row = Mapping[str, Any]
SCORES = ("mae_error", "amv", "agreement", "altered", "instability")
# Shares that records of bundles with several sites have, and what tables call them.
MORE = {"defended_attacked_of_right": "of right", "altered_attacked": "altered"}
ABOUT = (
    "How often a classifier is right under attack, alone and with the defence around it, and what the detector flags. "
    "Validation scans; 95 % intervals by bootstrap over near-duplicate groups; thresholds cross-fitted over groups, so "
    "that none saw the scan that it judges. AUC is over all attacked scans against the clean ones; ‘fooled, flagged’ "
    "is the share flagged of those that fooled the classifier. SSIM is between the purified estimates and the scans "
    "before the attack. A refusal counts as a wrong answer."
)


GREY_BOX = "**Attackers who know the classifier and not the defence**"
ALONE = (
    "**Attackers who know the classifier**, which answers every scan as it is under the hardened policy: they know all "
    "that answers"
)


def detection_page(bundles: Iterable[Bundle]) -> str:
    """Return the whole page: a section for each bundle."""
    lines = []
    for bundle in bundles:
        report = read_results(bundle.folder)
        lines += [f"## {bundle.name}", ""]
        hardened = policy_classifiers(bundle).get(HARDENED)
        lines += classifiers_table(report.get("plain_rows", [])) if bundle.lacks else defence_tables(report, hardened)
    return document("Attacks and the defence", ABOUT, lines)


def classifiers_table(rows: Sequence[Row]) -> list[str]:
    """Return how often each classifier of a bundle without a defence is right."""
    cells = [
        [
            row["title"],
            str(row["report"]["n"]),
            report_share(row["report"], "clean_accuracy"),
            command(row["report"]["settings"]["command"]),
        ]
        for row in rows
    ]
    return section("No defence has been trained for this bundle.", ["classifier", "n", "accuracy", "command"], cells)


def defence_tables(report: Mapping[str, Any], hardened: str | None = None) -> list[str]:
    """Return the tables of every classifier that has thresholds, the default one first and in full.

    hardened: the one that answers every scan as it is.
    """
    own = settings(report["rows"][0])["classifier"]
    lines = classifier_tables(own, report["rows"], report)
    lines += [benign_sentence(report["benign"]), ""]
    for name, rows in report["other_rows"].items():
        lines += classifier_tables(name, rows, report, alone=name == hardened)
    return lines


def classifier_tables(name: str, rows: Sequence[Row], report: Mapping[str, Any], alone: bool = False) -> list[str]:
    """Return one classifier's figures without an attack, under attacks and under benign changes."""
    plain = rows[0]["report"]
    attacks = [row for row in rows[1:] if settings(row)["attack"]["method"] not in CORRUPTIONS]
    benign = [row for row in rows[1:] if row not in attacks]
    attacks += [row for row in report["slow"] if settings(row)["classifier"] == name]
    return [
        f"### {name}",
        "",
        made_by(report["command"], plain["n"], plain["settings"]["seed"]),
        "",
        f"Without an attack: undefended {report_share(plain, 'clean_accuracy')}, "
        f"defended {report_share(plain, 'defended_clean_accuracy')}; false alarms "
        f"{report_share(plain, 'flagged_clean')}; {altered_words(plain)}refused {plain['refused']} of {plain['n']}.",
        "",
        *attack_table(ALONE if alone else GREY_BOX, attacks),
        *site_table([rows[0], *attacks]),
        *benign_table(benign, alone),
    ]


def settings(row: Row) -> Mapping[str, Any]:
    """Return what a row was measured with."""
    return row["report"]["settings"]


def attack_table(about: str, rows: Sequence[Row]) -> list[str]:
    """Return a line a row, by attack and ε."""
    rows = sorted(rows, key=lambda row: (row["title"].rsplit(",")[0], settings(row)["attack"]["eps"]))
    reports = [row["report"] for row in rows]
    more = [name for name in MORE if any(report.get(name) is not None for report in reports)]
    scores = [name for name in SCORES if all(name in report["detection"] for report in reports)]
    head = ["attack", "n", "undefended", "defended", *(MORE[name] for name in more), "flagged", "fooled, flagged"]
    head += [f"AUC `{name}`" if name == scores[0] else f"`{name}`" for name in scores]
    return section(about, [*head, "SSIM", "command"], [attack_cells(row, more, scores) for row in rows])


def attack_cells(row: Row, more: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return one row of an attack table; more: shares that not every record has, names: the scores."""
    report = row["report"]
    scores = [report["detection"][name] for name in names]
    return [
        row["title"],
        str(report["n"]),
        report_share(report, "attacked_accuracy"),
        report_share(report, "defended_attacked_accuracy"),
        *(known_share(report, name) for name in more),
        report_share(report, "flagged_attacked"),
        percent(report["flagged_successful"]),
        *(area(score["auc"], score["auc_interval"]) for score in scores),
        decimals(report["ssim_purified"], 3),
        command(report["settings"]["command"]),
    ]


def site_table(rows: Sequence[Row]) -> list[str]:
    """Return a line a site of every row that tells sites; nothing where none does."""
    told = [(row, site, own) for row in rows for site, own in row["report"].get("sites", {}).items()]
    kinds = {row["title"]: "attacked" if settings(row)["attack"]["method"] else "clean" for row in rows}
    about = "**By site.** Of right: of what is right unattacked, how much is right after attack and defence"
    head = ["attack", "site", "n", "undefended", "defended", "of right", "flagged", "altered"]
    named = ("{}_accuracy", "defended_{}_accuracy", "defended_{}_of_right", "flagged_{}", "altered_{}")
    cells = [
        [row["title"], site, str(own["n"]), *(known_share(own, name.format(kinds[row["title"]])) for name in named)]
        for row, site, own in told
    ]
    return section(about, head, cells)


def altered_words(report: Mapping[str, Any]) -> str:
    """Return how many clean scans are called altered, where the bundle asks that."""
    return f"called altered {known_share(report, 'altered_clean')}; " if report.get("altered_clean") is not None else ""


def known_share(own: Mapping[str, Any], name: str) -> str:
    """Return one share of a report or of a site in it; a dash where it isn't told."""
    return share(own.get(name), own["intervals"].get(name))


def benign_table(rows: Sequence[Row], alone: bool = False) -> list[str]:
    """Return a line a benign change."""
    purified = "what is flagged or called altered all the same is purified, and its label should stay as it was"
    about = f"**Benign changes**, no attacks; {'nothing is purified' if alone else purified}"
    head = ["change", "flagged", "label kept, of those purified", "undefended", "defended", "command"]
    return section(about, head, [benign_cells(row) for row in rows])


def benign_cells(row: Row) -> list[str]:
    """Return one row of the table of benign changes."""
    report = row["report"]
    return [
        row["title"],
        report_share(report, "flagged_attacked"),
        percent(report["flagged_label_kept"]),
        report_share(report, "attacked_accuracy"),
        report_share(report, "defended_attacked_accuracy"),
        command(report["settings"]["command"]),
    ]


def benign_sentence(totals: Mapping[str, Mapping[str, int]]) -> str:
    """Return what became of purified benign scans, over all changes, in two sentences.

    ``flagged`` in `totals` counts what was purified, as a scan may be for being called altered alone.
    """

    def words(counts: Mapping[str, int]) -> str:
        kept = percent(counts["kept"] / counts["flagged"] if counts["flagged"] else None)
        turned = f"{counts['turned_wrong']} were turned wrong and {counts['turned_right']} right"
        return f"{counts['kept']} ({kept}) kept their label; {turned}"

    now, otherwise = totals["measured"], totals["none stands"]
    return (
        f"Of the {now['flagged']} purified and not refused over all of these changes, {words(now)}. "
        f"If no borderline answer were kept, {words(otherwise)}."
    )
