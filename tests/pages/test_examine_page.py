"""Examine: what a visitor reads after a choice, and what stays after a mistake."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import Bundle, Examination, Window, examine, load_bundle, load_scan
from core.attacks import attack_scan
from core.scans import sample_scans
from core.scans.windowing import Lut
from pages.faults.verdict import said
from pages.shared import pickers
from pages.shared.session import Session
from pages.shared.words import heading, percent
from tests.reading import texts

Choose = Callable[[AppTest, str], AppTest]


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    app.file_uploader[0].upload(name, content)
    return app.run()


def test_start_offers_samples(app: AppTest) -> None:
    app.switch_page("pages/examine/page.py").run()
    assert not app.exception and not app.error
    assert app.title[0].value == "Examine a scan"
    app.button(key="start-mr-small").click().run()
    assert app.session_state["session"].scan.name == "MR_small.dcm"


@pytest.mark.slow
def test_sample_gives_the_decision_that_core_gives(app: AppTest, choose: Choose) -> None:
    choose(app, "mr-small")
    path = next(sample.path for sample in sample_scans() if sample.key == "mr-small")
    expected = examine(load_scan(path), load_bundle())
    assert not app.exception and not app.error
    assert app.title[0].value == (heading(expected.label) if expected.label else "No answer")
    page = texts(app)
    assert "Decision instability" in page
    assert "clean scans" in page
    assert "seed 0" in page
    if expected.prediction:
        assert percent(expected.prediction.confidence) in app.get("progress")[0].text


@pytest.mark.slow
def test_ct_is_refused_without_a_label(app: AppTest, choose: Choose) -> None:
    choose(app, "ct-small")
    page = texts(app)
    assert app.title[0].value == "No answer"
    assert "Refused" in page
    assert "modality CT" in page
    assert "confidence" not in page
    assert not app.exception


@pytest.mark.slow
def test_upload_is_examined(app: AppTest, mr_file: bytes) -> None:
    upload(app, "slice.dcm", mr_file)
    session = app.session_state["session"]
    assert session.scan.name == "slice.dcm"
    assert session.examination.file == "slice.dcm"
    assert app.selectbox(key="sample").value is None


def decision(exam: Examination) -> AppTest:
    """The decision card of an examination."""

    def card() -> None:
        import streamlit as st

        from core import load_bundle
        from pages.examine.decision import draw_decision

        draw_decision(st.session_state["exam"], load_bundle("brain-mri"), None)

    script = AppTest.from_function(card, default_timeout=60)
    script.session_state["exam"] = exam
    return script.run()


def test_an_answer_that_stands_is_called_borderline(bundle: Bundle, unsure: Bundle) -> None:
    scan = load_scan(next(sample.path for sample in sample_scans() if sample.key == "tumour-01"))
    attacked = attack_scan(scan, bundle)
    exam = examine(attacked, unsure)
    assert said(exam).about == "Flagged as attacked, but borderline: the scan’s own answer stands."
    card = decision(exam)
    assert not card.exception
    assert card.title[0].value == "No tumour" and "on the scan as it is" in card.get("progress")[0].text
    page = texts(card)
    assert "Flagged: may have been manipulated" in page and "Borderline: don’t rely on this answer alone." in page
    assert "Purified" in page and [header.value for header in card.subheader] == ["No tumour", "Tumour", "No tumour"]
    usual = decision(examine(attacked, bundle))
    assert usual.title[0].value == "Tumour" and "on the purified estimate" in usual.get("progress")[0].text
    assert "borderline" not in texts(usual) and "Purified" not in texts(usual)


@pytest.mark.slow
def test_bad_upload_gives_its_sentence_and_keeps_the_scan(app: AppTest, choose: Choose) -> None:
    choose(app, "mr-small")
    before = app.session_state["session"].examination
    upload(app, "notes.dcm", b"not a scan at all")
    assert len(app.error) == 1
    assert "notes.dcm" in app.error[0].value.replace("\\", "")
    session = app.session_state["session"]
    assert session.scan.name == "MR_small.dcm"
    assert session.examination is before
    assert app.title[0].value != "Examine a scan"
    choose(app, "ct-small")
    assert not app.error


@pytest.mark.slow
def test_problem_goes_with_the_next_choice(app: AppTest, choose: Choose) -> None:
    choose(app, "mni152")
    upload(app, "notes.dcm", b"not a scan at all")
    assert len(app.error) == 1
    app.run()
    assert len(app.error) == 1  # nothing else was chosen yet
    next(slider for slider in app.slider if slider.label.startswith("Slice")).set_value(60).run()
    assert not app.error
    upload(app, "notes.dcm", b"not a scan at all")
    assert len(app.error) == 1
    next(box for box in app.selectbox if box.label == "Window").select(1).run()
    assert not app.error


def test_the_last_choice_wins_over_a_pending_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(pickers, "_open", lambda session, source, name, key: opened.append(key or name))
    monkeypatch.setattr(pickers, "_sample_key", lambda session: session.wanted)
    monkeypatch.setattr(pickers, "samples", lambda: {"mr-small": SimpleNamespace(path="mr")})
    monkeypatch.setattr(pickers.st, "switch_page", lambda page: None)
    file = SimpleNamespace(file_id="1", name="large.dcm", getbuffer=bytes)
    session = Session(wanted="mr-small")
    for _ in range(2):
        pickers.open_wanted(session, file)  # type: ignore[arg-type]
    assert opened == ["mr-small"]
    assert (session.wanted, session.upload_id) == (None, "1")
    # A file that comes while a sample is still being opened is the later choice.
    session.wanted, file.file_id = "mr-small", "2"
    monkeypatch.setattr(pickers.st, "session_state", {"upload": file, "session": session})
    pickers._upload_changed()
    pickers.open_wanted(session, file)  # type: ignore[arg-type]
    assert opened == ["mr-small", "large.dcm"]


def test_problem_goes_when_the_uploader_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(problem="notes.dcm is no scan.", wanted="mr-small")
    monkeypatch.setattr(pickers.st, "session_state", {"upload": None, "session": session})
    pickers._upload_changed()
    assert (session.problem, session.wanted) == (None, "mr-small")


@pytest.mark.slow
def test_every_window_can_be_chosen(app: AppTest, choose: Choose) -> None:
    choose(app, "mr-small")
    scan = app.session_state["session"].scan
    twins = (Window(100.0, 200.0, "Brain"), Window(300.0, 400.0, "Brain"))
    app.session_state["session"].scan = replace(scan, windows=twins)
    app.run()
    picker = next(box for box in app.selectbox if box.label == "Window")
    assert picker.options == ["Brain", "Brain (2)", "Custom"]
    picker.select(1).run()
    assert app.session_state["session"].window == twins[1]


@pytest.mark.slow
def test_a_file_s_lut_hides_none_of_its_windows(app: AppTest, choose: Choose) -> None:
    choose(app, "mr-small")
    scan = app.session_state["session"].scan
    app.session_state["session"].scan = replace(scan, voi_lut=Lut(0, np.arange(4096), 12))
    app.run()
    picker = next(box for box in app.selectbox if box.label == "Window")
    assert picker.options == ["VOI LUT of the file", *(window.name for window in scan.windows), "Custom"]
    picker.select(1).run()
    assert app.session_state["session"].window == scan.windows[0]


@pytest.mark.slow
def test_markdown_in_a_file_name_is_not_read(app: AppTest, mr_file: bytes) -> None:
    upload(app, "![x](http://example.org/x.png).dcm", mr_file)
    assert not app.exception
    assert all("![x](" not in element.value for element in [*app.markdown, *app.subheader])


@pytest.mark.slow
def test_window_changes_what_the_models_see(app: AppTest, choose: Choose) -> None:
    choose(app, "mr-small")
    first = app.session_state["session"].examination
    picker = next(box for box in app.selectbox if box.label == "Window")
    picker.select(picker.options.index("Full range")).run()
    second = app.session_state["session"].examination
    assert second is not first
    assert (second.pixels != first.pixels).any()
    assert "another window is another examination" in texts(app)


@pytest.mark.slow
def test_own_window(app: AppTest, choose: Choose) -> None:
    choose(app, "mr-small")
    picker = next(box for box in app.selectbox if box.label == "Window")
    picker.select(picker.options.index("Custom")).run()
    width = next(slider for slider in app.slider if slider.label == "Width")
    width.set_value(width.max / 2).run()
    assert app.session_state["session"].window.width == pytest.approx(width.max / 2)
    assert not app.exception


@pytest.mark.slow
def test_slices_of_a_volume(app: AppTest, choose: Choose) -> None:
    choose(app, "mni152")
    session = app.session_state["session"]
    assert session.examination.frame_index == session.scan.default_frame
    next(slider for slider in app.slider if slider.label.startswith("Slice")).set_value(60).run()
    assert app.session_state["session"].examination.frame_index == 59
    assert not app.exception


@pytest.mark.slow
def test_result_is_kept_while_only_the_picture_changes(app: AppTest, choose: Choose) -> None:
    choose(app, "mr-small")
    first = app.session_state["session"].examination
    app.segmented_control(key="overlay").set_value("Error map").run()
    assert app.session_state["session"].examination is first
    assert "grey levels" in texts(app)


@pytest.mark.slow
def test_seed_gives_another_examination(app: AppTest, choose: Choose) -> None:
    choose(app, "mr-small")
    app.number_input(key="seed").set_value(7).run()
    assert app.session_state["session"].examination.seed == 7


@pytest.mark.slow
def test_choice_survives_a_page_change(app: AppTest, choose: Choose) -> None:
    choose(app, "mr-small")
    app.switch_page("pages/home/page.py").run()
    app.switch_page("pages/examine/page.py").run()
    assert app.session_state["session"].scan.name == "MR_small.dcm"
    assert app.selectbox(key="sample").value == "mr-small"


@pytest.mark.slow
def test_unexpected_exception_is_hidden(
    app: AppTest, choose: Choose, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret path /srv/data")

    monkeypatch.setattr("pages.examine.about.draw_title", fail)
    choose(app, "mr-small")
    assert not app.exception
    assert len(app.error) == 1
    assert "secret" not in app.error[0].value
    assert "another scan" in app.error[0].value
    assert "a secret path" in caplog.text


@pytest.mark.slow
def test_broken_bundle_gives_its_sentence(app: AppTest, choose: Choose, monkeypatch: pytest.MonkeyPatch) -> None:
    from core import BundleError

    def fail(_: str) -> None:
        raise BundleError("brain-mri/mae.safetensors is missing; restore it from the repository.")

    monkeypatch.setattr("pages.shared.pickers.bundle", fail)
    app.run()
    assert not app.exception
    assert "is missing; restore it from the repository" in app.error[0].value.replace("\\", "")
