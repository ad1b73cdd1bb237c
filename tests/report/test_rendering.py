"""A report loads nothing, runs nothing, and says what it is."""

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from core.report.cases import AuditSettings, Case, case_evidence, summarised
from core.report.cohort import sample_cohort
from core.report.rendering import ESTIMATE, NOTICE, Pictures, cases_csv, draw_pictures, figures, report_html
from core.report.store import run_record

DISTANCES = {"ssim": 0.8, "psnr": np.inf, "linf": 0.1, "l2": 2.0, "ms_ssim": 0.9, "nmi": 1.4, "gmsd": 0.05}
CASE = Case(
    "scan.dcm", "a" * 64, label="tumour", probability=0.99, undefended="no tumour", undefended_probability=0.9,
    flagged=True, flagged_by=("instability",), scores={"instability": 2.0}, thresholds={"instability": 1.0},
    t_star=60, purified="tumour", purified_probability=0.99, fidelity=DISTANCES, agreement=0.8, spread=2 / 255,
    seconds=0.5,
)  # fmt: skip
HOSTILE = '<img src=x onerror="alert(1)">.dcm'
MADE = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def run(bundle):
    return run_record(sample_cohort(), bundle, AuditSettings())


def png():
    stream = io.BytesIO()
    Image.new("L", (4, 4)).save(stream, "PNG")
    return stream.getvalue()


def page(cases, run, pictures=None, total=None):
    words = {"title": "Brain MRI", "cohort": "Sample cohort", "made": MADE}
    return report_html(cases, pictures or {}, run, total=total or len(cases), **words)


class Reader(HTMLParser):
    """Which elements there are, what they load, and whether they are closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loaded, self.text, self.open = set(), [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.loaded += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "img", "line", "circle", "path", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_it_needs_no_network_and_runs_nothing(run):
    text = page([CASE], run, {CASE.sha256: Pictures(png(), png(), png())})
    reader = Reader(text)
    assert not reader.open
    assert not reader.tags & {"script", "link", "iframe", "object", "form"}
    assert len(reader.loaded) == 4 and all(loaded.startswith("data:image/png;base64,") for loaded in reader.loaded)
    assert "default-src 'none'" in text and "://" not in text and "@import" not in text
    assert NOTICE in text and ESTIMATE in text


def test_it_says_how_it_was_made(run, bundle):
    text = page([CASE], run)
    for file, sha256 in run["weights_sha256"].items():
        assert file in text and sha256 in text
    for wanted in (CASE.sha256, run["classifier"], run["cohort"], "torch 2", "2026-01-02 03:04 UTC", "0 to 4"):
        assert wanted in text
    assert run["weights_sha256"]


def test_names_are_text(run):
    hostile = replace(CASE, name=HOSTILE)
    bad = Case(HOSTILE, "b" * 64, problem=f"'{HOSTILE}' is a text: export it.")
    reader = Reader(page([hostile, bad], run, {CASE.sha256: Pictures(png(), png(), png())}))
    assert "x" not in reader.loaded
    assert sum(HOSTILE in text for text in reader.text) >= 4


def test_a_change_is_told_in_words_and_what_is_missing_is_said(run):
    kept = replace(CASE, name="kept.dcm", sha256="c" * 64, undefended="tumour", to_clean=DISTANCES)
    text = re.sub(r"\s+", " ", page([kept, CASE], run, {CASE.sha256: Pictures(png(), png(), png())}, total=5))
    assert text.index("scan.dcm") < text.index("kept.dcm"), "worst first"
    assert "changed:</span> no tumour → tumour" in text and "kept: tumour" in text
    assert "changed the answer</span> from no tumour to tumour, from t* = 60; 80.0 % of 5 seeds" in text
    assert "2 of 5 scans are in this report" in text and "stands" not in text.split("keeps the scan’s own")[1]
    standing = re.sub(
        r"\s+", " ", page([replace(CASE, kept_borderline=True)], run, {CASE.sha256: Pictures(png(), png(), png())})
    )
    assert "yes, answer stands" in standing and "it is borderline, so the scan’s own answer stands." in standing
    assert "No clean scan is known for this one" in text
    assert "Refused: too far" in page([Case("r.dcm", "d" * 64, refused="too far")], run)


def test_figures_solved_by_hand():
    harmed = replace(CASE, flagged=False, fidelity=DISTANCES | {"ssim": 0.6}, agreement=1.0)
    kept = replace(CASE, undefended="tumour", fidelity=DISTANCES | {"ssim": 0.9}, agreement=1.0)
    bad, refused = Case("a", "a", problem="No."), Case("b", "b", refused="No.")
    assert figures([CASE, harmed, kept, bad, refused]) == {
        "scans": 5, "unreadable": 1, "refused": 1, "measured": 3, "flagged": 2, "changed": 2, "changed_unflagged": 1,
        "restored": 0, "broken": 0, "altered": None,
        "divided": 1, "ssim_median": 0.8, "ssim_worst": 0.6, "regions": {},
    }  # fmt: skip
    assert figures([])["ssim_median"] is None
    assert figures([replace(kept, altered=True), replace(kept, altered=False), refused])["altered"] == 1
    told = [replace(CASE, truth="tumour"), replace(CASE, truth="no tumour"), replace(CASE, truth="neither")]
    assert (figures(told)["restored"], figures(told)["broken"], figures(told)["changed"]) == (1, 1, 3)


def test_what_became_of_a_known_truth_and_what_was_remarked_is_printed(run):
    """Remarks are strangers' texts as much as file names."""
    case = replace(CASE, truth="tumour", remark=HOSTILE)
    text = page([case], run, {case.sha256: Pictures(png(), png(), png())})
    assert "restored:</span> no tumour → tumour" in text and "of these restored" in text
    assert "to tumour: restored, as the scan shows tumour, from" in re.sub(r"\s+", " ", text)
    assert HOSTILE not in text and text.count("&lt;img src=x") == 2 and "broken:" not in text
    (row,) = csv.DictReader(io.StringIO(cases_csv([replace(case, remark="=1")], run)))
    assert (row["answer"], row["truth"], row["remark"]) == ("restored", "tumour", "'=1")


def test_the_table_holds_every_number_and_no_formula(run):
    bad = Case("=HYPERLINK(1)", "b" * 64, problem="=no.")
    rows = list(csv.DictReader(io.StringIO(cases_csv([bad, CASE], run))))
    assert rows[0]["name"] == "scan.dcm" and rows[1]["name"] == "'=HYPERLINK(1)" and rows[1]["problem"] == "'=no."
    assert float(rows[0]["fidelity_ssim"]) == 0.8 and rows[0]["answer_changed"] == "True"
    assert rows[1]["answer_changed"] == rows[1]["answer"] == "", "what was not purified kept nothing"
    assert rows[0]["flagged_by"] == "instability" and rows[1]["fidelity_ssim"] == ""
    assert all(NOTICE in row["notice"] and row["bundle"] == "brain-mri" for row in rows)
    assert not {"fidelity", "scores", "to_clean"} & set(rows[0])


@pytest.mark.slow
def test_pictures_are_of_the_study(bundle):
    found = sample_cohort()[-1]
    result = case_evidence(found, bundle, AuditSettings(seeds=2))
    drawn = draw_pictures(result)
    sizes = [Image.open(io.BytesIO(picture)).size for picture in drawn]
    assert sizes == [(256, 256)] * 4
    scan, clean = (np.asarray(Image.open(io.BytesIO(drawn[index])), float) / 255 for index in (0, 3))
    small = np.asarray(Image.fromarray(result.exam.pixels[0]).resize((256, 256), Image.Resampling.BICUBIC))
    assert np.abs(scan - small).mean() < 0.02 < np.abs(scan - 0.5).mean()
    assert summarised(found, result).to_clean and not np.array_equal(scan, clean)
    with pytest.raises(ValueError, match="refused"):
        draw_pictures(replace(result, estimate=None))
