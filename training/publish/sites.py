"""docs/results/sites.md: what classifiers reach at each hospital, seen in training or left out; from results.json."""

from collections.abc import Iterable, Mapping
from typing import Any

from core.bundles import Bundle, classifier_sha256
from training.files import read_results
from training.measure.leave_one_out import KEY as LEFT_OUT
from training.measure.sites import KEY as SITES
from training.publish.markdown import NONE, area, command, decimals, document, section, share

Record = Mapping[str, Any]
ABOUT = (
    "What a classifier reaches at each site, without an attack and without the defence. A figure from a site that was "
    "left out of training is the honest one: what to expect at a hospital of which nothing has been seen. AUC, "
    "sensitivity and specificity are of the second class; where a site has no scans of one class there is no AUC. ECE "
    "is the calibration error of the probabilities, divided by a temperature that was fitted on other scans. "
    "95 % intervals by bootstrap over patients, blocks or near-duplicate groups."
)
NOTHING_YET = "Not measured with the weights of today; `python -m training.measure.sites` does it."
HEAD = ("scans of", "n", "patients or groups", "AUC", "sensitivity", "specificity", "accuracy", "ECE")
KINDS = ("collections", "sites", "sequences", "sites_and_sequences")


def sites_page(bundles: Iterable[Bundle]) -> str:
    """Return the whole page: a section for each bundle that learned from several sites."""
    lines = []
    for bundle in bundles:
        found = [*left_out_table(bundle), *sites_tables(bundle)]
        if found or bundle.lacks is None:
            lines += [f"## {bundle.name}", "", *(found or [NOTHING_YET, ""])]
    return document("Site by site", ABOUT, lines)


def left_out_table(bundle: Bundle, by_sequence: bool = True) -> list[str]:
    """Return what a classifier reaches at each site that it was trained without; nothing where it wasn't measured."""
    record = read_results(bundle.folder).get(LEFT_OUT, {})
    rows = []
    for site, row in record.get("sites", {}).items():
        parts = row.get("sequences", {}) if by_sequence else {}
        rows += [cells(site, row["all"]), *(cells(f"{site}, {name}", found) for name, found in parts.items())]
    about = (
        "**Left out**: the classifier trained anew without the site, in a short run, and asked about all of the site’s "
        f"scans. Made by {command(record.get('command', ''))}."
    )
    return section(about, HEAD, rows)


def sites_tables(bundle: Bundle) -> list[str]:
    """Return what each classifier reaches on validation scans of the sites that it learned from.

    One that was measured with other weights than today's is left out.
    """
    lines = []
    for name, record in read_results(bundle.folder).get(SITES, {}).items():
        known = name in bundle.facts["classifiers"]
        if not known or classifier_sha256(bundle, name) != record["weights_sha256"]:
            continue
        parts = {"all": record["all"]}
        for kind in KINDS:
            parts |= record.get(kind, {})
        about = f"**{name}**, validation scans. Made by {command(record['command'])}."
        lines += section(about, HEAD, [cells(part, found) for part, found in parts.items()])
    return lines


def cells(name: str, found: Record) -> list[str]:
    """Return one line of either table."""
    auc = NONE if found.get("auc") is None else area(found["auc"], found["auc_interval"])
    shares = [share(found.get(key), found.get(f"{key}_interval")) for key in ("sensitivity", "specificity", "accuracy")]
    return [name, f"{found['n']:,}", f"{found['groups']:,}", auc, *shares, decimals(found["ece"], 3)]
