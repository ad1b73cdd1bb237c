"""Every page with a classifier that somebody added: it works, or says what is missing."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.bundles import WEIGHTS, load_bundle
from core.bundles.adding import add_classifier
from core.bundles.checking import Wanted
from core.bundles.own import VARIABLE
from core.defence.profile import write_profile
from core.defence.profile_file import read_profile
from core.faults import Fault
from pages.attack.controls import ALONE
from pages.attack.state import AttackRun
from pages.attack.words import NO_DEFENCE
from pages.detect.site import FILES, SiteState
from pages.faults.recorded.compare import ADDED
from pages.faults.state import FaultsState
from tests.defended import CLASSES, SIDE, scans
from tests.newcomers import CONVNEXT, MEAN, MOBILENET, STD, write_weights
from tests.reading import opened, session, texts
from tests.two_questions import change_limits, write_bundle

JOINED, OWN = "tiny-joined", "tiny-own"
CHOSEN = {JOINED: MOBILENET, OWN: CONVNEXT}
PAGES = ("home", "examine", "detect", "attack", "purify", "experts", "faults", "encrypt", "audit")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder like weights/ with a bundle that has a defence; one classifier joins it, another is a bundle alone."""
    weights, own = tmp_path_factory.mktemp("weights"), tmp_path_factory.mktemp("own")
    (weights / "brain-mri").symlink_to(WEIGHTS / "brain-mri", target_is_directory=True)
    change_limits(write_bundle(weights, JOINED))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("core.bundles.loading.WEIGHTS", weights)
        patched.setenv(VARIABLE, str(own))
        for bundle, model in CHOSEN.items():
            file = write_weights(own / "net.safetensors", model, len(CLASSES))
            add_classifier(Wanted(bundle, model, file, CLASSES, MEAN, STD, SIDE, grey=bundle == OWN))
    return weights, own


def picture(place: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.rint(255 * scans(place + 1).pixels[place, 0].numpy()).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def chosen(
    folders: tuple[Path, Path], visit: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], AppTest]:
    """The app with one of the bundles and its newcomer chosen, and a scan on the table."""
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", folders[0])
    monkeypatch.setenv(VARIABLE, str(folders[1]))

    def choose(bundle: str) -> AppTest:
        app = opened(visit(), "faults")
        app.selectbox(key="bundle").select(bundle).run()
        app.sidebar.file_uploader[0].upload("scan.png", picture())
        app.run()
        opened(app, "examine")
        if bundle == JOINED:
            app.selectbox(key=f"classifier-{bundle}").select(MOBILENET).run()
        assert session(app).examination.prediction.classifier == CHOSEN[bundle]
        return app

    return choose


@pytest.mark.slow
@pytest.mark.parametrize("bundle", CHOSEN)
def test_examine_attack_and_faults_work(chosen: Callable[[str], AppTest], bundle: str) -> None:
    app, model = chosen(bundle), CHOSEN[bundle]
    lacks = load_bundle(bundle).lacks_for(model)
    assert session(app).examination.label in CLASSES
    assert lacks in texts(app) and "Not checked for manipulation" in texts(app)

    opened(app, "attack")
    assert app.segmented_control(key="attack-always-alone").options == [ALONE] and NO_DEFENCE in texts(app)
    app.number_input(key="attack-steps-pgd-40").set_value(3).run()
    app.button(key="attack").click().run()
    assert not app.exception and not app.error
    outcome = session(app).state_of(AttackRun).outcome
    moved = np.abs(outcome.examination.pixels - session(app).examination.pixels).max() * 255
    assert outcome.examination.prediction.classifier == model and 0 < moved <= 8.01
    assert lacks in texts(app) and "there is no defence to ask" in texts(app)

    opened(app, "faults")
    if bundle == JOINED:
        app.segmented_control(key=f"faults-network-{bundle}").set_value(model).run()
    state = session(app).state_of(FaultsState)
    state.flips = [Fault("mean", 0, 30)]  # of the colour channels' means the first, beyond all bounds
    app.run()
    assert state.network == model and not app.exception and not app.error
    before, after = state.answer.before.undefended, state.answer.after.undefended
    assert before.classifier == model and before.probabilities != after.probabilities
    app.segmented_control(key=f"faults-guard-{bundle}-{model}").set_value("repair").run()
    assert not app.exception and not app.error
    assert state.answer.watch.outcomes == {"mean": "corrected"}
    assert state.answer.after.undefended.probabilities == before.probabilities
    for name in ("Curves", "Worst case", "Side by side"):
        app.segmented_control(key="faults-section").set_value(name).run()
        assert not app.exception and not app.error, name
        if name != "Side by side":
            assert f"Of {model}, which was added here, no studies are recorded." in texts(app), name
    assert (ADDED in texts(app)) == (bundle == OWN)


@pytest.mark.slow
@pytest.mark.parametrize("bundle", CHOSEN)
def test_no_page_fails(chosen: Callable[[str], AppTest], bundle: str) -> None:
    app, lacks = chosen(bundle), load_bundle(bundle).lacks_for(CHOSEN[bundle])
    for name in PAGES:
        opened(app, name)
        assert app.title, name
        if name in ("detect", "audit"):
            assert lacks in texts(app), name


@pytest.mark.slow
def test_a_bundle_of_ones_own_is_offered_on_every_page(chosen: Callable[[str], AppTest]) -> None:
    app = chosen(OWN)
    opened(app, "home")
    app.selectbox(key="bundle").select("brain-mri").run()
    assert OWN in app.selectbox(key="bundle").options and JOINED not in app.selectbox(key="bundle").options


@pytest.mark.slow
def test_clean_scans_give_it_thresholds_and_with_these_it_is_defended(chosen: Callable[[str], AppTest]) -> None:
    app = chosen(JOINED)
    opened(app, "detect")
    assert app.segmented_control(key="detect-part").options == ["This scan", "Measured now"]
    app.segmented_control(key="detect-part").set_value("Measured now").run()
    assert app.segmented_control(key="detect-now").options == ["Your scanner"]
    uploader = next(found for found in app.file_uploader if found.key == FILES)
    uploader.set_value([(f"{place}.png", picture(place), "image/png") for place in range(20)])
    app.run()
    app.button(key="site-start").click().run()
    assert not app.exception and not app.error
    profile = session(app).state_of(SiteState).profile
    assert profile.classifier == MOBILENET and profile.scans == 20
    metrics = {metric.label for metric in app.metric}
    assert "Scans that count" in metrics and "Flagged today" not in metrics
    app.button(key="use-profile").click().run()
    assert session(app).profile == profile and not app.exception

    app.segmented_control(key="detect-part").set_value("This scan").run()
    assert not app.exception and not app.error and "Mask by mask" in texts(app)
    assert "Among the recorded scans" not in texts(app)
    opened(app, "examine")
    exam = session(app).examination
    assert exam.detection.thresholds == profile.thresholds and "has no thresholds yet" not in texts(app)
    assert "Clean scans are not recorded for this classifier" in texts(app)
    opened(app, "attack")
    assert app.segmented_control(key="attack-target").options == [ALONE, "Whole defence"]
    for name in ("purify", "audit", "faults"):
        opened(app, name)
    assert read_profile(write_profile(profile).encode()) == profile
