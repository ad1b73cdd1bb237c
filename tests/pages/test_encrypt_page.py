"""The Encrypt page, with a tiny bundle and a real server process."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.bundles import Bundle, classifier_sha256
from core.encryption import shared_server
from core.encryption.client import Client
from core.evaluation import encrypted
from core.evaluation.encrypted import FILE, LabelledTokens
from core.federation import tokens
from core.federation.configurations import CONFIGURATIONS, MEASURES
from pages.encrypt.state import EncryptState
from pages.shared.words import kilobytes
from tests.cells import NAME, cell, write_picture
from tests.reading import opened, session, take_bundle, texts

SHARES = {name: [0.9, 0.8, 1.0] for name in MEASURES}
TIMES = {"server_ms": 2.0, "encrypt_ms": 3.0, "decrypt_ms": 1.0}
SIZES = {"upload_kb": 31.0, "download_kb": 62.0, "keys_kb": 0.02}
CROSSING = {
    "gradients_plain": 26400.0,
    "gradients_encrypted": 40700.0,
    "head_gradients_encrypted": 12.0,
    "token_encrypted": 31.0,
}


@pytest.fixture(scope="module", autouse=True)
def _server_ends() -> Iterator[None]:
    yield
    shared_server().stop()


@pytest.fixture
def page(cells: Bundle, app: AppTest, tmp_path) -> AppTest:
    """The page with the tiny bundle and a picture."""
    return with_picture(app, tmp_path)


def with_picture(app: AppTest, folder: Path, seed: int = 0) -> AppTest:
    take_bundle(app, NAME, "encrypt")
    picture = write_picture(folder / "cell.png", cell(seed)).read_bytes()
    app.sidebar.file_uploader[0].upload("cell.png", picture)
    app.run()
    return opened(app, "encrypt")


def press(app: AppTest, key: str, errors: int = 0) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception and len(app.error) == errors, [error.value for error in app.error]
    return app


def section(app: AppTest, name: str) -> AppTest:
    app.segmented_control(key="encrypt-section").set_value(name).run()
    assert not app.exception and not app.error
    return app


def entry(models: Bundle, **changes: object) -> dict[str, object]:
    head = {"head": "linear", "preset": "linear", "n": 9, "clear": 8, "same": 9, "same_clear": 8, "max_error": 2e-4}
    known = {
        "made_with": classifier_sha256(models, "vit"),
        "command": "python -m training.measure.encrypted --data cells.zip",
        "n": 9,
        "seed": 0,
        "heads": [head | TIMES | SIZES | {"plain": SHARES, "encrypted": SHARES}],
        "configurations": dict.fromkeys(CONFIGURATIONS, SHARES),
        "network_configurations": dict.fromkeys(CONFIGURATIONS[:3], SHARES),
        "timing": [],
        "communication": CROSSING,
    }
    return known | changes


@pytest.fixture
def record(cells: Bundle) -> Iterator[Callable[[str], None]]:
    """Write what is recorded beside the weights of the tiny bundle, while a test runs."""
    path = cells.folder / FILE
    yield path.write_text
    path.unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "polynomial"])
def test_the_server_answers_as_in_the_clear(page: AppTest, kind: str) -> None:
    page.segmented_control(key="encrypt-head").set_value(kind).run()
    press(page, "encrypt")
    bench = session(page).state_of(EncryptState)
    assert [step.stage for step in bench.steps] == ["keygen", "encrypt", "server", "decrypt"]
    assert bench.answer.label_plain == bench.answer.label_encrypted and 0 < bench.answer.max_error < 1e-2
    said = texts(page)
    assert "Same answer as in the clear" in said and "They differ by" in said
    assert "The keys were made for this question and have been dropped." in said
    other = bench.before.undefended
    assert other and other.classifier != "vit"
    sizes = [table.value for table in page.dataframe if "Keys, once" in table.value]
    asked = sizes[0][sizes[0]["Preset"] == f"{bench.preset}, as asked above"].iloc[0]
    assert len(sizes) == 1 and asked["Up"] == kilobytes(bench.answer.upload_kb), "as the server’s side says"
    assert f"**{asked['Up']}** up, **{asked['Down']}** down" in said and f"sent are {asked['Keys, once']}:" in said
    assert "it learned apart." in said, "of this bundle nobody says from what"
    assert "It is the answer of **vit**" in said and f"On the other pages **{other.classifier}** answers" in said


@pytest.mark.slow
def test_neither_of_two_visitors_can_read_what_the_other_was_answered(
    page: AppTest, visit: Callable[[], AppTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    monkeypatch.setattr(Client, "close", lambda client: kept.append(client))  # as if they had not been dropped
    other = with_picture(visit(), tmp_path, seed=1)
    for visitor in (page, other):
        press(visitor, "encrypt")
    mine, his = (session(visitor).state_of(EncryptState) for visitor in (page, other))
    assert mine.steps[2].sent != his.steps[2].sent  # the encrypted tokens
    received = [state.steps[2].received for state in (mine, his)]
    for client, own, foreign in zip(kept, received, reversed(received)):
        assert np.isfinite(client.decrypt(own)).all()
        with pytest.raises(ValueError, match="not made for this key"):
            client.decrypt(foreign)


@pytest.mark.slow
def test_a_preset_without_the_depth_is_refused_before_anything_is_encrypted(page: AppTest) -> None:
    page.segmented_control(key="encrypt-head").set_value("polynomial").run()
    page.selectbox(key="encrypt-preset-polynomial").select("linear").run()
    press(page, "encrypt", errors=1)
    assert (
        "carries a multiplicative depth of 1" in page.error[0].value and not session(page).state_of(EncryptState).steps
    )


@pytest.mark.slow
@pytest.mark.parametrize(("address", "words"), [("nowhere", "no address"), ("http://127.0.0.1:9", "doesn't answer")])
def test_a_listed_server_that_is_none_gives_a_sentence(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, address: str, words: str
) -> None:
    monkeypatch.setenv("PURESCAN_ENCRYPTION_SERVERS", f" {address} ,http://127.0.0.1:10")
    page.run()
    page.selectbox(key="encrypt-server").select(address).run()
    press(page, "encrypt", errors=1)
    assert words in page.error[0].value.replace("\\", "") and session(page).state_of(EncryptState).answer is None


@pytest.mark.slow
def test_the_chosen_server_stays_while_other_sections_are_looked_at(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "http://127.0.0.1:9"
    monkeypatch.setenv("PURESCAN_ENCRYPTION_SERVERS", f"http://127.0.0.1:10,{address}")
    page.run()
    page.selectbox(key="encrypt-server").select(address).run()
    section(page, "Why bother")
    section(page, "Ask")
    assert page.selectbox(key="encrypt-server").value == session(page).server == address


@pytest.mark.slow
def test_no_visitor_names_a_server_that_is_not_listed(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [box for box in (*page.text_input, *page.selectbox) if box.key == "encrypt-server"]
    session(page).server = "http://127.0.0.1:9"  # from when it was listed, or however it came there
    press(page, "encrypt")
    assert session(page).state_of(EncryptState).answer


@pytest.mark.slow
def test_another_scan_is_asked_about_anew(page: AppTest, tmp_path) -> None:
    press(page, "encrypt")
    first = session(page).state_of(EncryptState)
    page.sidebar.file_uploader[0].upload("other.png", write_picture(tmp_path / "other.png", cell(1)).read_bytes())
    page.run()
    assert session(page).state_of(EncryptState) is not first and session(page).state_of(EncryptState).answer is None


@pytest.mark.slow
def test_many_scans_are_asked_about_with_one_set_of_keys(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = np.random.default_rng(0).normal(size=(3, 768)) * 0.9
    samples = LabelledTokens(drawn, np.array([0, 1, 2]))
    monkeypatch.setattr(encrypted, "sample_tokens", lambda models, classifier: samples)
    section(page, "Cohort")
    press(page, "encrypt-cohort")
    bench = session(page).state_of(EncryptState)
    assert bench.totals.n == 3 and bench.totals.max_error == max(one.max_error for one in bench.cohort)
    assert [one.seconds["keygen"] for one in bench.cohort] == [0, 0, 0]
    assert f"Same label {bench.totals.same} of 3" in texts(page)


def test_a_bundle_without_samples_says_so(page: AppTest) -> None:
    section(page, "Cohort")
    assert page.button(key="encrypt-cohort").label == "Ask about every sample scan whose class is known"
    press(page, "encrypt-cohort", errors=1)
    assert "brings no sample scans" in page.error[0].value.replace("\\", "")


@pytest.mark.slow
def test_a_gradient_gives_the_scan_away_and_a_ciphertext_does_not(page: AppTest) -> None:
    section(page, "Why bother")
    press(page, "leak")
    page.segmented_control(key="leak-what").set_value("encrypted token").run()
    press(page, "leak")
    leaks = session(page).state_of(EncryptState).leaks
    assert leaks["gradient"].quality.psnr >= 30 > 20 > leaks["encrypted token"].quality.psnr
    assert leaks["encrypted token"].sent > 10_000
    assert "Gradient, in the paper" in str(page.table[0].value)


@pytest.mark.slow
def test_what_is_recorded_is_shown_and_needs_no_scan(
    cells: Bundle, app: AppTest, record: Callable[[str], None]
) -> None:
    record(json.dumps({"vit": entry(cells)}))
    section(take_bundle(app, NAME, "encrypt"), "Cohort")
    assert [len(table.value) for table in app.table] == [1, len(CONFIGURATIONS), 3]
    assert "8 of 8" in str(app.table[0].value) and "cells.zip" in texts(app)
    assert "The whole network" in texts(app)
    record(json.dumps({"vit": {key: value for key, value in entry(cells).items() if not key.startswith("network")}}))
    assert len(app.run().table) == 2 and "The whole network" not in texts(app)


@pytest.mark.slow
def test_a_record_of_other_weights_is_not_shown(page: AppTest, cells: Bundle, record: Callable[[str], None]) -> None:
    record(json.dumps({"vit": entry(cells, made_with="other")}))
    section(page, "Cohort")
    assert "Nothing is recorded for these weights" in texts(page)


@pytest.mark.slow
def test_a_damaged_record_gives_its_sentence(page: AppTest, cells: Bundle, record: Callable[[str], None]) -> None:
    record('{"vit": {"made_with"')
    assert not page.run().error  # asking needs no record
    page.segmented_control(key="encrypt-section").set_value("Cohort").run()
    assert not page.exception and "run training.measure.encrypted again" in page.error[0].value.replace("\\", "")


@pytest.mark.slow
def test_what_crosses_is_compared(page: AppTest, cells: Bundle, record: Callable[[str], None]) -> None:
    record(json.dumps({"vit": entry(cells)}))
    section(page, "Why bother")
    assert "1,313 times smaller" in texts(page)


@pytest.mark.slow
def test_a_bundle_without_a_transformer_says_so(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "token_classifiers", lambda models: ())
    page.run()
    assert not page.exception and "holds no vision transformer" in texts(page)
    assert page.button(key="switch-bundle")
