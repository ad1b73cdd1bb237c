"""Examine: what a visitor reads after a choice, and what stays after a mistake."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import Bundle, Examination, Window, examine, load_bundle, load_scan
from core.attacks import attack_scan
from core.defence.examination import Acquired
from core.scans import sample_scans
from core.scans.windowing import Lut
from pages.examine.sentences import acquisition_words
from pages.faults.verdict import said
from pages.shared.regions import RegionState
from pages.shared.settings.scan import choose_window
from pages.shared.words import heading, percent
from tests.reading import texts

Choose = Callable[[AppTest, str], AppTest]


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    app.sidebar.file_uploader[0].upload(name, content)
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
    assert f"**Integrity.** Not checked. {app.session_state['session'].examination.refused}" in page
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
        from pages.shared.session import Session

        draw_decision(Session(), st.session_state["exam"], load_bundle("brain-mri"), None)

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
    assert "After purification" in page and [header.value for header in card.subheader] == ["No tumour", "Tumour"]
    usual = decision(examine(attacked, bundle))
    assert usual.title[0].value == "Tumour" and "on the purified estimate" in usual.get("progress")[0].text
    assert "borderline" not in texts(usual) and "The answers differ" in texts(usual)


def test_the_card_says_plane_and_sequence_and_where_they_are_known_from() -> None:
    tags, picture = Acquired("axial", "tags"), Acquired("FLAIR", "picture", 0.9)
    assert acquisition_words(tags, Acquired("FLAIR", "tags")) == "Axial, FLAIR (from the file’s tags)"
    assert acquisition_words(tags, picture) == "Axial (from the file’s tags), FLAIR (judged from the picture)"
    assert acquisition_words(None, picture) == "Plane not known, FLAIR (judged from the picture)"
    assert acquisition_words(tags, None) == "Axial (from the file’s tags), sequence not known"


def test_a_slice_of_another_plane_gets_no_answer_but_the_reason(bundle: Bundle) -> None:
    scan = replace(load_scan(sample_scans("brain-mri")[0].path), plane="sagittal", sequence="T2")
    card = decision(examine(scan, replace(bundle, planes=("axial",))))
    page = texts(card)
    assert not card.exception and card.title[0].value == "No answer"
    assert "the file's tags say sagittal" in page and "Sagittal, T2 (from the file’s tags)" in page


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
    app.number_input(key="seed").set_value(3).run()
    assert not app.error
    upload(app, "notes.dcm", b"not a scan at all")
    assert len(app.error) == 1
    next(box for box in app.selectbox if box.label == "Window").select(1).run()
    assert not app.error


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
def test_a_slow_browser_does_not_undo_what_the_viewer_set(app: AppTest, choose: Choose) -> None:
    choose(app, "mr-small")
    session, stale = app.session_state["session"], next(box for box in app.selectbox if box.label == "Window")
    choose_window(session, session.scan, 100, 400)
    stale.select_index(0).run()  # the page as it was before still says so
    assert (session.window.center, session.window.width) == (250, 300)
    assert next(box.value for box in app.selectbox if box.label == "Window") == stale.options.index("Custom")
    assert {slider.label: slider.value for slider in app.slider}.items() >= {"Centre": 250, "Width": 300}.items()


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
    session.frame = 59
    app.run()
    assert app.session_state["session"].examination.frame_index == 59
    assert f"Slice 60 of {session.scan.frame_count}" in texts(app)
    assert not app.exception


@pytest.mark.slow
def test_result_is_kept_while_only_the_picture_changes(app: AppTest, choose: Choose) -> None:
    choose(app, "mr-small")
    first = app.session_state["session"].examination
    for shown in ("Error map", "Attention map", "Attribution"):
        app.segmented_control(key="overlay").set_value(shown).run()
        assert not app.exception and app.session_state["session"].examination is first
    state = app.session_state["session"].state_of(RegionState)
    assert state.attribution is not None and state.attribution[1].min() == 0


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
