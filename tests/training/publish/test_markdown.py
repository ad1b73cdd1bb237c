"""How figures, tables and pages look."""

from training.publish.markdown import (
    between_marks,
    document,
    figure_share,
    made_by,
    percent,
    points,
    section,
    share,
    signed_points,
    table,
)


def test_shares_are_in_percent_and_differences_signed():
    assert percent(0.5) == "50.0 %" and percent(None) == share(None, None) == "–"
    assert figure_share({"accuracy": 0.75, "interval": (0.7, 0.8)}) == "75.0 % (70.0–80.0)"
    assert points(0.1, (0.05, 0.2)) == "10.0 points (5.0 to 20.0)"
    assert signed_points(-0.01, (-0.02, 0.005)) == "-1.0 (-2.0 to +0.5)"


def test_a_table_says_what_made_it():
    line = "python -m training.measure.gates --data d.npz --seed 3"
    assert (
        made_by(line, 1234) == "Made by `training.measure.gates --data d.npz --seed 3`: split val, n = 1,234, seed 3."
    )
    assert made_by("make tables").endswith("split val, seed 0.")


def test_a_section_without_rows_is_left_out():
    assert table(["a", "b"], [["1", "2"]]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |", ""]
    assert section("About", ["a"], []) == []
    assert section("About", ["a"], [["1"]])[:2] == ["About", ""]


def test_a_page_says_that_it_is_generated_and_ends_with_one_line_break():
    text = document("Title", "About.", ["one", "", ""])
    assert "do not edit" in text.splitlines()[0] and "training.publish.docs" in text
    assert text.endswith("one\n")


def test_only_what_is_between_the_marks_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures: start -->\nold\n<!-- figures: end -->\nafter\n")
    text = between_marks(page, "figures", ["new", ""])
    assert text == "before\n<!-- figures: start -->\nnew\n<!-- figures: end -->\nafter\n"
