"""Every page with a bundle that has classifiers and nothing else: it works with these, or says what is missing."""

from collections.abc import Callable

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.bundles import Bundle
from pages.attack.controls import ALONE, NO_DEFENCE
from pages.attack.state import AttackRun
from pages.experts.picker import NONE_HERE
from pages.purify.state import PurifyState
from pages.shared.runtime import DEFAULT_BUNDLE
from tests.cells import CLASSES, NAME, SIDE, cell, write_picture
from tests.reading import opened, session, take_bundle, texts

Choose = Callable[[AppTest, str], AppTest]
PAGES = ("home", "examine", "detect", "across", "attack", "purify", "experts", "faults", "encrypt", "audit")
BRAIN = "no-tumour-01"


def keys(app: AppTest, kind: str) -> set[str]:
    return {element.key for element in app.get(kind)}


@pytest.fixture
def served(cells: Bundle, app: AppTest) -> AppTest:
    """The app with this bundle chosen."""
    return take_bundle(app, NAME, "home")


@pytest.fixture
def picture(tmp_path) -> bytes:
    return write_picture(tmp_path / "cell.png", cell()).read_bytes()


@pytest.fixture
def page(served: AppTest, picture: bytes) -> AppTest:
    """The same with a picture on the table."""
    served.sidebar.file_uploader[0].upload("cell.png", picture)
    served.run()
    assert session(served).scan.name == "cell.png" and not served.error
    return served


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_no_page_fails_without_a_picture(served: AppTest, name: str) -> None:
    opened(served, name)
    assert not served.error
    assert not any(key and key.startswith("start-") for key in keys(served, "button"))
    assert "sample" not in keys(served, "selectbox")
    if name in ("examine", "attack", "purify", "experts"):
        assert "Upload a colour picture" in texts(served) and "No sample comes with" in texts(served)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["detect", "audit", "experts"])
def test_pages_that_need_more_say_so_and_offer_the_way(page: AppTest, name: str, cells: Bundle) -> None:
    opened(page, name)
    said = [info.value.replace("\\", "") for info in page.info]
    assert said == [NONE_HERE if name == "experts" else cells.lacks] and not page.error
    page.button(key="switch-bundle").click().run()
    assert session(page).bundle == page.selectbox(key="bundle").value == DEFAULT_BUNDLE
    assert session(page).scan.name == "cell.png" and not page.exception


@pytest.mark.slow
def test_examine_gives_the_answer_and_what_it_is_without(page: AppTest, cells: Bundle) -> None:
    opened(page, "examine")
    exam, said = session(page).examination, texts(page)
    assert exam.bundle == NAME and exam.label in CLASSES
    assert page.title[0].value == exam.label.capitalize()
    assert cells.lacks in said and "Not checked for manipulation" in said
    assert "Not flagged" not in said and "What purification changed" not in said
    assert page.selectbox(key=f"classifier-{NAME}").options == ["resnet18", "mamba", "vit"]
    page.selectbox(key=f"classifier-{NAME}").select("mamba").run()
    assert session(page).examination.prediction.classifier == "mamba"


@pytest.mark.slow
def test_a_scan_stays_when_the_bundle_changes(app: AppTest, choose: Choose, cells: Bundle) -> None:
    choose(app, BRAIN)
    opened(app, "examine")
    answer = app.title[0].value
    take_bundle(app, NAME, "examine")
    assert app.title[0].value == "No answer" and "the file says modality MR" in texts(app)
    assert not app.exception and not app.error
    for name in PAGES:
        app.switch_page(f"pages/{name}/page.py").run()
        assert not app.exception and app.title, name
    app.selectbox(key="bundle").select(DEFAULT_BUNDLE).run()
    opened(app, "examine")
    assert app.title[0].value == answer and app.selectbox(key="sample").value == BRAIN


@pytest.mark.slow
def test_an_attacked_brain_scan_stays_too(app: AppTest, cells: Bundle) -> None:
    app.button(key="tour-educator").click().run()
    next(button for button in app.button if button.label == "Next").click().run()
    assert session(app).origin is not None
    take_bundle(app, NAME, "examine")
    assert session(app).tour is None and app.title[0].value == "No answer"
    for name in PAGES:
        app.switch_page(f"pages/{name}/page.py").run()
        assert not app.exception and app.title, name
    app.selectbox(key="bundle").select(DEFAULT_BUNDLE).run()
    opened(app, "examine")
    assert any(element.value == "What the attack changed" for element in app.header)


@pytest.mark.slow
def test_a_tour_takes_the_bundle_it_speaks_of(served: AppTest) -> None:
    opened(served, "home")
    assert "a tour switches to the model bundle brain-mri" in texts(served)
    served.button(key="tour-clinician").click().run()
    assert session(served).bundle == DEFAULT_BUNDLE and session(served).scan.modality == "MR"
    assert not served.exception and not served.error


@pytest.mark.slow
def test_attack_fools_the_classifier_alone(page: AppTest, cells: Bundle) -> None:
    opened(page, "attack")
    offered = page.selectbox(key="attack-method-alone").options
    assert "PGD (Madry et al. 2018)" in offered and not any("aware" in title or "BPDA" in title for title in offered)
    assert page.segmented_control(key="attack-always-alone").options == [ALONE]
    assert NO_DEFENCE in texts(page)
    page.number_input(key="attack-steps-pgd-40").set_value(5).run()
    page.button(key="attack").click().run()
    assert not page.exception and not page.error
    outcome, said = session(page).state_of(AttackRun).outcome, texts(page)
    assert outcome.scan.modality == "OT" and outcome.examination.pixels.shape == (3, SIDE, SIDE)
    assert "there is no defence to ask" in said and cells.lacks in said
    assert "**Attacked**" in said and "Detector: " not in said and "After purification" not in said
    page.button(key="open-in-examine").click().run()
    assert not page.exception and session(page).scan.derived == "attacked"
    assert "What the attack changed" in texts(page)


@pytest.mark.slow
def test_a_teacher_sees_the_one_answer_there_is(page: AppTest) -> None:
    from core.attacks import AttackSettings

    session(page).visit.class_view, session(page).attack = True, AttackSettings("pgd", steps=5, white_box=True)
    opened(page, "attack")
    assert not session(page).attack.white_box  # set up for a bundle with a defence
    session(page).attack = AttackSettings("pgd", steps=5)
    page.button(key="attack").click().run()
    assert not page.exception and not page.error
    said = [element.value for element in page.markdown]
    assert "Attacked" in said and "Detector" not in said and "After purification" not in said


@pytest.mark.slow
def test_purify_compares_the_filters(page: AppTest, cells: Bundle) -> None:
    from core.purification.settings import PurifySettings

    session(page).purify = (PurifySettings("one-step"), PurifySettings("mae-pure"))
    opened(page, "purify")
    assert cells.lacks in texts(page) and "filters that need no network" in texts(page)
    assert [chosen.method for chosen in session(page).purify] == ["median", "jpeg"]
    assert len(page.selectbox(key="purify-filter-0").options) == 4
    page.button(key="purify").click().run()
    assert not page.exception and not page.error
    assert all(len(trajectory.frames) == 2 for trajectory in session(page).state_of(PurifyState).trajectories)
    assert "Reconstruction loss" not in page.segmented_control(key="purify-value").options
    for section in ("What changed", "Seeds", "Trade-off"):
        page.segmented_control(key="purify-section").set_value(section).run()
        assert not page.exception and not page.error, section


@pytest.mark.slow
def test_a_grey_picture_is_refused(served: AppTest, tmp_path) -> None:
    grey = np.repeat(cell().mean(-1, keepdims=True), 3, axis=-1)
    served.sidebar.file_uploader[0].upload("grey.png", write_picture(tmp_path / "grey.png", grey).read_bytes())
    served.run()
    opened(served, "examine")
    assert served.title[0].value == "No answer" and "takes colour pictures only" in texts(served)
    assert (
        opened(served, "attack", errors=1)
        .error[0]
        .value.replace("\\", "")
        .startswith("Not a picture this model was made for")
    )


def test_a_bundle_that_every_page_works_with_has_no_switch_to_itself() -> None:
    script = AppTest.from_function(_lacking_default)
    script.run()
    assert not script.exception and len(script.info) == 1 and not script.button


def _lacking_default() -> None:
    from types import SimpleNamespace

    from pages.shared.empty_states import draw_missing_models

    draw_missing_models(SimpleNamespace(name="brain-mri", lacks="It lacks something."))
