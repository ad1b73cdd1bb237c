"""Audit: what is done, what is kept, what a case shows, and what can be taken away."""

import time
from pathlib import Path
from unittest.mock import Mock

import pytest
from streamlit.testing.v1 import AppTest

from core.report.cases import Case
from core.report.cohort import sample_cohort
from core.report.regions import OutlineFile
from core.report.rendering import region_words
from core.report.sources import Source
from pages.audit.charts import dots
from pages.audit.files import exported, exported_title, file_name, report
from pages.audit.source import about_files
from pages.audit.state import AuditState, begin
from pages.audit.table import CASE, REGION, TABLE, TINT, _choose, _frame, _tinted, answer
from pages.shared.job_status import Progress
from pages.shared.regions import keep_drawn
from pages.shared.runtime import bundle, engine
from pages.shared.session import Session
from pages.shared.viewer.drawn import Drawn
from pages.shared.worker import Worker
from tests.pages.audit.helpers import audit, packed, upload
from tests.reading import session, texts
from tests.slowness import slow_down


def test_a_line_says_how_many_files_made_how_many_scans() -> None:
    def scan(files: int, *outlines: OutlineFile) -> Source:
        return Source("a", "a", bytes, files=files, outlines=outlines)

    drawn = OutlineFile("rt.dcm", bytes, "", None)
    assert about_files((scan(1), scan(1))) == about_files(()) == ""
    assert about_files((scan(160), scan(1))).startswith("161 files are 2 scans: a DICOM series counts once")
    assert about_files((scan(3, drawn),)) == (
        "3 files are 1 scan: a DICOM series counts once, by its middle slice. 1 more outlines regions of interest."
    )
    reasons = ("'*.zip' is protected by a password.", "It is damaged.")
    lost = Source("a", "a", bytes, left_out=3, not_unpacked=reasons)
    said = "1 other file of the archive is no scan and left out. **2 files could not be unpacked, so that scans may be "
    assert about_files((lost,)).replace("\\", "") == f"{said}missing.** The first: {reasons[0]}"
    one = about_files((Source("a", "a", bytes, left_out=1, not_unpacked=reasons[1:]),))
    assert one.replace("\\", "") == "**1 file could not be unpacked, so that scans may be missing.** It is damaged."


def test_without_a_region_the_table_has_no_column_for_it() -> None:
    assert REGION not in _frame([Case("a", "a")])
    cases = [Case("a", "a"), Case("b", "b", region={"problem": "No."})]
    assert list(_frame(cases)[REGION]) == ["", "can’t be measured"]


def test_the_table_says_where_an_answer_stands() -> None:
    cases = [Case("a", "a", flagged=True, kept_borderline=True), Case("b", "b", flagged=True), Case("c", "c")]
    assert list(_frame(cases)["Flagged"]) == ["yes, answer stands", "yes", "no"]


def test_nothing_is_computed_before_it_is_asked_for(page: AppTest, cache: Path) -> None:
    assert page.title[0].value == "Audit a cohort"
    assert page.button(key="audit-start").label == "Start the audit"
    assert "0 of 18 scans are done" in texts(page).replace("**", "")
    assert not page.dataframe and not cache.exists()


@pytest.mark.slow
def test_worst_come_first_and_bad_files_stay_in_the_table(audited: AppTest) -> None:
    frame = audited.dataframe[0].value
    assert list(frame["Scan"]) == ["attacked.dcm", "Doe^John.dcm", "broken.png"]
    assert list(frame["Answer under purification"]) == [
        "changed: no tumour → tumour",
        "kept: no tumour",
        "could not be opened",
    ]
    assert list(frame["Flagged"]) == ["yes", "no", "no"]
    assert frame["SSIM"][0] < frame["SSIM"][1] < 1
    shown = {metric.label: metric.value for metric in audited.metric}
    assert shown["Flagged"] == "1 of 2" and shown["Answers changed"] == "1 of 2"
    assert "1 could not be opened" in texts(audited) and "none belong to scans" in texts(audited)
    assert audited.button(key="audit-start").label == "Audit again"


@pytest.mark.slow
def test_a_changed_answer_is_tinted_as_well(audited: AppTest) -> None:
    cases = list(audit(audited).cases.values())
    styles = _tinted(_frame(cases))
    assert [set(row) for row in styles.to_numpy().tolist()] == [{""}, {""}, {TINT}]


@pytest.mark.slow
def test_a_case_shows_what_can_be_known(audited: AppTest) -> None:
    audited.selectbox(key=CASE).select(2).run()
    assert not audited.exception
    attacked = next(case for case in audit(audited).cases.values() if case.name == "attacked.dcm")
    assert attacked.t_star and f"t* = {attacked.t_star}" in texts(audited)
    assert "Flagged by decision instability" in texts(audited)
    assert "No clean original is known" in texts(audited)
    assert audited.table[0].value["Compared"].tolist() == ["Estimate with scan"]
    audited.selectbox(key=CASE).select(1).run()
    assert "'broken.png'" in audited.error[0].value.replace("\\", "")
    audited.selectbox(key=CASE).select(0).run()
    session: Session = audited.session_state["session"]
    session.tour, session.step = "clinician", 1
    audited.button(key="case-examine").click().run()
    assert session.tour is None and session.origin is None, "the tour, which speaks of another scan, has ended"
    assert session.scan.name == "Doe^John.dcm" and audited.title[0].value != "Audit a cohort"


@pytest.mark.slow
def test_a_case_shows_what_purification_did_in_its_region(audited: AppTest) -> None:
    audited.selectbox(key=CASE).select(0).run()
    assert "No region is outlined on this scan" in texts(audited)
    audited.button(key="case-examine").click().run()
    now = session(audited)
    keep_drawn(now, now.scan, Drawn(0, "ellipse", ((50.0, 50.0), (70.0, 75.0))))
    audited.switch_page("pages/audit/page.py").run()
    audited.selectbox(key=CASE).select(2).run()
    assert "No region is outlined on this scan" in texts(audited)
    audited.selectbox(key=CASE).select(0).run()
    assert "Purification left" in texts(audited) and "the scan as it was given" in texts(audited)
    assert not audited.exception and not audited.error
    (case,) = [case for case in audit(audited).cases.values() if case.region]
    assert case.name == "Doe^John.dcm" and case.region["source"] == "ellipse"
    words = region_words(case)
    assert list(audited.dataframe[0].value[REGION]).count(words) == 1 and "Regions of interest: 1 " in texts(audited)
    assert case.region["verdict"] in audit(audited).store.path.read_text()
    keep_drawn(now, now.scan, Drawn(0, "none", ()))
    audited.run()
    assert words in texts(audited) and "outlined before" in texts(audited)


def test_a_click_opens_the_row_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {TABLE: {"selection": {"cells": [(1, "SSIM")]}}}
    monkeypatch.setattr("pages.audit.table.st.session_state", state)
    _choose([7, 5, 3])
    assert state[CASE] == 5
    state[TABLE] = {"selection": {"cells": []}}
    _choose([7, 5, 3])
    assert state[CASE] == 5


@pytest.mark.slow
def test_what_is_finished_outlives_the_visit_but_not_the_names(audited: AppTest, cache: Path) -> None:
    kept = audit(audited).store.path.read_text()
    assert cache in audit(audited).store.path.parents
    assert "Doe" not in kept and "ward" not in kept and kept.count("\n") == 3
    before = {case.name: case for case in audit(audited).cases.values()}
    session(audited).drop(AuditState)
    audited.run()
    assert "2 were finished in an earlier run" in texts(audited)
    assert audited.button(key="audit-start").label == "Resume the audit"
    assert audited.dataframe[0].value["Scan"][0] == "attacked.dcm"
    audited.button(key="audit-start").click().run()
    assert audit(audited).job.count == 1, "only the file that could not be opened is tried again"
    assert {case.name: case for case in audit(audited).cases.values()} == before


def test_a_resumed_audit_tells_what_it_did_itself_from_what_was_done_before() -> None:
    """The time to come is told from what this run took: scans of an earlier run took none of it."""
    sources, cases = tuple(sample_cohort()[:4]), {place: Case("a", "a") for place in (0, 1)}
    facts = {"choices": (), "title": "", "bundle": "brain-mri", "settings": None, "store": Mock()}
    now = AuditState(**facts, sources=sources, cases=cases)
    now.start(iter([(2, Case("a", "a"))]), now.take, worker=Worker())
    assert now.begun.wait(10)
    assert now.progress() == Progress(3, 4, "3 of 4 scans", before=2)


@pytest.mark.slow
def test_audit_again_does_everything_anew(audited: AppTest) -> None:
    kept = audit(audited).store.path
    before = kept.stat().st_mtime_ns
    audited.button(key="audit-start").click().run()
    assert audit(audited).job.count == 3
    assert kept.stat().st_mtime_ns > before and kept.read_text().count("\n") == 3
    assert "earlier run" not in texts(audited)


@pytest.mark.slow
def test_stop_keeps_what_is_finished(page: AppTest) -> None:
    now = audit(page)
    begin(now)
    deadline = time.monotonic() + 60
    while not now.cases:
        assert now.running and time.monotonic() < deadline
        time.sleep(0.01)
    now.job.stop()
    assert now.job.wait(30)
    page.run()
    assert 0 < len(now.cases) < len(sample_cohort())
    assert "Stopped. What is finished is kept" in texts(page)
    assert page.button(key="audit-start").label == "Resume the audit"


@pytest.mark.slow
def test_scans_slower_than_the_page_are_drawn_once_each(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch, "core.report.cohort.cohort_cases")
    upload(page, "ward.zip", packed())
    page.button(key="audit-start").click().run()
    assert not page.exception and audit(page).complete


@pytest.mark.slow
def test_another_cohort_stops_the_first(page: AppTest) -> None:
    first = audit(page)
    begin(first)
    upload(page, "ward.zip", packed())
    assert first.job.stopped and audit(page) is not first
    assert "0 of 3 scans" in texts(page).replace("**", "")


@pytest.mark.slow
def test_a_broken_archive_gets_one_sentence(page: AppTest) -> None:
    upload(page, "ward.zip", packed()[:-30])
    assert not page.exception
    assert [error.value.replace("\\", "") for error in page.error] == [
        "'ward.zip' is a damaged or cut-off ZIP archive: pack or download it again."
    ]
    assert not [button for button in page.button if button.key == "audit-start"]


@pytest.mark.slow
def test_files_to_take_away(audited: AppTest) -> None:
    now = audit(audited)
    assert [button.key for button in audited.download_button] == ["download-csv", "download-html"]
    assert file_name(now, "csv") == "purescan-audit-cohort.csv"
    text = report(now, engine().worker, bundle(now.bundle))
    assert text.count("<section") == 2 and "data:image/png" in text
    assert (
        "not a medical device" in text and "changed:" in text and bundle(now.bundle).hashes["unet.safetensors"] in text
    )
    assert "Uploaded files" in text and "scan 1 <code>" in text
    assert not [name for name in ("Doe^John", "broken.png", "attacked.dcm", "ward.zip") if name in text]


@pytest.mark.slow
def test_names_of_files_leave_only_where_they_are_asked_for(audited: AppTest) -> None:
    now = audit(audited)
    assert not audited.checkbox(key="audit-names").value and not session(audited).write_names
    neutral = {case.sha256: case for case in exported(now, names=False)}
    places = [neutral[source.sha256].name for source in now.sources]
    assert places == ["scan 1", "scan 2", "scan 3"] and "Doe" not in f"{neutral}" and "broken.png" not in f"{neutral}"
    assert neutral[now.sources[1].sha256].problem.startswith("'scan 2' is ")
    assert [option.split(" · ")[:2] for option in audited.selectbox(key=CASE).options][-1] == ["2", "broken.png"]
    audited.checkbox(key="audit-names").check().run()
    assert session(audited).write_names and {case.name for case in exported(now, names=True)} >= {"Doe^John.dcm"}
    assert file_name(now, "html", names=True) == "purescan-audit-ward.html"
    audited.switch_page("pages/home/page.py").run()
    audited.switch_page("pages/audit/page.py").run()
    assert session(audited).write_names, "the choice is kept while other pages are looked at"


def test_our_own_samples_keep_their_names(page: AppTest) -> None:
    now = audit(page)
    now.cases[0] = Case("tumour-01.dcm", "a" * 64)
    assert exported(now, names=False)[0].name == "tumour-01.dcm"
    assert exported_title(now, False) == "Sample cohort" and file_name(now, "csv") == "purescan-audit-sample-cohort.csv"


@pytest.mark.slow
def test_what_cannot_be_kept_is_said(page: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PURESCAN_CACHE", str(tmp_path / "file"))
    upload(page, "ward.zip", packed())
    page.button(key="audit-start").click().run()
    assert not page.exception and len(audit(page).cases) == 3
    assert "lost when the server stops" in page.warning[0].value


@pytest.mark.slow
def test_charts_keep_the_answers_apart(audited: AppTest) -> None:
    cases = [case for case in audit(audited).cases.values() if case.fidelity]
    figure = dots(cases, [case.excess for case in cases], 1.0, True)
    assert [trace.name for trace in figure.data] == ["kept", "changed"]
    assert [trace.marker.symbol for trace in figure.data] == ["circle", "x"]
    assert len(figure.data[0].x) == len(figure.data[1].x) == 1 and figure.data[0].x[0] < 1 < figure.data[1].x[0]
    assert answer(cases[0]) == "kept: no tumour"
