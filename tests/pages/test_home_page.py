"""Home, the notice, and the tours that start there."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.attacks import PGD, AttackSettings
from core.bundles import Bundle, weights_record
from core.scans import sample_scans
from pages.attack.state import AttackRun
from pages.experts.state import ATTACKED, ExpertsState
from pages.home.story import recorded, stages
from pages.shared import tours
from pages.shared.session import Session
from pages.shared.tours.handout import FOLDER, handout
from pages.shared.tours.places import ATTACK, AUDIT, DETECT, EXAMINE, EXPERTS
from pages.shared.tours.steps import TOURS
from pages.shared.visit import Visit


def test_home_offers_the_tours(app: AppTest) -> None:
    assert not app.exception and not app.error
    assert [button.key for button in app.button if button.key and button.key.startswith("tour-")] == [
        "tour-clinician",
        "tour-educator",
        "tour-reviewer",
    ]


def test_the_recorded_story_is_of_the_weights_of_today(bundle: Bundle) -> None:
    story = recorded()
    made_with = weights_record(bundle, bundle.default_classifier)
    assert story["weights_sha256"] == made_with, f"Another network's story; run `{story['command']}`."
    assert story["source"] == next(one.description for one in sample_scans() if one.key == story["sample"])


def test_the_story_turns_round_and_back() -> None:
    scan, attacked, purified = (stage["frames"][-1] for stage in stages(recorded()))
    assert scan["answer"][0] == purified["answer"][0] != attacked["answer"][0]
    assert attacked["share"] < 0.5 < min(scan["share"], purified["share"])


@pytest.mark.slow
def test_notice_is_said_once(app: AppTest) -> None:
    app.session_state["session"] = Session(visit=Visit(greeted=True))
    app.run()
    assert any("not a medical device" in element.value for element in app.markdown)
    app.button(key="notice-understood").click().run()
    assert not any("not a medical device" in element.value for element in app.markdown)


def opened(app: AppTest, page: str) -> bool:
    """Whether this page is open."""
    signs = {AUDIT: "audit-start", ATTACK: "attack", DETECT: "detect-part", EXPERTS: "experts-section"}
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


def test_the_clinician_sees_an_attack_and_the_reviewer_ends_with_a_report() -> None:
    assert {key: tour.steps[-1].page for key, tour in TOURS.items()} == {
        "clinician": EXAMINE,
        "educator": ATTACK,
        "reviewer": AUDIT,
    }
    assert any(step.attacked for step in TOURS["clinician"].steps)
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
        assert {name: app.session_state[name] for name in step.sets} == step.sets
        if step.press:
            assert session.state_of(ExpertsState).attack.eps and ATTACKED in session.state_of(ExpertsState).stages
        if "attack" in step.asks:
            attack_run = session.state_of(AttackRun)
            assert attack_run.settings == AttackSettings("pgd", eps=float(step.asks["eps"])) and attack_run.outcome
        assert opened(app, step.page)
        if number < len(TOURS[key].steps):
            next(button for button in app.button if button.label == "Next").click().run()
    next(button for button in app.button if button.label == "Finish").click().run()
    assert app.session_state["session"].tour is None


@pytest.mark.slow
@pytest.mark.parametrize("chosen", ["hardened", "medfedpure"])
def test_a_tour_begins_with_the_classifier_that_it_speaks_of(app: AppTest, chosen: str) -> None:
    now = app.session_state["session"]
    now.classifier = app.session_state["classifier-brain-mri"] = chosen
    app.run()
    app.button(key="tour-clinician").click().run()
    assert not app.exception and now.classifier is None and now.examination.prediction.classifier == "resnet18"
    assert app.segmented_control(key="policy").value == "clinical"
    app.run()
    assert now.classifier is None and app.selectbox(key="classifier-brain-mri").value == "resnet18"


@pytest.mark.slow
def test_a_tour_that_was_left_goes_on_from_there(app: AppTest) -> None:
    app.button(key="tour-clinician").click().run()
    next(button for button in app.button if button.label == "Next").click().run()
    next(button for button in app.button if button.label == "Leave the tour").click().run()
    app.switch_page("pages/home/page.py").run()
    assert app.button(key="tour-clinician").label == "Resume the clinician’s tour at step 2"
    app.button(key="tour-clinician").click().run()
    assert any(element.value == TOURS["clinician"].steps[1].title for element in app.subheader)


@pytest.mark.slow
def test_going_back_brings_the_original_scan_back(app: AppTest) -> None:
    app.button(key="tour-educator").click().run()
    original = app.session_state["session"].scan.sha256
    next(button for button in app.button if button.label == "Next").click().run()
    assert app.session_state["session"].scan.sha256 != original
    next(button for button in app.button if button.label == "Back").click().run()
    assert app.session_state["session"].scan.sha256 == original


def test_a_tour_speaks_of_its_own_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that the visitor made in another way is attacked again; the tour's own stays."""
    again: list[Session] = []
    monkeypatch.setattr(tours, "attack", again.append)
    step = next(step for step in TOURS["clinician"].steps if step.attacked)
    for settings, seed in ((AttackSettings("fgsm", eps=2), 0), (PGD, 1), (PGD, 0)):
        tours._prepare(Session(origin="a scan", attacked_by=settings, attacked_seed=seed), step)  # type: ignore[arg-type]
    assert [(session.attacked_by.method, session.attacked_seed) for session in again] == [("fgsm", 0), ("pgd", 1)]


def test_a_tour_says_why_its_attack_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Session) -> None:
        raise ValueError("The scan can't be attacked.")

    said: list[str] = []
    monkeypatch.setattr(tours, "attack", refuse)
    monkeypatch.setattr(tours.st, "error", lambda text, icon: said.append(text.replace("\\", "")))
    monkeypatch.setattr(tours.st, "rerun", lambda: pytest.fail("It would be tried again for ever."))
    tours._prepare(Session(), next(step for step in TOURS["clinician"].steps if step.attacked))
    assert said == ["The scan can't be attacked."]


@pytest.mark.slow
def test_attacked_scan_shows_the_answer_before(app: AppTest) -> None:
    app.button(key="tour-educator").click().run()
    next(button for button in app.button if button.label == "Next").click().run()
    shown = {element.value for element in app.markdown}
    # Where the machine has no sample of ours, the tour's scan may be one that the bundle refuses.
    refused = app.session_state["session"].examination.refused
    assert app.title[0].value == "No answer" if refused else {"Before the attack", "Attacked"} <= shown
    assert any(element.value == "What the attack changed" for element in app.header)


@pytest.mark.slow
def test_picking_a_sample_ends_the_tour(app: AppTest) -> None:
    app.button(key="tour-clinician").click().run()
    app.selectbox(key="sample").select("ct-small").run()
    assert app.session_state["session"].tour is None
    assert app.title[0].value == "No answer"


@pytest.mark.parametrize("key", TOURS)
def test_the_handout_says_what_the_tour_says(key: str) -> None:
    written = (FOLDER / f"{key}.md").read_text(encoding="utf-8")
    assert written == handout(TOURS[key]), "Write it anew: python -m pages.shared.tours.handout"
