"""An address in a tab that was used before shows what it holds; the tab's own, loaded again, what was chosen."""

from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.attacks import AttackSettings
from core.faults import Fault
from pages.faults.state import FaultsState
from pages.shared.session import VISITS, Session
from pages.shared.visit import greeting
from pages.shared.visit.address import address_words
from tests.pages.visit.helpers import come, go_back
from tests.reading import opened, session, texts

SAMPLE, MANY = "tumour-01", 65


def paste(app: AppTest, page: str, **words: str) -> AppTest:
    """Come to a page by an address with these words and no others."""
    app.query_params.clear()
    return come(app, page, **words)


@pytest.mark.slow
def test_what_an_address_leaves_out_is_as_usual(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    come(app, "encrypt", sample=SAMPLE, head="polynomial", classifier="hardened")
    assert (session(app).head, session(app).classifier) == ("polynomial", "hardened")
    paste(app, "encrypt", head="linear")
    assert session(app).classifier == "hardened", "an address without bundle and scan holds nothing else"
    session(app).head = "polynomial"
    paste(app, "encrypt", bundle="brain-mri", sample=SAMPLE)
    assert (session(app).head, session(app).classifier) == ("linear", None)
    assert app.segmented_control(key="encrypt-head").value == "linear"
    paste(app, "faults", sample=SAMPLE, guard="detect", network="vit")
    assert session(app).state_of(FaultsState).network == "vit"
    paste(app, "faults", sample=SAMPLE, guard="detect", flips="network.fc.bias~1~28")
    assert session(app).state_of(FaultsState).flips
    paste(app, "faults", bundle="brain-mri", sample=SAMPLE)
    state = session(app).state_of(FaultsState)
    assert (state.network, state.guard, state.flips) == ("resnet18", "off", [])
    come(app, "examine", sample=SAMPLE, classifier="medfedpure")
    assert app.selectbox(key="classifier-brain-mri").value == "medfedpure"
    go_back(app, monkeypatch, "examine", bundle="brain-mri", sample=SAMPLE)
    assert app.selectbox(key="classifier-brain-mri").value == "resnet18" and session(app).classifier is None


@pytest.mark.slow
def test_the_list_of_classifiers_shows_what_was_chosen_elsewhere(app: AppTest) -> None:
    come(app, "detect", sample=SAMPLE, classifier="medfedpure")
    session(app).classifier = None  # as the Experts page and the policy choose it
    assert opened(app, "examine").selectbox(key="classifier-brain-mri").value == "resnet18"
    app.selectbox(key="classifier-brain-mri").select("medfedpure").run()
    assert session(app).examination.undefended.classifier == session(app).classifier == "medfedpure"


@pytest.mark.slow
def test_back_to_where_no_scan_was_open_leaves_the_classifier(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    session(app).classifier = "hardened"
    opened(app, "detect")
    assert address_words(session(app)) == {"bundle": "brain-mri"}
    go_back(app, monkeypatch, "detect", bundle="brain-mri")
    assert session(app).classifier == "hardened"


@pytest.mark.slow
def test_a_slice_that_an_address_leaves_out_is_the_middle_one(app: AppTest) -> None:
    come(app, "attack", sample="mni152", slice="30")
    paste(app, "attack", sample="mni152")
    assert session(app).frame == session(app).scan.default_frame


@pytest.mark.slow
def test_a_page_that_is_loaded_again_keeps_what_its_address_has_no_room_for(app: AppTest) -> None:
    come(app, "faults", sample=SAMPLE)
    session(app).state_of(FaultsState).flips = [Fault("network.conv1.weight", place, 0) for place in range(MANY)]
    app.run()
    words, visit = address_words(session(app)), session(app).visit
    assert "flips" not in words
    visit.left = (visit.page, visit.written)
    paste(app, "faults", **words)
    assert len(session(app).state_of(FaultsState).flips) == MANY
    visit.left = ("examine", visit.written)
    paste(app, "faults", **words)
    assert not session(app).state_of(FaultsState).flips, "it is another page's address that was loaded again"


def test_a_visit_knows_where_the_one_was_that_it_goes_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    before, held = Session(), SimpleNamespace(is_active_session=lambda connection: False)
    before.visit.page, before.visit.written = "faults", "sample=tumour-01&window=40~80"
    monkeypatch.setitem(VISITS, before.visit.secret, before)
    monkeypatch.setattr(greeting, "take_session", lambda session: None)
    monkeypatch.setattr(greeting.runtime, "get_instance", lambda: held)
    visit = greeting._as_before(Session(), before.visit.secret).visit
    words = {"sample": "tumour-01", "window": "40~80"}
    assert not visit.is_left_at(words), "no page is open yet"
    visit.page = "faults"
    assert visit.is_left_at(words) and not visit.is_left_at({"sample": "tumour-01"})


@pytest.mark.slow
def test_no_attack_is_made_in_the_place_of_one_that_is_not_taken(app: AppTest) -> None:
    come(app, "examine", sample=SAMPLE, attack="nosuch", attacked="yes")
    assert session(app).origin is None and "attack “nosuch”" in texts(app)
    paste(app, "examine", sample=SAMPLE, attack="fgsm", eps="999", attacked="yes")
    assert session(app).origin is None and "eps “999”" in texts(app)


@pytest.mark.slow
def test_another_attack_than_the_open_copys_is_made(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    come(app, "examine", sample=SAMPLE, attack="fgsm", eps="6", attacked="yes")
    first = session(app).scan
    paste(app, "examine", sample=SAMPLE, attack="fgsm", eps="6", attacked="yes")
    assert session(app).scan is first, "the copy that is asked for is open"
    paste(app, "examine", sample=SAMPLE, attack="fgsm", eps="2", attacked="yes")
    assert session(app).attacked_by == AttackSettings("fgsm", eps=2) and session(app).scan is not first
    go_back(app, monkeypatch, "examine", bundle="brain-mri", sample=SAMPLE, attack="fgsm", eps="6", attacked="yes")
    assert session(app).attacked_by == AttackSettings("fgsm", eps=6)
    assert np.array_equal(session(app).scan.frame(), first.frame())
