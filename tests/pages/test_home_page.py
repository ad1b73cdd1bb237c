"""Home, the notice, and the tours that start there."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.session import Session
from pages.shared.tours.steps import ATTACK, DETECT, EXAMINE, EXPERTS, TOURS


def test_home_offers_the_tours(app: AppTest) -> None:
    assert not app.exception and not app.error
    assert [button.key for button in app.button if button.key and button.key.startswith("tour-")] == [
        "tour-clinician",
        "tour-educator",
        "tour-reviewer",
    ]


@pytest.mark.slow
def test_notice_is_said_once(app: AppTest) -> None:
    app.session_state["session"] = Session()
    app.run()
    assert any("not a medical device" in element.value for element in app.markdown)
    app.button(key="notice-understood").click().run()
    assert not any("not a medical device" in element.value for element in app.markdown)


def opened(app: AppTest, page: str) -> bool:
    """Whether this page is open."""
    signs = {ATTACK: "attack", DETECT: "detect-section", EXPERTS: "experts-section"}
    sign = signs.get(page)
    keys = {element.key for kind in (app.button, app.segmented_control) for element in kind}
    return sign in keys if sign else not keys & set(signs.values())


@pytest.mark.slow
def test_home_leads_to_the_pages(app: AppTest) -> None:
    titles = {EXAMINE: "Examine a scan", ATTACK: "Attack a scan", DETECT: "Judge the detector"}
    for page, title in titles.items():
        app.button(key=f"page-{Path(page).parent.name}").click().run()
        assert not app.exception and app.title[0].value == title
        app.switch_page("pages/home/page.py").run()


@pytest.mark.slow
def test_a_tour_is_found_again_from_another_page(app: AppTest) -> None:
    app.button(key="tour-reviewer").click().run()
    app.switch_page(DETECT).run()
    assert not app.exception
    assert [link.proto.label for link in app.get("page_link")] == ["Back to the tour: An attacked scan"]
    app.switch_page(EXAMINE).run()
    assert app.button(key="tour-next") and not app.get("page_link")


def test_the_educator_sees_experts_and_ends_on_attack_and_the_reviewer_on_detect() -> None:
    assert {key: tour.steps[-1].page for key, tour in TOURS.items()} == {
        "clinician": EXAMINE,
        "educator": ATTACK,
        "reviewer": DETECT,
    }
    assert EXPERTS in {step.page for step in TOURS["educator"].steps}
    assert all(len(tour.steps) <= 5 for tour in TOURS.values())


@pytest.mark.slow
@pytest.mark.parametrize("key", TOURS)
def test_tour_runs_from_first_step_to_last(app: AppTest, key: str) -> None:
    app.button(key=f"tour-{key}").click().run()
    for number, step in enumerate(TOURS[key].steps, 1):
        session = app.session_state["session"]
        assert not app.exception and not app.error
        assert any(element.value == step.title for element in app.subheader)
        assert any(f"step {number} of" in element.value for element in app.caption)
        if step.attacked is not None:
            assert (session.scan.derived == "attacked") == (session.origin is not None) == step.attacked
        assert opened(app, step.page)
        if number < len(TOURS[key].steps):
            next(button for button in app.button if button.label == "Next").click().run()
    next(button for button in app.button if button.label == "Finish").click().run()
    assert app.session_state["session"].tour is None


@pytest.mark.slow
def test_going_back_brings_the_original_scan_back(app: AppTest) -> None:
    app.button(key="tour-educator").click().run()
    original = app.session_state["session"].scan.sha256
    next(button for button in app.button if button.label == "Next").click().run()
    assert app.session_state["session"].scan.sha256 != original
    next(button for button in app.button if button.label == "Back").click().run()
    assert app.session_state["session"].scan.sha256 == original


@pytest.mark.slow
def test_attacked_scan_shows_the_answer_before(app: AppTest) -> None:
    app.button(key="tour-educator").click().run()
    next(button for button in app.button if button.label == "Next").click().run()
    shown = {element.value for element in app.markdown}
    # Where the machine has no sample of ours, the tour's scan may be one that the bundle refuses.
    refused = app.session_state["session"].examination.refused
    assert app.title[0].value == "No answer" if refused else {"Original", "Undefended"} <= shown
    assert any(element.value == "What the attack changed" for element in app.header)


@pytest.mark.slow
def test_picking_a_sample_ends_the_tour(app: AppTest) -> None:
    app.button(key="tour-clinician").click().run()
    app.selectbox(key="sample").select("ct-small").run()
    assert app.session_state["session"].tour is None
    assert app.title[0].value == "No answer"
