"""docs/results/purification.md: purifiers compared, certified accuracy, and what the MAE sees; from results.json."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.bundles import Bundle, weights_record
from core.defence.certificate import DENOISED_SIDE
from core.evaluation.tradeoff import entry_of_today, rows_of_today
from training.files import read_results
from training.publish.markdown import (
    NONE,
    command,
    decimals,
    document,
    figure_share,
    made_by,
    percent,
    report_share,
    section,
    share,
    table,
)

EVERYWHERE, EPS = "all", 8
TRANSFER = "transfer "
NOTHING_YET = "Not measured with the weights of today; `python -m training.measure.purifiers` does it."
CONDITIONS = ("clean", "attacked_4", "attacked_8")
ABOUT = (
    "Each purifier on every scan, whether it would be flagged or not; the attacker (PGD-40) knows the classifier "
    "alone. Accuracy with 95 % intervals by bootstrap over near-duplicate groups; SSIM between the estimates and the "
    "scans before the attack; lesions within 10 % of their contrast, and in brackets by the plain difference of two "
    "means. Slow purifiers take fewer scans, and one fast one takes the same, to compare. The bundle's default "
    "classifier answers on all estimates in these tables, also where the defence would ask its robust one."
)


def purification_page(bundles: Iterable[Bundle]) -> str:
    """Return the whole page: a section for each bundle that has purifiers."""
    lines = []
    for bundle in bundles:
        report = read_results(bundle.folder)
        found = [
            *purifier_table(rows_of_today(bundle, "purifiers")),
            *sensitivity_tables(rows_of_today(bundle, "sensitivity")),
            *certified_table(certified_of_today(report.get("certified", {}), bundle)),
            *variation_tables(entry_of_today(bundle, "variation")),
        ]
        lines += [] if bundle.lacks else [f"## {bundle.name}", "", *(found or [NOTHING_YET, ""])]
    return document("Purification", ABOUT, lines)


def certified_of_today(record: Mapping[str, Any], bundle: Bundle) -> Mapping[str, Any]:
    """Return what was certified with the weights and the denoising of today; nothing where it was with others."""
    today = weights_record(bundle, bundle.default_classifier), DENOISED_SIDE
    return record if (record.get("made_with"), record.get("denoised_side")) == today else {}


def purifier_table(record: Mapping[str, Any]) -> list[str]:
    """Return a line a purifier."""
    if not record:
        return []
    head = ["purifier", "n", "clean", "PGD-40, 4/255", "PGD-40, 8/255", "SSIM clean", "4/255", "8/255"]
    head += ["lesions kept", "a scan", "command"]
    whole = section(made_by(record["command"]), head, [purifier_cells(row) for row in record["rows"]])
    return [*whole, *purifier_site_table(record["rows"])]


def purifier_site_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line a site of every purifier that was measured by site: of what is right as it is, what is after."""
    about = (
        "**By site.** Of right: of the scans that are right as they are, how many are right after (attack and) "
        "purification; kept: unattacked scans whose answer stays"
    )
    head = ["purifier", "site", "n", "of right, clean", "4/255", "8/255", "kept", "lesions kept"]
    names = (*(f"{condition}_of_right" for condition in CONDITIONS), "clean_kept")
    cells = [
        [
            row["row"].rsplit(" n=")[0],
            site,
            str(own["n"]),
            *(share(own[name], own["intervals"].get(name)) for name in names),
            lesions(own["lesion_clean"]),
        ]
        for row in rows
        for site, own in row.get("sites", {}).items()
    ]
    return section(about, head, cells)


def purifier_cells(row: Mapping[str, Any]) -> list[str]:
    """Return one row of the table of purifiers."""
    return [
        row["row"].rsplit(" n=")[0],
        str(row["n"]),
        *(report_share(row, condition) for condition in CONDITIONS),
        *(decimals(row[f"ssim_{condition}"], 3) for condition in CONDITIONS),
        lesions(row["lesion_clean"]),
        f"{row['ms']:.0f} ms",
        command(row["command"]),
    ]


def lesions(summary: Mapping[str, Any] | None) -> str:
    """Return how many outlined lesions kept their contrast, and how many by the plain difference of two means."""
    if not summary or not summary["n"]:
        return NONE
    kept, plain = percent(summary["contrast_kept"]), percent(summary["difference_kept"])
    return f"{kept} of {summary['n']} ({plain})"


def sensitivity_tables(record: Mapping[str, Any]) -> list[str]:
    """Return a line a setting of MAE-Pure's family, and a line a purifier before another classifier."""
    if not record:
        return []
    varied = [row for row in record["rows"] if not row["name"].startswith(TRANSFER)]
    other = [row for row in record["rows"] if row["name"].startswith(TRANSFER)]
    made, head = (
        made_by(record["command"], record["n"]),
        ["purifier", "right, clean", "right, PGD-40, 8/255", "command"],
    )
    lines = section(
        f"**Settings** (MAE-Pure, figure 5), one at a time; rate: of hidden patches. {made}",
        head,
        sensitivity_cells(varied),
    )
    if other:
        about = f"**Another classifier** (D.2): {other[0]['classifier']} is attacked, and answers"
        lines += section(about, head, sensitivity_cells(other))
    return lines


def sensitivity_cells(rows: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Return the cells of `sensitivity_tables`."""
    return [
        [
            row["name"].removeprefix(TRANSFER),
            *(report_share(row, condition) for condition in ("clean", "attacked_8")),
            command(row["command"]),
        ]
        for row in rows
    ]


def variation_tables(record: Mapping[str, Any]) -> list[str]:
    """Return the MAE's loss and attention variation against ε and along MAE-Pure."""
    if not record:
        return []
    lines = [
        "**What the MAE sees** (MAE-Pure, figure 4), against the clean scans: under PGD-40, and along MAE-Pure from "
        f"PGD-40 at 8/255. {made_by(record['command'], record['n'])}",
        "",
        *variation_table("ε, 1/255", "eps", record["attack"]),
        *variation_table("MAE-Pure step", "step", record["purification"]),
    ]
    if record.get("mask_dit"):
        lines += ["**What the MaskDiT sees** (figure 7), of the same scans.", ""]
        lines += variation_table("ε, 1/255", "eps", record["mask_dit"])
    return lines


def variation_table(title: str, place: str, points: Sequence[Mapping[str, float]]) -> list[str]:
    """Return a line a point of the curve."""
    head = [title, "reconstruction loss", "attention variation, encoder", "decoder"]
    rows = [
        [
            f"{point[place]:g}",
            decimals(point["reconstruction_loss"], 4),
            decimals(point["encoder"], 2),
            decimals(point["decoder"], 2),
        ]
        for point in points
    ]
    return table(head, rows)


def certified_table(record: Mapping[str, Any]) -> list[str]:
    """Return a line a strength of noise, and below it one a site; nothing where it wasn't measured."""
    if not record:
        return []
    radii = [share["radius"] for share in record["rows"][0]["certified"]]
    head = ["noise σ", "site", "n", "no certificate", *(f"ℓ2 {radius:g}" for radius in radii), "a scan"]
    return [
        certified_about(record),
        "",
        *table(head, [cells for row in record["rows"] for cells in certified_lines(row)]),
    ]


def certified_about(record: Mapping[str, Any]) -> str:
    """Return what the table shows, of how many draws."""
    length = EPS / 255 * math.sqrt(math.prod(record["shape"]))
    wrong = round(1 / (1 - record["confidence"]))
    return (
        "**Certified accuracy** by denoised smoothing (Carlini et al. 2023): of how many scans the smoothed answer is "
        "right and can be turned by no change whose ℓ2 length is below the radius, whoever makes it; pixels from 0 to "
        f"1, {record['draws']:,} draws a scan, each certificate wrong with a chance of 1 in {wrong:,} at most. "
        f"{EPS}/255 in every pixel has length {decimals(length, 1)}. Under noise {record['answering']} answers, as on "
        f"purified scans; without any, {record['classifier']} is right on {figure_share(record['unsmoothed'])}. "
        f"{made_by(record['command'], record['n'])}"
    )


def certified_lines(row: Mapping[str, Any]) -> list[list[str]]:
    """Return the lines of one strength of noise."""
    parts = {EVERYWHERE: row} | row["sites"]
    return [certified_cells(row, name, part) for name, part in parts.items()]


def certified_cells(row: Mapping[str, Any], name: str, part: Mapping[str, Any]) -> Sequence[str]:
    """Return one line; the time stands with the whole alone."""
    shares = [figure_share(share) for share in part["certified"]]
    seconds = f"{row['seconds']:.1f} s" if name == EVERYWHERE else ""
    return [f"{row['sigma']:g}", name, str(part["n"]), percent(part["abstained"]), *shares, seconds]
