"""Certified accuracy as a table: how many answers are right and certified so far out; from results.json."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from training.publish.markdown import decimals, figure_share, made_by, percent, table

EVERYWHERE, EPS = "all", 8


def certified_table(record: Mapping[str, Any]) -> list[str]:
    """Return a line a strength of noise, and below it one a site; nothing where it wasn't measured."""
    if not record:
        return []
    radii = [share["radius"] for share in record["rows"][0]["certified"]]
    head = ["noise σ", "site", "n", "no certificate", *(f"ℓ2 {radius:g}" for radius in radii), "a scan"]
    return [about(record), "", *table(head, [cells for row in record["rows"] for cells in lines_of(row)])]


def about(record: Mapping[str, Any]) -> str:
    """Return what the table shows, of how many draws."""
    length = EPS / 255 * math.sqrt(math.prod(record["shape"]))
    wrong = round(1 / (1 - record["confidence"]))
    return (
        "**Certified accuracy** by denoised smoothing (Carlini et al. 2023): of how many scans the smoothed answer is "
        "right and can be turned by no change whose ℓ2 length is below the radius, whoever makes it; pixels from 0 to "
        f"1, {record['draws']:,} draws a scan, each certificate wrong with a chance of 1 in {wrong:,} at most. "
        f"{EPS}/255 in every pixel has length {decimals(length, 1)}. The classifier itself ({record['classifier']}) is "
        f"right on {figure_share(record['unsmoothed'])} of these scans. {made_by(record['command'], record['n'])}"
    )


def lines_of(row: Mapping[str, Any]) -> list[list[str]]:
    """Return the lines of one strength of noise."""
    parts = {EVERYWHERE: row} | row["sites"]
    return [cells(row, name, part) for name, part in parts.items()]


def cells(row: Mapping[str, Any], name: str, part: Mapping[str, Any]) -> Sequence[str]:
    """Return one line; the time stands with the whole alone."""
    shares = [figure_share(share) for share in part["certified"]]
    seconds = f"{row['seconds']:.1f} s" if name == EVERYWHERE else ""
    return [f"{row['sigma']:g}", name, str(part["n"]), percent(part["abstained"]), *shares, seconds]
