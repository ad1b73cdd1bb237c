from core.evaluation.operating_points import Share
from core.evaluation.tradeoff import Point
from pages.purify.trade_words import slow_told

CONDITION = "pgd 8/255"


def point(method, t, right, n=30):
    return Point(method, t, 1, CONDITION, Share(right, 0, 1, n), 0.8)


def test_slow_purifiers_are_held_against_one_denoising_step_on_the_same_scans():
    points = [point("one-step", 60, 0.99, n=300), point("one-step", 100, 0.8), point("maskdit-pure", 25, 0.367)]
    points += [point("maskdit-pure", 60, 0.3), point("diffpure", 100, 0.9), point("mae-pure", None, 0.8)]
    said = slow_told(points, CONDITION).replace("\\", "")  # of Markdown
    assert said.startswith("On 30 scans **one denoising step** (t* = 100) puts 80.0 % right; more than that: DiffPure")
    assert said.endswith("no more than that: MaskDiT-Pure (36.7 %), MAE-Pure (80.0 %).") and "30.0 %" not in said


def test_nothing_is_said_where_nothing_can_be_compared():
    assert slow_told([], CONDITION) is None
    assert slow_told([point("one-step", 60, 0.9, n=300), point("maskdit-pure", 25, 0.4)], CONDITION) is None
    assert slow_told([point("one-step", 60, 0.9, n=300), point("one-step", 100, 0.9)], CONDITION) is None
