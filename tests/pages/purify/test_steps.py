"""Purify: as many steps as lead down from the noise level, and no estimate of a method that has made none."""

from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from core.purification.catalogue import PURIFIERS
from core.purification.settings import PurifySettings
from core.purification.steps import PurifierStep
from pages.purify.state import PurifyState, begin
from tests.reading import session


@pytest.fixture
def page(app: AppTest, choose: Callable[[AppTest, str], AppTest]) -> AppTest:
    """The Purify page with a sample."""
    choose(app, "tumour-01")
    app.switch_page("pages/purify/page.py").run()
    assert not app.exception and not app.error
    return app


def test_no_more_steps_are_asked_for_than_lead_down_from_the_noise_level(page: AppTest) -> None:
    page.number_input(key="purify-steps-1-diffpure-ddim").set_value(80).run()
    assert session(page).purify[1] == PurifySettings("diffpure-ddim", t=100, steps=80)
    page.number_input(key="purify-t-1-diffpure-ddim").set_value(50).run()
    steps = page.number_input(key="purify-steps-1-diffpure-ddim")
    assert (steps.value, steps.max) == (50, 50) and session(page).purify[1].steps == 50
    page.number_input(key="purify-t-1-diffpure-ddim").set_value(1).run()
    assert session(page).purify[1] == PurifySettings("diffpure-ddim", t=1, steps=1)
    assert not page.exception and not page.error


def test_a_mistake_gets_the_sentence_of_core_before_anything_runs(page: AppTest) -> None:
    wrong = PurifySettings("one-step", t=60), PurifySettings("diffpure-ddim", t=100, steps=500)
    session(page).purify = wrong
    state = begin(session(page), session(page).examination, None)
    assert state.job.wait(30)
    page.run()
    assert not page.exception and not state.begun.count
    assert len(page.error) == 1 and "must be between 1 and t* = 100, not 500" in page.error[0].value.replace("\\", "")


@pytest.mark.slow
def test_a_method_without_an_estimate_is_not_offered_as_purified(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> Iterator[PurifierStep]:
        raise ValueError("This method can’t go on.")
        yield

    broken = PURIFIERS["diffpure-ddim"]._replace(run=fails)
    monkeypatch.setitem(PURIFIERS, "diffpure-ddim", broken)
    page.segmented_control(key="purify-count").set_value(3).run()
    page.selectbox(key="purify-method-2").select("median").run()
    page.button(key="purify").click().run()
    assert [each.steps for each in session(page).state_of(PurifyState).trajectories] == [1, 0, 0]
    page.segmented_control(key="purify-section").set_value("What changed").run()
    assert not page.exception
    assert "change-method" not in [control.key for control in page.segmented_control]
    assert page.get("download_button") and "one-step" in str(session(page).state_of(PurifyState).files)
