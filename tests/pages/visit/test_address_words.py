"""The words of an address: what an attack and purifiers are written as, and what can't be read."""

import pytest

from core import load_bundle
from core.attacks import AttackSettings
from core.purification.settings import PurifySettings
from pages.shared.visit.attacks import WrongWord, asked_attack, attack_words
from pages.shared.visit.purifiers import asked_purifiers, purifier_words


@pytest.mark.parametrize(
    "settings",
    [
        AttackSettings("pgd", eps=8.0),
        AttackSettings("pgd", eps=8.0, steps=1),
        AttackSettings("pgd", eps=1.5, norm="l2", steps=7, restarts=2, eot=3, target=1, white_box=True),
        AttackSettings("motion", severity=4),
        AttackSettings("ead", eps=30.0, norm="l1"),
    ],
)
def test_an_attack_comes_back_from_its_words(settings: AttackSettings) -> None:
    words = attack_words(settings, 12)
    assert asked_attack(words, 2) == (settings, 12)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("attack", "rm -rf"), ("eps", "nan"), ("eps", "inf"), ("eps", "-1"), ("eps", "17"), ("eps", "ε"),
        ("norm", "l7"), ("steps", "0"), ("steps", "9" * 50), ("steps", "٣"), ("restarts", "1.5"), ("class", "2"),
        ("severity", "6"), ("attack-seed", "-1"), ("attack-seed", str(2**31)),
    ],
)  # fmt: skip
def test_an_impossible_word_is_named(name: str, word: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}$"):
        asked_attack({"attack": "pgd", name: word}, 2)


def test_a_norm_that_nobody_knows_is_named_where_the_attack_takes_none() -> None:
    with pytest.raises(ValueError, match="^norm$"):
        asked_attack({"attack": "motion", "norm": "l7"}, 2)


def test_purifiers_come_back_from_their_words() -> None:
    chosen = (PurifySettings("one-step", t=60), PurifySettings("mae-pure", steps=8, clip=4), PurifySettings("median"))
    words = purifier_words(chosen, 5)
    assert words == {"purify": "one-step,mae-pure~steps8~clip4,median", "noise-seed": "5"}
    assert asked_purifiers(words, load_bundle()) == (chosen, 5)


@pytest.mark.parametrize("clip", [4.5, 1.0, 63.9, 4.1234567])
def test_a_clip_may_be_a_fraction_as_on_the_page(clip: float) -> None:
    chosen = (PurifySettings("mae-pure", clip=clip),)
    assert asked_purifiers(purifier_words(chosen, 0), load_bundle()) == (chosen, 0)


@pytest.mark.parametrize("word", ["nothing", "one-step~t0", "one-step~t1000", "median~t5", "one-step~x", "", "a,b,c,d"])
def test_impossible_purifiers_are_named(word: str) -> None:
    with pytest.raises(ValueError, match="^purify$"):
        asked_purifiers({"purify": word}, load_bundle())


@pytest.mark.parametrize(
    ("word", "holds"),
    [
        ("diffpure-ddim~steps200", "steps from 1 to 100"),
        ("diffpure~t150~steps151", "steps from 1 to 150"),
        ("mae-pure~clip64.5", "clip from 1 to 64"),
        ("mae-pure~clip0.5", "clip from 1 to 64"),
        ("mae-pure~clipnan", "clip from 1 to 64"),
    ],
)
def test_a_strength_out_of_range_is_named_with_its_range(word: str, holds: str) -> None:
    with pytest.raises(WrongWord, match="^purify$") as refusal:
        asked_purifiers({"purify": word}, load_bundle())
    assert refusal.value.holds == holds
