"""Numbers and names as sentences."""

from pages.shared.words import heading, percent, plain, score_words, standing, timings


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
    assert plain("a:red[b]$x$<i>") == r"a\:red\[b\]\$x\$\<i\>"


def test_unknown_score_is_shown_by_its_name() -> None:
    assert score_words("new_score").name == "New score"


def test_heading_and_timings() -> None:
    assert heading("no tumour") == "No tumour"
    assert timings({"detect": 0.5, "total": 0.51}) == "0.51 s (detect 0.50 s)"
