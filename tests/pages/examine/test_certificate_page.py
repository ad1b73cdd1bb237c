"""A certificate on the Examine page: asked for, watched, stopped, and what it says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import Bundle, load_bundle
from core.bundles import WEIGHTS
from core.defence.certificate import SELECTION, Certificate, certify
from core.scans import write_derived_png
from pages.examine.certificate import CertificateState
from pages.examine.certificate_words import basis, limits, promise
from tests.cells import NAME as CELLS
from tests.cells import cell, write_picture
from tests.defended import scans
from tests.reading import opened, session, take_bundle, texts
from tests.two_questions import change_limits, write_bundle

NEVER = 1e9
NAME = "tiny-quiet"
FULL = Certificate("tumour", 0.12, 70, (1, 128, 128), 1000, SELECTION, 1000, 1000)


def test_the_promise_is_never_rounded_up() -> None:
    assert FULL.radius and 0.295 < FULL.radius < 0.296
    assert "smaller than 75 grey levels (of 255) in one pixel, 7.5 in each of 100 pixels, or 0.58 in every" in promise(
        FULL
    )
    assert FULL.grey_levels() > 75 and FULL.grey_levels(100) > 7.5 and FULL.grey_levels(FULL.pixel_count) > 0.58
    assert "1,000 of 1,000 draws, so with a chance of 99.3\u00a0% or more" in basis(FULL, 0)


def test_it_says_how_much_larger_an_attack_on_every_pixel_is() -> None:
    assert "8/255 in every pixel at once: those are 13.6 times as long (ℓ2 4.02)" in limits(FULL, "robust")
    stronger = replace(FULL, sigma=0.24)
    assert "those are 6.79 times as long" in limits(stronger, "robust")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "brain-mri").symlink_to(WEIGHTS / "brain-mri", target_is_directory=True)
    change_limits(write_bundle(folder, NAME), amv=NEVER, agreement=NEVER, instability=NEVER)
    return folder


@pytest.fixture
def page(weights: Path, app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The Examine page with a scan, and small networks."""
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", weights)
    write_derived_png(tmp_path / "scan.png", scans(1).pixels[0, 0].numpy())
    take_bundle(app, NAME, "home")
    app.sidebar.file_uploader[0].upload("scan.png", (tmp_path / "scan.png").read_bytes())
    app.run()
    return opened(app, "examine")


def state_of(app: AppTest) -> CertificateState:
    state = session(app).state_of(CertificateState)
    assert state
    return state


@pytest.mark.slow
def test_a_certificate_is_made_and_says_what_core_says(page: AppTest) -> None:
    assert "A certificate" in [header.value for header in page.header] and "Certified" not in texts(page)
    page.segmented_control(key="certify-draws").set_value(100).run()
    page.button(key="certify").click().run()
    assert state_of(page).begun.wait(120)
    page.run()
    assert not page.exception and not page.error
    made = state_of(page).made
    exam = session(page).examination
    *_, wanted = certify(exam.pixels, load_bundle(NAME), sigma=0.12, draws=100, seed=exam.seed)
    assert made == wanted and made.complete
    said = texts(page)
    assert promise(made) in said if made.radius else "No certificate." in said
    page.number_input(key="seed").set_value(5).run()
    assert (
        session(page).seed == 5
        and session(page).state_of(CertificateState) is None
        and promise(FULL)[:40] not in texts(page)
    )


@pytest.mark.slow
def test_it_may_be_stopped(page: AppTest) -> None:
    page.button(key="certify").click().run()
    assert page.button(key="certify-stop") and page.segmented_control(key="certify-sigma").disabled
    page.button(key="certify-stop").click().run()
    assert state_of(page).begun.wait(60)
    page.run()
    state = state_of(page)
    assert state.begun.cut_short and not page.exception
    assert "Stopped" in texts(page) and page.button(key="certify")
    if state.made:
        assert state.made.radius is None and "more than half of all draws" in texts(page)


@pytest.mark.slow
def test_what_has_no_denoiser_says_so(cells: Bundle, app: AppTest, tmp_path: Path) -> None:
    take_bundle(app, CELLS, "home")
    app.sidebar.file_uploader[0].upload("cell.png", write_picture(tmp_path / "cell.png", cell()).read_bytes())
    app.run()
    opened(app, "examine")
    assert "The bundle tiny-cells holds no diffusion model, so it can't certify an answer." in texts(app)
    assert "certify" not in [button.key for button in app.button]


@pytest.mark.slow
def test_a_refused_scan_has_nothing_to_certify(app: AppTest, choose: Callable[[AppTest, str], AppTest]) -> None:
    choose(app, "ct-small")
    assert app.title[0].value == "No answer" and "A certificate" not in [header.value for header in app.header]


def test_another_answer_than_the_card_is_said() -> None:
    def card() -> None:
        from types import SimpleNamespace

        from core.defence.certificate import SELECTION, Certificate
        from pages.examine.certificate import draw_radius

        made = Certificate("tumour", 0.12, 70, (1, 128, 128), 1000, SELECTION, 1000, 1000)
        draw_radius(made, SimpleNamespace(label="no tumour", seed=0), "robust", False)  # type: ignore[arg-type]

    script = AppTest.from_function(card).run()
    assert not script.exception and "the decision above, which is “no tumour”" in texts(script)
    assert script.subheader[0].value == "Tumour"
