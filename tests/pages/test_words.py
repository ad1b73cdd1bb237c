"""Numbers and names as sentences."""

import re

import pytest

from core.attacks import ATTACKS, CORRUPTIONS, AttackSettings
from pages.attack.controls import ALONE, WHOLE
from pages.attack.words import NOT_ASKED, in_short, knowledge
from pages.shared.words import (
    counted,
    decibels,
    heading,
    hover,
    length,
    percent,
    plain,
    score_words,
    standing,
    timings,
)


def test_percent_never_claims_certainty() -> None:
    assert percent(0.99999) == "over 99.9 %"
    assert percent(0.00001) == "under 0.1 %"
    assert percent(0.973) == "97.3 %"


def test_standing() -> None:
    assert standing(99.6, 300) == "higher than 99.6 % of clean scans"
    assert standing(100, 300) == "higher than all 300 clean scans"
    assert standing(0, 300) == "lower than all 300 clean scans"


def test_plain_escapes_markdown() -> None:
    assert plain("![a](b)") == r"\!\[a\]\(b\)"
    assert plain("a:red[b]$x$<i>") == "a\\:\u2060red\\[b\\]\\$x\\$\\<i\\>"


def test_unknown_score_is_shown_by_its_name() -> None:
    assert score_words("new_score").name == "New score"


def test_heading_and_timings() -> None:
    assert heading("no tumour") == "No tumour"
    assert timings({"detect": 0.5, "total": 0.51}) == "0.51 s (detect 0.50 s)"


# As Streamlit's page looks for them in what is left when the escapes were read.
READ = (
    r"(?i)(https?://|www(?=\.))[-.\w]+",
    r"[-.\w+]+@[-\w]+(\.[-\w]+)+",
    r":\+1:|:-1:|:[\w-]+:|:material[/_]\w+:",
    r"(^|\s)(<->|->|<-|--|>=|<=|~=)(\s|$)",
)
HOSTILE = (
    "http://example.org/x", "HTTPS://example.org", "see (www.example.org)", "WwW.example.org", "a.b@example.org",
    "mailto:a@example.org", "http://a@example.org", ":smile:", ":material/link:", ":streamlit:", "a -> b",
    "a <- b", "a -- b", "a <-> b", "1 >= 0", "1 <= 2", "a ~= b", "x:http://example.org:smile:",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_from_a_file_becomes_a_link_or_a_sign(text: str) -> None:
    read = re.sub(r"\\(.)", r"\1", plain(text))
    assert any(re.search(pattern, text) for pattern in READ) and read.replace("\u2060", "") == text
    assert not [pattern for pattern in READ if re.search(pattern, read)]


def test_plain_leaves_sentences_alone() -> None:
    assert plain("Scan a, 12 mm: fine") == r"Scan a, 12 mm\: fine"


def test_a_chart_reads_no_tags() -> None:
    assert hover('<a href="//example.org">x</a>') == "&lt;a href=&quot;//example.org&quot;&gt;x&lt;/a&gt;"


def test_sizes_steps_and_knowledge_of_an_attack() -> None:
    assert length(8 / 255, "linf") == "8/255" and length(2.5, "l2") == "2.5"
    assert decibels(float("inf")) == "no change" and decibels(33.96) == "34.0 dB"
    assert counted(1) == "1 step" and counted(5200) == "5,200 steps"
    assert knowledge(AttackSettings("pgd")) == NOT_ASKED
    assert knowledge(AttackSettings("rays")) != knowledge(AttackSettings("square"))
    assert "everything" in knowledge(AttackSettings("bpda"))
    for purifies in (True, False):
        assert "neither the thresholds" in knowledge(AttackSettings("feature-hiding"), purifies)
    assert in_short(AttackSettings("gamma", severity=2)) == "Gamma, severity 2"
    assert in_short(AttackSettings("pgd", white_box=True)).endswith("on the whole defence")
    assert {ALONE, WHOLE} == {"Classifier", "Whole defence"}
    assert set(ATTACKS).isdisjoint(CORRUPTIONS)
