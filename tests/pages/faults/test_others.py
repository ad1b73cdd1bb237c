"""What a flip does to the samples is shown on the Faults page, and what an accuracy leaves out is said."""

import pytest
from streamlit.testing.v1 import AppTest

from core.faults import Fault
from core.faults.sample_answers import SampleAnswers
from pages.faults.others import answer_words, told
from pages.faults.recorded.guarded import worth
from pages.faults.words import misses
from tests.pages.faults.helpers import WEIGHT, _nan_bits, bench, flip_the_answer, guard, press
from tests.reading import texts


@pytest.mark.slow
def test_a_flip_is_shown_on_a_dozen_samples(page: AppTest) -> None:
    assert "sample scans" not in texts(page)
    flip_the_answer(page)
    found = bench(page).others.found
    assert len(found.before) == 12 and found.turned and not found.missing
    assert told(found) in texts(page)
    shown = [picture.alt for image in page.image for picture in image.proto.imgs]
    assert sum(alt.startswith("A sample scan.") for alt in shown) == 12
    guard(page, "detect")
    assert "holds **all 12** answers back" in texts(page)
    guard(page, "repair")
    assert bench(page).others.found.kept == 12 and "All 12 sample scans are answered as before" in texts(page)
    press(page, "faults-undo-all")
    assert "sample scans are answered" not in texts(page)


@pytest.mark.slow
def test_answers_without_numbers_are_counted_apart(page: AppTest) -> None:
    bench(page).toggle(*(Fault(WEIGHT, 0, bit) for bit in _nan_bits(page)))
    page.run()
    assert bench(page).others.found.missing == 12 and "**12 are without a number** (NaN)" in texts(page)


def test_answers_in_words() -> None:
    found = SampleAnswers(("a", "a", "b", None), ("a", "b", None, None))
    assert (found.turned, found.missing, found.kept) == (1, 1, 2)
    assert told(found) == (
        "Of 4 sample scans **1 is answered otherwise**, and **1 is without a number** (NaN); 2 are answered as before."
    )
    assert [answer_words(*pair) for pair in zip(found.before, found.after)] == ["A", "A → **b**", "B → **NaN**", "NaN"]


def test_answers_that_the_guard_holds_back_in_words() -> None:
    before, after = ("a", "a", "b", "b"), ("b", None, "b", "a")
    assert told(SampleAnswers(before, after, frozenset(range(4)))) == "The guard holds **all 4** answers back."
    found = SampleAnswers(before, after, frozenset({0, 1, 3}))
    assert (found.turned, found.missing, found.kept) == (0, 0, 1)
    assert told(found) == "The guard holds **3 of 4** answers back. The other 1 is answered as before."
    assert told(SampleAnswers(before, after, frozenset({0}))) == (
        "The guard holds **1 of 4** answers back. Of the others **1 is answered otherwise**, and **1 is without a "
        "number** (NaN); 1 is answered as before."
    )


@pytest.mark.parametrize(
    ("accuracy", "non_finite", "said"),
    [
        (0.0, 1.0, "100.0 % without a number, NaN"),
        (0.0, 0.0, "100.0 % wrong"),
        (0.25, 0.5, "25.0 % wrong; 50.0 % without a number, NaN"),
        (1.0, 0.0, "none"),
        (0.0, None, "not noted whether wrong or without a number"),
    ],
)
def test_an_accuracy_says_what_the_misses_are(accuracy: float, non_finite: float | None, said: str) -> None:
    assert misses(accuracy, non_finite).replace("\u00a0", " ") == said


def test_nothing_is_said_to_be_saved_where_nothing_was_measured() -> None:
    assert worth([]).startswith("No damage was measured")
