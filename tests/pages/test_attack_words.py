"""How the Attack page puts sizes, steps and knowledge into words."""

from core.attacks import ATTACKS, CORRUPTIONS, AttackSettings
from pages.attack.controls import ALONE, WHOLE
from pages.attack.words import NOT_ASKED, in_short, knowledge
from pages.shared.words import counted, decibels, length


def test_words() -> None:
    assert length(8 / 255, "linf") == "8/255" and length(2.5, "l2") == "2.5"
    assert decibels(float("inf")) == "no change" and decibels(33.96) == "34.0 dB"
    assert counted(1) == "1 step" and counted(5200) == "5,200 steps"
    assert knowledge(AttackSettings("pgd")) == NOT_ASKED
    assert knowledge(AttackSettings("rays")) != knowledge(AttackSettings("square"))
    assert "everything" in knowledge(AttackSettings("bpda"))
    assert in_short(AttackSettings("gamma", severity=2)) == "Gamma, severity 2"
    assert in_short(AttackSettings("pgd", white_box=True)).endswith("on the whole defence")
    assert {ALONE, WHOLE} == {"Classifier", "Whole defence"}
    assert set(ATTACKS).isdisjoint(CORRUPTIONS)
