"""The decision card, and the scores on Detect: a score that has no threshold, and a scan that nobody answers for."""

from types import SimpleNamespace

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import Bundle, Detection, Examination
from pages.examine.decision import least_width
from tests.reading import texts

SCORES = {"mae_error": 0.004, "amv": 1.2, "instability": 0.01}
NOTHING = np.zeros((1, 1), np.float32)


def undecided() -> Detection:
    """Nothing is above its threshold, and the reconstruction error has none."""
    return Detection(
        scores=SCORES,
        thresholds={"amv": 2.0, "instability": 0.1},
        percentiles=dict.fromkeys(SCORES, 50.0),
        flagged_by=(),
        kept_borderline=False,
        reconstruction=NOTHING,
        error_map=NOTHING,
        attention_map=NOTHING,
        added_map=NOTHING,
    )


def drawn(script, *given: object) -> AppTest:
    """What a script draws of what it is given."""
    app = AppTest.from_function(script, args=given).run()
    assert not app.exception
    return app


def test_examine_calls_no_score_below_a_threshold_that_it_hasn_t() -> None:
    def draw(*given) -> None:
        from pages.examine.decision import _draw_why

        _draw_why(*given)

    said = texts(drawn(draw, undecided(), None, False))
    assert "Why not flagged:** every score that has a threshold is below it." in said
    error = next(line for line in said.splitlines() if "Reconstruction error" in line)
    assert "decides nothing" in error and "below" not in error
    assert "**Attention variation**: :material/check: below" in said


def test_the_card_of_a_refused_scan_names_the_classifier_that_was_chosen(bundle: Bundle) -> None:
    def draw(exam, models) -> None:
        from pages.examine.decision import draw_decision
        from pages.shared.session import Session

        draw_decision(Session(classifier="medfedpure"), exam, models, None)

    refused = Examination("ct.dcm", bundle.name, 0, NOTHING, NOTHING[None], 0, refused="This is a CT.")
    said = texts(drawn(draw, refused, bundle))
    assert "No answer" in said and "Classifier medfedpure · seed 0" in said


def test_the_answers_are_as_wide_as_their_longest_word(monkeypatch: pytest.MonkeyPatch) -> None:
    assert least_width([]) == least_width(["ill"]) == least_width(["no tumour", "well"]) == 120
    long = SimpleNamespace(label="adenocarcinoma of the lung", confidence=0.9, classifier="resnet18")
    exam = SimpleNamespace(undefended=long, prediction=None, purification=None)
    asked, grid = [], st.grid
    monkeypatch.setattr(
        st, "grid", lambda count, **words: asked.append(words["min_column_width"]) or grid(count, **words)
    )

    def draw(*given) -> None:
        from pages.examine.decision import _draw_answers

        _draw_answers(*given)

    said = texts(drawn(draw, exam, SimpleNamespace(**vars(long) | {"label": "well"})))
    assert "Adenocarcinoma of the lung" in said and asked == [14 * 11 + 36]


def test_detect_gives_no_green_badge_to_a_score_without_a_threshold() -> None:
    def draw(*given) -> None:
        from pages.detect.evidence import _draw_scores

        _draw_scores(*given)

    known = SimpleNamespace(blind=frozenset(), count=80)
    app = drawn(draw, undecided(), known)
    badges = [mark.value for mark in app.markdown if "-badge[" in mark.value]
    assert ["Below its threshold" in badge for badge in badges] == [True, True, False]
    assert "gray-badge" in badges[-1] and "Decides nothing" in badges[-1]
