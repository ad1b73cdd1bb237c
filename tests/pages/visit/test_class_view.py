"""The view for a class on the pages of evidence and of the labs: one sentence, and one picture on the stage."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from pages.faults.state import FaultsState
from pages.shared.visit.class_view import BUTTONS
from tests.reading import opened, session, texts
from tests.slowness import slow_down

Choose = Callable[[AppTest, str], AppTest]
SECTIONS = {
    "detect": ("", "scores", "thresholds", "roc", "stress", "benign-changes"),
    "experts": ("", "map-of-gates"),
    "faults": ("", "curves", "worst-case", "side-by-side"),
    "encrypt": ("cohort",),
}
# Page, section and button of what is told again after each step, what makes the steps, and what is told in the end.
TOLD_LIVE = [
    ("encrypt", "why-bother", "leak", "core.federation.leaks.leak.leak_steps", "recovered from what was sent"),
    ("faults", "worst-case", "faults-search", "core.faults.worst_case_steps", "well chosen"),
    ("faults", "curves", "faults-measure-flips", "core.faults.run_campaign", "flip"),
]
ASKING = {"experts": ("drag-ε", "where-they-look"), "encrypt": ("", "why-bother")}


def to_class(app: AppTest, page: str, section: str = "") -> AppTest:
    session(app).visit.class_view = True
    session(app).visit.asked["section"] = section
    return opened(app, page)


@pytest.mark.slow
@pytest.mark.parametrize("page", SECTIONS)
def test_every_section_shows_a_class_one_sentence_and_one_picture(app: AppTest, choose: Choose, page: str) -> None:
    choose(app, "tumour-01")
    for section in SECTIONS[page]:
        to_class(app, page, section)
        assert session(app).visit.stage.told and session(app).visit.stage.shown, section
        assert not app.warning, section
    session(app).visit.switch_class_view()
    opened(app, page)
    assert session(app).visit.stage is None


@pytest.mark.slow
@pytest.mark.parametrize(("page", "section"), [(page, section) for page, asked in ASKING.items() for section in asked])
def test_where_something_is_to_be_asked_the_sentence_names_the_key(
    app: AppTest, choose: Choose, page: str, section: str
) -> None:
    to_class(choose(app, "tumour-01"), page, section)
    assert session(app).visit.stage.told
    assert "**Space**" in texts(app)
    assert any(button.key in BUTTONS[" "] and not button.disabled for button in app.button)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["detect", "faults"])
def test_without_a_scan_a_class_is_led_on(app: AppTest, page: str) -> None:
    to_class(app, page)
    assert "No scan is chosen yet" in texts(app)


@pytest.mark.slow
def test_a_flip_is_told_in_one_sentence(app: AppTest, choose: Choose) -> None:
    to_class(choose(app, "tumour-01"), "faults")
    assert "**F** flips a bit" in texts(app)
    app.button(key="faults-flip").click().run()
    state = session(app).state_of(FaultsState)
    assert f"**{len(state.flips)} flipped bit**" in texts(app) and session(app).visit.stage.shown


@pytest.mark.slow
def test_the_attack_on_a_mixture_is_told_in_one_sentence(app: AppTest, choose: Choose) -> None:
    to_class(choose(app, "tumour-01"), "experts")
    assert "attacks the mixture" in texts(app)
    app.button(key="experts-attack").click().run()
    assert "Attacked, ε = 8/255: **" in texts(app) and "gate" in texts(app)


@pytest.mark.slow
@pytest.mark.parametrize(("page", "section", "button", "steps", "told"), TOLD_LIVE)
def test_what_runs_is_told_step_by_step(
    app: AppTest, choose: Choose, monkeypatch: pytest.MonkeyPatch, page: str, section: str, button: str, steps: str,
    told: str,
) -> None:  # fmt: skip
    to_class(choose(app, "tumour-01"), page, section)
    slow_down(monkeypatch, steps)
    app.button(key=button).click().run()
    assert not app.error and not app.exception
    assert told in texts(app) and "Space** tries" not in texts(app)
    assert app.header[0].value != "Recorded on validation scans"  # what comes first is on the stage
    assert session(app).visit.stage.told and session(app).visit.stage.shown
