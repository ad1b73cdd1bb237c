"""An audit as files to keep: a table for other programs, and a page for people that opens without a network."""

import base64
import csv
import io
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined, Template
from PIL import Image

from core.explanation import overlays
from core.report.cases import BROKEN, RESTORED, Case, CaseEvidence, worst_first

NOTICE = "Purescan is not a medical device. It must not be used for diagnosis or treatment."
ESTIMATE = "What a purifier returns is an estimate, never the patient’s scan."
PICTURE_SIDE = 256
GAIN = 5
MEASURES = {
    "ssim": "SSIM", "ms_ssim": "MS-SSIM", "psnr": "PSNR (dB)", "nmi": "NMI", "gmsd": "GMSD", "l2": "ℓ2", "linf": "ℓ∞",
}  # fmt: skip
_MAPPINGS = ("scores", "thresholds", "fidelity", "to_clean", "input_to_clean", "region")
_FORMULAE = ("=", "+", "-", "@", "\t", "\r")


class Pictures(NamedTuple):
    """A case in pictures, each a PNG: the scan, the estimate, the signed residual, and the clean scan or None."""

    scan: bytes
    estimate: bytes
    residual: bytes
    clean: bytes | None = None


def draw_pictures(evidence: CaseEvidence) -> Pictures:
    """A case's pictures, small enough for a page with many; ValueError where the scan was refused."""
    if evidence.estimate is None:
        raise ValueError("A refused scan has no estimate to draw; leave its pictures out.")
    shape, spacing, pixels = evidence.exam.frame.shape, evidence.scan.spacing, evidence.exam.pixels
    drawn = [overlays.model_png(image, shape, spacing) for image in (pixels, evidence.estimate)]
    drawn.append(overlays.residual_png(pixels, evidence.estimate, 0.5 / GAIN, shape, spacing))
    if evidence.reference is not None:
        drawn.append(overlays.model_png(evidence.reference, shape, spacing))
    return Pictures(*map(_small, drawn))


def _small(png: bytes) -> bytes:
    picture: Image.Image = Image.open(io.BytesIO(png))
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    if picture.mode != "L":
        # A third of the size, and the colours of a map have few shades anyway.
        picture = picture.quantize(128, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def versions() -> dict[str, str]:
    """The versions that figures may depend on."""
    packages = ("torch", "diffusers", "numpy", "scikit-image", "pydicom", "pillow")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def cases_csv(cases: Sequence[Case], run: Mapping[str, Any]) -> str:
    """One line a case, worst first, each with what it takes to make it again and what it is not.

    Parameters
    ----------
    run : mapping
        `core.report.store.run_record`.
    """
    rows = [_row(case, run) for case in worst_first(list(cases))]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\r\n")  # RFC 4180
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _row(case: Case, run: Mapping[str, Any]) -> dict[str, Any]:
    numbers = case.numbers()
    row: dict[str, Any] = {"name": _harmless(case.name), "answer_changed": None, "answer": None}
    if case.purified is not None:
        row |= {"answer_changed": case.changed, "answer": case.effect}
    for name, value in numbers.items():
        if name in _MAPPINGS and value is None:
            continue
        if isinstance(value, Mapping):
            row |= {f"{name}_{key}": number for key, number in value.items()}
        elif isinstance(value, tuple):
            row[name] = " ".join(value)
        else:
            row[name] = _harmless(value) if isinstance(value, str) else value
    settings = {key: run[key] for key in ("bundle", "classifier", "seed", "seeds")}
    return row | settings | {"notice": f"{NOTICE} {ESTIMATE}"}


def _harmless(text: str) -> str:
    """A spreadsheet runs a cell that begins like a formula, and a file name is a stranger's text."""
    return f"'{text}" if text.startswith(_FORMULAE) else text


def report_html(
    cases: Sequence[Case],
    pictures: Mapping[str, Pictures],
    run: Mapping[str, Any],
    *,
    title: str,
    cohort: str,
    total: int,
    made: datetime,
    purifies: bool = True,
) -> str:
    """One HTML page with all of an audit in it: it loads nothing, runs nothing, and prints.

    Parameters
    ----------
    cases : sequence of Case
        Those that are done.
    pictures : mapping of str to Pictures
        By the SHA-256 of the case; cases without are in the table only.
    run : mapping
        `core.report.store.run_record`: the settings and the SHA-256 of the weights.
    title, cohort : str
        Of the bundle, and what was audited.
    total : int
        Scans in the cohort: an audit that was stopped says what it leaves out.
    made : datetime
        When, with its time zone.
    purifies : bool
        Whether the pipeline purifies what it finds something against, as the classifier's limits say.
    """
    ordered = worst_first(list(cases))
    return _template().render(
        cases=ordered,
        shown=[(case, _data_uris(pictures[case.sha256])) for case in ordered if case.sha256 in pictures],
        legend=_data_uri(overlays.legend_png(signed=True)),
        figures=figures(cases),
        regions={case.sha256: region_words(case) for case in ordered if case.region},
        run=run,
        versions=versions(),
        title=title,
        cohort=cohort,
        total=total,
        made=made.strftime("%Y-%m-%d %H:%M %Z"),
        purifies=purifies,
        measures=MEASURES,
        gain=GAIN,
        limit=0.5 / GAIN,
        notice=NOTICE,
        estimate=ESTIMATE,
    )


def region_words(case: Case) -> str:
    """What purification did in the case's region, in a few words; empty where it has none."""
    region = case.region
    if not region:
        return ""
    if "problem" in region:
        return "can’t be measured"
    left = region["contrast"]
    return region["verdict"] if left is None else f"{region['verdict']}, {100 * left:.0f} % of its contrast left"


def figures(cases: Sequence[Case]) -> dict[str, Any]:
    """Counts over a cohort, and the middle and the worst SSIM of the estimate to the scan (None where there is none).

    `restored` and `broken` count the changed answers of scans whose truth is known: for good, and for ill.
    `changed_unflagged` counts the scans that nothing was found against and whose answer purification would change:
    harm where there was nothing to mend. `altered` is None where the bundle doesn't ask that.
    """
    measured = [case for case in cases if case.fidelity]
    ssim = [case.fidelity["ssim"] for case in cases if case.fidelity]
    asked = [case.altered for case in measured if case.altered is not None]
    return {
        "scans": len(cases),
        "unreadable": sum(case.problem is not None for case in cases),
        "refused": sum(case.refused is not None for case in cases),
        "measured": len(measured),
        "flagged": sum(case.flagged for case in measured),
        "altered": sum(asked) if asked else None,
        "changed": sum(case.changed for case in measured),
        "restored": sum(case.effect == RESTORED for case in measured),
        "broken": sum(case.effect == BROKEN for case in measured),
        "changed_unflagged": sum(case.changed and not case.flagged and not case.altered for case in measured),
        "regions": Counter(case.region["verdict"] for case in measured if case.region and "verdict" in case.region),
        "divided": sum(case.agreement is not None and case.agreement < 1 for case in measured),
        "ssim_median": median(ssim) if ssim else None,
        "ssim_worst": min(ssim, default=None),
    }


@cache
def _template() -> Template:
    # Everything is escaped: file names are strangers' texts.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": _percent, "digits": _digits, "bytes255": lambda value: _digits(255 * value)}
    return environment.from_string(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))


def _percent(share: float) -> str:
    """A probability in per cent; never a 0 or 100 that was only rounded to."""
    return "> 99.9 %" if 0.999 < share < 1 else f"{100 * share:.1f} %"


def _digits(value: float) -> str:
    return f"{value:.3g}"


def _data_uris(pictures: Pictures) -> dict[str, str | None]:
    return {name: png and _data_uri(png) for name, png in pictures._asdict().items()}


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
