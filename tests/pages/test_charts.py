"""What the charts of several pages share."""

from pages.shared.charts import _label_box, _overlap, label_sides


def test_a_name_alone_stands_where_names_stand() -> None:
    assert label_sides([(0.5, 90.0, "one")]) == ["bottom left"]


def test_names_of_points_that_lie_together_stand_apart() -> None:
    points = [(0.90, 90.0, "one-step t=60"), (0.90, 90.0, "diffpure"), (0.0, 0.0, "none"), (1.0, 100.0, "median")]
    first, second, *_ = label_sides(points)
    assert first != second


def test_boxes_that_only_touch_do_not_overlap() -> None:
    box = _label_box(0, 0, "abcd", 1, 0)
    assert _overlap(box, box) > 0 and _overlap(box, (box[2], box[1], box[2] + 5, box[3])) == 0


def test_the_outermost_names_stand_within_the_chart() -> None:
    points = [(0.7, 40.0, "maskdit-pure"), (0.8, 80.0, "diffpure"), (0.9, 60.0, "one-step t=60")]
    first, _, last = label_sides(points)
    assert first.endswith("right") and last.endswith("left")
