"""What the Experts page says of a gate follows the numbers."""

import numpy as np
import pytest

from core.defence.examination import Prediction
from core.explanation.gates import GateRecord
from core.explanation.mixture import GateChange, MixtureOutput
from pages.experts.findings import moved, moved_on_average, points

NAMES = ("first", "second")


def output(weights: tuple[float, float], label: str) -> MixtureOutput:
    said = {"well": 0.0, "ill": 0.0} | {label: 1.0}
    experts = tuple(Prediction(name, said) for name in NAMES)
    return MixtureOutput(weights, experts, Prediction("two", said), opinions=None)


def held(label: str) -> Prediction:
    return Prediction("two", {"well": 0.0, "ill": 0.0} | {label: 1.0})


def test_a_still_gate_is_said_to_stand_still() -> None:
    before, after = output((0.5, 0.5), "well"), output((0.504, 0.496), "ill")
    told = moved(before, after, GateChange((0.004, -0.004), 2, held("ill")))
    assert told.startswith("**The gate does not move**") and "2 of 2 experts answer otherwise" in told
    assert "did not turn the answer" in told


def test_a_gate_that_moves_is_said_to() -> None:
    before, after = output((0.5, 0.5), "well"), output((0.54, 0.46), "well")
    told = moved(before, after, GateChange((0.04, -0.04), 0, held("well")))
    assert told == "**The gate moves by 4.0 points at most** (first)."
    after = output((0.1, 0.9), "ill")
    assert "**turned the answer**" in moved(before, after, GateChange((-0.4, 0.4), 0, held("well")))


@pytest.mark.parametrize(("change", "said"), [(0.034, "+3.4"), (-0.2, "−20.0"), (0.0004, "±0.0"), (0, "±0.0")])
def test_points_have_their_sign(change: float, said: str) -> None:
    assert points(change) == said


@pytest.mark.parametrize(("to", "said"), [(0.5, "do not move"), (0.52, "less than"), (0.9, "more than")])
def test_a_recorded_shift_is_held_against_what_is_usual(to: float, said: str) -> None:
    rows = {"clean": [[0.6, 0.4], [0.4, 0.6]], "pgd": [[to, 1 - to]] * 2}
    record = GateRecord((0, 1), {name: np.array(row) for name, row in rows.items()}, "", "val", "")
    assert said in moved_on_average(record, [("pgd", "PGD")], NAMES)
