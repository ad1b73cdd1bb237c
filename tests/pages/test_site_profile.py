"""Your scanner: the panel that fits a site's thresholds, and the picker that puts them in force."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import date

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import load_bundle
from core.attacks import PGD
from core.defence.profile import Profile, fit_profile, write_profile
from core.report.site_scans import SiteScans
from pages.detect.site import FILES, SiteState
from pages.detect.trials import TrialsState, current_trials
from pages.shared.settings.defence import PROFILE, SHIPPED
from pages.shared.uploads import REFUSED
from tests.reading import session, texts

NAME = "resnet18"


def fitted(times: float = 40.0, classifier: str = NAME) -> Profile:
    """A profile of a site whose scores lie so many times as far out as the bundle's."""
    bundle = load_bundle()
    clean = bundle.calibrations[classifier].clean
    scores = {name: times * np.array(values[:60]) for name, values in clean.items()}
    return fit_profile(scores, bundle, classifier, date(2026, 11, 28))


def upload(app: AppTest, key: str, name: str, content: bytes, kind: str = "application/zip") -> AppTest:
    next(found for found in app.file_uploader if found.key == key).upload(name, content, kind)
    return app.run()


def choices(app: AppTest) -> list[str]:
    return app.selectbox(key="thresholds").options


def test_thresholds_are_as_shipped_until_a_profile_is_brought(app: AppTest) -> None:
    assert app.selectbox(key="thresholds").value == SHIPPED
    assert len(choices(app)) == 1


def test_a_profile_is_taken_says_what_it_promises_and_can_be_put_away(app: AppTest) -> None:
    profile = fitted()
    upload(app, "profile-file", "profile.json", write_profile(profile).encode())
    assert not app.exception and not app.error
    assert session(app).profile == profile
    assert "Fitted on 60 scans on 28 November 2026" in texts(app)
    assert profile.promise in texts(app)
    app.selectbox(key="thresholds").select(SHIPPED).run()
    assert session(app).profile is None and len(choices(app)) == 2
    app.selectbox(key="thresholds").select(PROFILE).run()
    assert session(app).profile == profile


@pytest.mark.parametrize(
    "content", [b"{}", b"\xff", write_profile(fitted()).replace("brain-mri", "blood-cells").encode()]
)
def test_a_wrong_file_gives_one_sentence_and_loses_nothing(app: AppTest, content: bytes) -> None:
    profile = fitted()
    upload(app, "profile-file", "profile.json", write_profile(profile).encode())
    upload(app, "profile-file", "other.json", content)
    assert not app.exception and len(app.error) == 1
    assert "stays in use" in app.error[0].value
    assert session(app).profile == profile


def test_a_profile_that_was_refused_on_its_way_in_is_not_called_damaged(app: AppTest) -> None:
    upload(app, "profile-file", "profile.json", b"", REFUSED)
    assert not app.exception and len(app.error) == 1
    said = app.error[0].value.replace("\\", "")
    assert "MB: bring fewer" in said and "Thresholds stay as shipped." in said


@pytest.mark.slow
def test_recorded_scores_say_by_which_thresholds_they_are_counted(app: AppTest) -> None:
    app.switch_page("pages/detect/page.py").run()
    app.segmented_control(key="detect-part").set_value("Recorded studies").run()
    app.segmented_control(key="detect-section").set_value("Scores").run()
    assert "thresholds that its fold (one of five) had no part in" in texts(app) and "Intervals" not in texts(app)
    assert "bundle’s own thresholds" in texts(app) and "The counts are by" not in texts(app)
    session(app).choose_profile(fitted())
    app.run()
    assert "site profile’s thresholds. The counts are by the bundle’s own thresholds." in texts(app)


def test_a_profile_of_another_classifier_is_not_in_force(app: AppTest) -> None:
    upload(app, "profile-file", "profile.json", write_profile(fitted(classifier="medfedpure")).encode())
    assert not app.error
    assert "Not in use here" in texts(app)


def test_the_detector_is_recomputed_with_the_thresholds_that_are_in_force(app: AppTest) -> None:
    """Those of a profile for another classifier are not, and its result isn't told as the site's."""
    now = session(app)
    now.choose_profile(fitted(classifier="medfedpure"))
    now.keep(TrialsState(choices=("brain-mri", NAME, None), settings=PGD))
    assert current_trials(now, NAME)
    now.choose_profile(fitted())
    assert current_trials(now, NAME) is None


@pytest.mark.slow
def test_the_pages_decide_by_the_profile(app: AppTest, choose: Callable[[AppTest, str], AppTest]) -> None:
    choose(app, "tumour-01")
    before = session(app).examination
    profile = fitted()
    upload(app, "profile-file", "profile.json", write_profile(profile).encode())
    after = session(app).examination
    assert after.detection.thresholds == profile.thresholds != before.detection.thresholds
    assert (after.scope_limit, after.detection.scores) == (before.scope_limit, before.detection.scores)
    app.selectbox(key="thresholds").select(SHIPPED).run()
    assert session(app).examination.detection.thresholds == before.detection.thresholds


@pytest.fixture
def panel(app: AppTest) -> AppTest:
    app.switch_page("pages/detect/page.py").run()
    app.segmented_control(key="detect-part").set_value("Measured now").run()
    return app.segmented_control(key="detect-now").set_value("Your scanner").run()


def packed(count: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for index in range(count):
            picture = io.BytesIO()
            Image.fromarray(np.full((16, 16), index, np.uint8)).save(picture, "PNG")
            archive.writestr(f"Doe^John-{index}.png", picture.getvalue())
        archive.writestr("notes.txt", b"no scan at all")
    return stream.getvalue()


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scan is examined at once: scores of the bundle's own scans, forty times as far out."""
    clean = load_bundle().calibrations[NAME].clean

    def take(scan: object, found: SiteScans, *_: object) -> None:
        place = found.scans
        for name, values in clean.items():
            found.scores.setdefault(name, []).append(40 * values[place])
        found.flagged += place < 9

    monkeypatch.setattr("core.report.site_scans._take", take)


def test_nothing_is_computed_before_it_is_asked_for(panel: AppTest) -> None:
    assert not panel.exception and not panel.error
    assert panel.button(key="site-start").disabled
    assert "40 or more of your own scans" in texts(panel)


def test_files_that_were_refused_on_their_way_in_are_not_fitted_to(panel: AppTest) -> None:
    upload(panel, FILES, "ward.zip", b"", REFUSED)
    assert not panel.exception and "MB: bring fewer" in panel.error[0].value
    assert panel.button(key="site-start").disabled


@pytest.mark.slow
def test_scans_become_a_profile_that_is_shown_and_used(panel: AppTest, measured: None) -> None:
    upload(panel, FILES, "ward.zip", packed(60))
    panel.button(key="site-start").click().run()
    assert not panel.exception and not panel.error
    state = session(panel).state_of(SiteState)
    assert state.profile.groups == fitted().groups
    shown = {metric.label: metric.value for metric in panel.metric}
    assert shown["Scans that count"] == "60" and shown["Flagged today"] == "15.0 %"
    said = texts(panel)
    assert state.profile.promise in said and "1 unreadable" in said
    panel.button(key="use-profile").click().run()
    assert session(panel).profile == state.profile
    assert panel.selectbox(key="thresholds").value == PROFILE and panel.button(key="use-profile").disabled
    assert "Doe" not in json.dumps(write_profile(state.profile))


@pytest.mark.slow
@pytest.mark.parametrize("count, said", [(12, "12 scans are too few"), (0, "0 scans are too few")])
def test_too_few_scans_give_one_sentence(panel: AppTest, measured: None, count: int, said: str) -> None:
    upload(panel, FILES, "ward.zip", packed(count))
    panel.button(key="site-start").click().run()
    assert not panel.exception
    assert said in panel.error[0].value
    assert session(panel).state_of(SiteState).profile is None


def test_a_damaged_archive_gives_one_sentence(panel: AppTest) -> None:
    upload(panel, FILES, "ward.zip", packed(30)[:-30])
    panel.button(key="site-start").click().run()
    assert not panel.exception
    assert "damaged" in panel.error[0].value
