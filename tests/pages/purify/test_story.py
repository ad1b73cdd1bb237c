"""Attack and Purify tell one story: the same cards, the same shares of the region, and all of it as a timeline."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import examine, load_bundle, load_scan
from core.attacks import AttackSettings, attack_scan
from core.scans import sample_scans
from pages.attack.state import AttackRun
from pages.purify.state import PurifyState
from pages.purify.timeline import NO_CLIMB, timeline
from pages.shared.regions import keep_drawn, region_state
from pages.shared.regions.share import sentence
from pages.shared.session import Session
from pages.shared.story.climb import ClimbState, begin_climb, climb_of, keep_climb
from pages.shared.viewer.drawn import Drawn
from pages.shared.words import heading, percent, said_of
from tests.reading import session, texts

Choose = Callable[[AppTest, str], AppTest]


def cards(app: AppTest) -> list[str]:
    """What stands on the three cards, in its order."""
    shown = [element.value for element in app.main if element.type in ("markdown", "subheader", "caption")]
    first = shown.index("**Before the attack**")
    last = next(place for place, text in enumerate(shown) if place > first and text.startswith("Decision: "))
    return shown[first : last + 3]


@pytest.fixture
def attacked(app: AppTest, choose: Choose) -> AppTest:
    """The Attack page after an attack on a sample with a region."""
    choose(app, "tumour-01")
    keep_drawn(session(app), session(app).scan, Drawn(0, "ellipse", ((50.0, 50.0), (70.0, 75.0))))
    app.switch_page("pages/attack/page.py").run()
    app.number_input(key="attack-steps-pgd-40").set_value(5).run()
    app.button(key="attack").click().run()
    assert not app.exception and not app.error
    return app


@pytest.mark.parametrize(
    "settings", [AttackSettings("pgd", steps=3, white_box=True), AttackSettings("gaussian-noise", severity=2)]
)
def test_a_climb_ends_where_the_copy_stands(settings: AttackSettings) -> None:
    sample = next(sample for sample in sample_scans("brain-mri") if sample.key == "tumour-01")
    scan, models, visitor = load_scan(str(sample.path)), load_bundle(), Session()
    before = examine(scan, models)
    climb = begin_climb(before, settings, models)
    copy = attack_scan(scan, models, settings, watch=climb.take)
    keep_climb(visitor, copy, climb)
    points = visitor.state_of(ClimbState).points
    first, last = (exam.undefended.probabilities[before.undefended.label] for exam in (before, examine(copy, models)))
    assert points[0] == (0, first) and points[-1] == (settings.steps or 1, pytest.approx(last, abs=1e-3))


@pytest.mark.slow
def test_both_pages_show_the_same_cards(attacked: AppTest) -> None:
    outcome = session(attacked).state_of(AttackRun).outcome.examination
    there = cards(attacked)
    assert [text for text in there if text.startswith("**")][:3] == [
        "**Before the attack**", "**Attacked**", "**After purification**",
    ]  # fmt: skip
    assert there.count(heading(outcome.undefended.label)) == 1 and percent(outcome.undefended.confidence) in there
    shares = [sentence(share) for share in region_state(session(attacked)).shares.values()]
    assert len(shares) == 3 and all(f":material/target: {words}" in there for words in shares)
    attacked.switch_page("pages/purify/page.py").run()
    assert not attacked.exception and cards(attacked) == there
    attacked.button(key="purify").click().run()
    assert not attacked.exception and cards(attacked) == there


@pytest.mark.slow
def test_the_timeline_tells_what_happened(attacked: AppTest) -> None:
    run = session(attacked).state_of(AttackRun)
    attacked.switch_page("pages/purify/page.py").run()
    attacked.segmented_control(key="purify-section").set_value("Timeline").run()
    assert "Press **Purify** under “Watch” first." in texts(attacked)
    attacked.segmented_control(key="purify-section").set_value("Watch").run()
    attacked.button(key="purify").click().run()
    attacked.button(key="to-timeline").click().run()
    assert attacked.segmented_control(key="purify-section").value == "Timeline"
    assert not attacked.exception and not attacked.error and NO_CLIMB not in texts(attacked)
    climb = climb_of(session(attacked))
    assert climb == tuple((snapshot.step, snapshot.probability) for snapshot in run.trajectory.snapshots)
    state = session(attacked).state_of(PurifyState)
    attack, alarm, noise, estimate, answer = timeline(state, state.reference, state.trajectories[0], climb)
    ends = [exam.undefended.probabilities["tumour"] for exam in (run.before, run.outcome.examination)]
    assert attack.about == (
        f"1 Attack. Probability of “tumour”: {percent(ends[0])} before, {percent(ends[1])} after the attack, 5 steps."
    )
    detection = run.outcome.examination.detection
    ratio = max(detection.scores[name] / limit for name, limit in detection.thresholds.items())
    assert detection.altered and alarm.about.startswith(f"2 {said_of(detection)}. ")
    assert f"{ratio:.3g} times its threshold" in alarm.about
    assert "limit" not in alarm.svg and "limit" not in texts(attacked)
    assert noise.about == "3 Noise added, up to diffusion step 60." and "data:image/png" in estimate.svg
    last = state.trajectories[0].frames[-1].prediction
    back = last.label == "tumour" and run.outcome.examination.undefended.label != "tumour"
    assert (
        "Answer back" in answer.about
    ) == back and f"{percent(last.probabilities['tumour'])} purified" in answer.about
    unknown, *_ = timeline(state, state.reference, state.trajectories[0], ())
    assert "stroke-dasharray" in unknown.svg and "stroke-dasharray" not in attack.svg
    attacked.segmented_control(key="purify-section").set_value("Watch").run()
    attacked.button(key="take-original").click().run()
    attacked.button(key="purify").click().run()
    attacked.segmented_control(key="purify-section").set_value("Timeline").run()
    assert "not one that was attacked here" in texts(attacked) and not attacked.exception
