"""The address: what it says of every page, and what a right, a wrong and a stale one open."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core.attacks import AttackSettings
from core.encryption import PRESETS
from core.purification.settings import PurifySettings
from pages.attack.state import AttackRun
from pages.faults.state import FaultsState
from pages.purify.state import PurifyState
from pages.shared.settings.scan import choose_window, own_limits
from pages.shared.visit.address import address_words
from pages.shared.visit.windows import asked_window, window_word
from tests.pages.visit.helpers import come, go_back
from tests.reading import session, texts

PAGES = ("examine", "attack", "purify", "detect", "across", "audit", "experts", "faults", "encrypt", "federate")
SAMPLE = "tumour-01"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_what_its_address_asks_for_and_says_the_same(app: AppTest, page: str) -> None:
    words = {"bundle": "brain-mri", "sample": SAMPLE, "seed": "3", "attack": "pgd", "eps": "4.5", "attack-seed": "7"}
    come(app, page, **words, view="class")
    now = session(app)
    assert (now.sample, now.seed, now.attack_seed) == (SAMPLE, 3, 7) and now.visit.class_view
    assert now.scan and now.attack == AttackSettings("pgd", eps=4.5)
    assert not app.warning and words.items() <= address_words(now).items()
    assert address_words(now)["view"] == "class"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_wrong_address_gives_the_page_s_start_and_one_sentence(app: AppTest, page: str) -> None:
    come(app, page, sample="tumour-99", eps="1e9", attack="pgd", seed="-1", view="film")
    now = session(app)
    assert now.scan is None and (now.attack is None or now.attack == AttackSettings("pgd", eps=8.0))
    assert now.seed == 0 and not now.visit.class_view
    assert len(app.warning) == 1 and not app.error
    said = app.warning[0].value.replace("\\", "").replace("\u2060", "")
    assert all(word in said for word in ("sample “tumour-99”", "eps “1e9”", "seed “-1”", "view “film”"))


@pytest.mark.slow
def test_a_wrong_address_loses_nothing(app: AppTest, choose: Callable[[AppTest, str], AppTest]) -> None:
    choose(app, SAMPLE)
    scan = session(app).scan
    come(app, "examine", sample="no-such-sample", bundle="no-such-bundle")
    assert session(app).scan is scan and session(app).bundle == "brain-mri" and len(app.warning) == 1
    app.selectbox(key="sample").select("no-tumour-01").run()
    assert not app.warning and session(app).sample == "no-tumour-01"


def test_the_address_of_an_upload_that_is_gone_says_so(app: AppTest) -> None:
    come(app, "examine", scan="own")
    assert app.title[0].value == "Examine a scan"
    assert "isn’t on the server any more" in app.warning[0].value.replace("\u2060", "")


@pytest.mark.slow
def test_home_with_a_sample_shows_it(app: AppTest) -> None:
    come(app, "home", sample=SAMPLE)
    assert session(app).visit.page == "examine" and "tumour-01.dcm" in texts(app)


def test_home_s_own_address_leads_nowhere_else(app: AppTest, choose: Callable[[AppTest, str], AppTest]) -> None:
    choose(app, SAMPLE)
    app.switch_page("pages/home/page.py").run()
    assert address_words(session(app)) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "section", "shown"),
    [("faults", "side-by-side", "Side by side"), ("encrypt", "why-bother", "Why bother")],
)
def test_a_section_stands_in_the_address(app: AppTest, page: str, section: str, shown: str) -> None:
    come(app, page, sample=SAMPLE, section=section)
    assert app.segmented_control(key=f"{page}-section").value == shown and not app.warning
    assert address_words(session(app))["section"] == section
    come(app, page, sample=SAMPLE, section="nowhere")
    assert app.segmented_control(key=f"{page}-section").value != shown
    assert "section “nowhere”" in texts(app) and len(app.warning) == 1


@pytest.mark.slow
def test_a_section_of_a_part_leads_to_both(app: AppTest) -> None:
    come(app, "detect", sample=SAMPLE, section="roc")
    assert app.segmented_control(key="detect-part").value == "Recorded studies" and not app.warning
    assert (
        app.segmented_control(key="detect-section").value == "ROC" and address_words(session(app))["section"] == "roc"
    )
    come(app, "detect", sample=SAMPLE, section="nowhere")
    assert app.segmented_control(key="detect-part").value == "This scan"
    assert "section “nowhere”" in texts(app) and len(app.warning) == 1


@pytest.mark.slow
def test_a_step_of_an_attack_is_attacked_for(app: AppTest) -> None:
    come(app, "attack", sample=SAMPLE, attack="pgd", steps="5", step="3")
    attack_run = session(app).state_of(AttackRun)
    assert attack_run.settings == AttackSettings("pgd", steps=5) and attack_run.snapshot.step == 3
    assert app.number_input(key="attack-steps-pgd-40").value == 5
    assert address_words(session(app))["step"] == "3"


@pytest.mark.slow
def test_a_step_that_an_attack_hasn_t_is_named(app: AppTest) -> None:
    come(app, "attack", sample=SAMPLE, attack="fgsm", step="9")
    assert session(app).state_of(AttackRun).snapshot.step == 1
    assert "step “9” (possible: 0 to 1)" in texts(app)


@pytest.mark.slow
def test_class_and_restarts_of_an_attack_are_asked_for(app: AppTest) -> None:
    """The sample's answer is class 1, a tumour."""
    come(app, "attack", sample=SAMPLE, attack="pgd", restarts="32", **{"class": "0"})
    words = {"attack": "pgd", "restarts": "32", "class": "0"}
    assert session(app).attack == AttackSettings("pgd", restarts=32, target=0) and not app.warning
    assert app.number_input(key="attack-restarts").value == 32
    assert words.items() <= address_words(session(app)).items()
    come(app, "attack", sample=SAMPLE, attack="pgd", restarts="2", **{"class": "1"})
    assert session(app).attack == AttackSettings("pgd", restarts=2) and "class “1”" in texts(app)
    assert "class" not in address_words(session(app))


@pytest.mark.slow
def test_an_attacked_copy_is_made_and_purified_to_its_step(app: AppTest) -> None:
    come(app, "purify", sample=SAMPLE, attack="fgsm", eps="6", attacked="yes", purify="one-step~t50", step="0")
    now = session(app)
    assert now.origin is not None and now.attacked_by == AttackSettings("fgsm", eps=6)
    state = now.state_of(PurifyState)
    assert state.settings == (PurifySettings("one-step", t=50),) and state.place == 0
    words = address_words(now)
    assert (words["attacked"], words["purify"], words["step"]) == ("yes", "one-step~t50", "0")
    assert app.number_input(key="purify-t-0-one-step").value == 50


@pytest.mark.slow
def test_an_attack_that_takes_long_is_left_to_its_page(app: AppTest) -> None:
    come(app, "examine", sample=SAMPLE, attack="square", attacked="yes")
    assert session(app).origin is None and "takes long" in app.warning[0].value


@pytest.mark.slow
def test_back_chooses_what_was_chosen_there(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    come(app, "examine", sample=SAMPLE, seed="5")
    app.selectbox(key="sample").select("no-tumour-01").run()
    app.number_input(key="seed").set_value(6).run()
    go_back(app, monkeypatch, "examine", sample=SAMPLE, seed="5")
    assert (session(app).sample, session(app).seed) == (SAMPLE, 5)
    assert app.number_input(key="seed").value == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"eps": "999"}, "eps “999” (possible: 0.5 to 16)"),
        ({"attack": "pgd", "norm": "l2", "eps": "999"}, "eps “999” (possible: 0.1 to 8)"),
        ({"attack": "pgd", "steps": "0"}, "steps “0” (possible: 1 to 10000)"),
        ({"seed": "-1"}, "seed “-1” (possible: 0 to 2147483647)"),
        ({"purify": "one-step~t1000"}, "purify “one-step~t1000” (possible: t from 1 to 999)"),
    ],
)
def test_a_number_out_of_range_is_named_with_its_range(app: AppTest, words: dict[str, str], told: str) -> None:
    come(app, "attack", **words)
    assert len(app.warning) == 1 and told in texts(app)


@pytest.mark.slow
def test_a_window_stands_in_the_address(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    come(app, "examine", sample="mni152")
    scan = session(app).scan
    low, high = own_limits(scan)[0]
    choose_window(session(app), scan, low, low + 0.123456789 * (high - low))
    word = address_words(session(app.run()))["window"]
    shown = session(app).window
    come(app, "examine", sample="mni152", window="nonsense")
    assert session(app).window == shown and "window “nonsense”" in texts(app)
    go_back(app, monkeypatch, "examine", sample="mni152")
    assert session(app).window is None and "window" not in address_words(session(app))
    come(app, "examine", sample="mni152", window=word)
    assert session(app).window == shown and not app.warning
    for preset in scan.presets[1:]:
        assert asked_window(window_word(preset), scan) == preset


@pytest.mark.slow
def test_the_damage_stands_in_the_address(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = "network.conv1.weight~12~30", "network.fc.bias~1~28"
    words = {"sample": SAMPLE, "network": "resnet18", "guard": "repair", "flips": f"{first},{last}"}
    come(app, "faults", **words)
    state = session(app).state_of(FaultsState)
    assert [(fault.tensor, fault.index, fault.bit) for fault in state.flips] == [
        ("network.conv1.weight", 12, 30), ("network.fc.bias", 1, 28)
    ]  # fmt: skip
    assert state.guard == "repair" and state.tensor == "network.fc.bias" and not app.warning
    said = address_words(session(app))
    assert said["flips"] == words["flips"] and said["guard"] == "repair" and "form" not in said
    app.button(key="faults-undo").click().run()
    assert address_words(session(app))["flips"] == first
    go_back(app, monkeypatch, "faults", sample=SAMPLE, flips=last, form="bfloat16", network="vit")
    state = session(app).state_of(FaultsState)
    assert (state.network, state.form, state.guard, len(state.flips)) == ("vit", "bfloat16", "off", 0)
    assert "flips “network.fc.bias~1~28”" in texts(app)


@pytest.mark.slow
def test_an_activation_that_is_hit_stands_in_the_address(app: AppTest) -> None:
    come(app, "faults", sample=SAMPLE)
    app.segmented_control(key="faults-kind-True").set_value("Activations").run()
    app.button(key="faults-flip").click().run()
    flips, word = list(session(app).state_of(FaultsState).flips), address_words(session(app))["flips"]
    app.button(key="faults-undo").click().run()
    come(app, "faults", sample=SAMPLE, flips=word)
    assert session(app).state_of(FaultsState).flips == flips and flips[0].kind == "activation"


@pytest.mark.slow
@pytest.mark.parametrize(
    "flips",
    ["conv1", "network.conv1.weight~1", "nowhere~0~0", "network.fc.bias~2~0", "network.fc.bias~0~32",
     "@stem~99999999~1", "network.fc.bias~-1~3", ",".join(f"network.conv1.weight~{index}~0" for index in range(65))],
)  # fmt: skip
def test_bits_that_this_network_hasn_t_are_named(app: AppTest, flips: str) -> None:
    come(app, "faults", sample=SAMPLE, flips=flips)
    assert not session(app).state_of(FaultsState).flips and len(app.warning) == 1 and not app.error
    assert f"flips “{flips[:40]}”" in texts(app)


@pytest.mark.slow
def test_head_and_parameters_stand_in_the_address(app: AppTest) -> None:
    presets = [name for name, preset in PRESETS.items() if preset.depth]
    come(app, "encrypt", sample=SAMPLE, head="polynomial", preset=presets[0])
    own = app.selectbox(key="encrypt-preset-polynomial").value
    assert own == presets[0] and session(app).head == "polynomial" and not app.warning
    assert app.segmented_control(key="encrypt-head").value == "polynomial"
    assert address_words(session(app))["head"] == "polynomial"
    assert address_words(session(app)).get("preset", own) == own
    come(app, "encrypt", sample=SAMPLE, head="convex", preset="none")
    assert session(app).head == "polynomial" and all(word in texts(app) for word in ("head “convex”", "preset “none”"))


@pytest.mark.slow
def test_the_mixture_stands_in_the_address(app: AppTest) -> None:
    come(app, "experts", sample=SAMPLE, mixture="dwf")
    assert address_words(session(app))["mixture"] == session(app).mixture == "dwf" and not app.warning
    come(app, "experts", sample=SAMPLE, mixture="crowd")
    assert session(app).mixture == "dwf" and "mixture “crowd”" in texts(app)


@pytest.mark.slow
def test_a_slice_stands_in_the_address(app: AppTest) -> None:
    come(app, "attack", sample="mni152", slice="30")
    assert session(app).frame == 29 and address_words(session(app))["slice"] == "30" and not app.warning
    assert app.slider(key=f"slice-{session(app).scan.key}").value == 30
    come(app, "attack", sample="mni152", slice="9999")
    assert session(app).frame == 29 and "slice “9999” (possible: 1 to" in texts(app)


def test_a_list_that_the_browser_empties_chooses_nothing(
    app: AppTest, choose: Callable[[AppTest, str], AppTest]
) -> None:
    """As it does where it draws a page anew: it then says what the list begins with."""
    choose(app, SAMPLE)
    before = (session(app).sample, session(app).bundle, session(app).tour)
    for key in ("sample", "bundle", "thresholds"):
        app.selectbox(key=key).set_value(None).run()
        assert not app.exception
        assert (session(app).sample, session(app).bundle, session(app).tour) == before, key
        assert app.selectbox(key=key).value is not None
