from types import SimpleNamespace

import numpy as np
import pytest
import torch

import core.fidelity.agreement as module
from core import load_scan
from core.attacks import attackable_pixels
from core.defence.examination import Prediction
from core.explanation.attributions import log_odds, saliency
from core.fidelity.agreement import Agreement, SeedResult, agreement
from core.purification.catalogue import purified_pixels
from core.purification.settings import PurifySettings
from core.purification.steps import PurifierStep


def result(seed, label, value):
    shares = {"a": 0.9, "b": 0.1} if label == "a" else {"a": 0.2, "b": 0.8}
    estimate = np.zeros((2, 1, 2), dtype=np.float32)
    estimate[:, 0, 1] = value
    return SeedResult(seed, Prediction("c", shares), estimate)


def test_shares_and_spread_by_hand():
    together = Agreement()
    for each in (result(0, "a", 0.2), None, result(1, "b", 0.4), result(2, "a", 0.9)):
        together.take(each)
    assert len(together) == 3 and not together.unanimous
    assert together.counts == {"a": 2, "b": 1} and list(together.counts) == ["a", "b"]
    assert together.shares == {"a": pytest.approx(2 / 3), "b": pytest.approx(1 / 3)}
    # The mean of 0.2, 0.4 and 0.9 is 0.5; the squares are 0.09, 0.01 and 0.16; half of their sum is 0.13.
    assert together.spread.shape == (1, 2)
    assert together.spread[0] == pytest.approx([0, np.sqrt(0.13)])


def test_one_seed_has_no_spread():
    together = Agreement()
    assert together.spread is None and not together.unanimous and together.counts == {}
    together.take(result(0, "a", 0.2))
    assert together.spread is None and together.unanimous


def test_a_caller_can_stop_within_a_seed(monkeypatch):
    def steps(pixels, bundle, settings, *, classifier, seed):
        yield from (PurifierStep(index, None, None, pixels + seed) for index in range(3))

    monkeypatch.setattr(module, "purifier_steps", steps)
    bundle = SimpleNamespace(
        classes=("a", "b"),
        classifiers={"c": lambda pixels: torch.tensor([[0.0, float(pixels.mean())]])},
        classifier_name=lambda name: name or "c",
        answering=lambda name: name,
    )
    made = list(agreement(np.zeros((1, 2, 2), np.float32), bundle, PurifySettings("diffpure"), (-1, 1)))
    assert [each is None for each in made] == [True, True, True, False] * 2
    assert [each.prediction.label for each in made if each] == ["a", "b"]
    assert made[3].seed == -1 and np.array_equal(made[3].estimate, np.full((1, 2, 2), -1))


@pytest.mark.slow
def test_seeds_are_those_of_the_purifier(bundle, sample_files):
    pixels = attackable_pixels(load_scan(sample_files[0]), bundle)
    settings = PurifySettings("one-step", t=40)
    made = [each for each in agreement(pixels[0].numpy(), bundle, settings, (3, 4)) if each]
    for each in made:
        expected = purified_pixels(pixels, bundle, settings, seed=each.seed)
        assert np.array_equal(each.estimate, expected[0].detach().numpy())
    assert not np.array_equal(made[0].estimate, made[1].estimate)
    still = Agreement()
    for each in agreement(pixels[0].numpy(), bundle, PurifySettings("median"), (3, 4)):
        still.take(each)
    assert not still.spread.any()


def test_the_look_falls_on_what_the_answer_rests_on():
    """A classifier that sees nothing but one cell of 8 × 8 pixels: only covering that cell costs it anything."""

    def classifier(pixels):
        seen = pixels[:, 0, 24:32, 40:48].mean((1, 2))
        return torch.stack([torch.zeros_like(seen), 4 * seen], 1)

    pixels = np.full((1, 64, 64), 0.5, dtype=np.float32)
    looked = saliency(pixels, classifier)
    assert looked.shape == (8, 8) and looked.argmax() == 3 * 8 + 5
    assert looked[3, 5] == pytest.approx(2)  # all of its 4 × 0.5, whichever square covers it
    assert looked[:2].max() == 0 and looked[5:].max() == 0


def test_log_odds_by_hand():
    logits = torch.tensor([[1.0, 0.0, 0.0]])
    assert log_odds(logits, 0).item() == pytest.approx(1 - np.log(2))


def test_saliency_needs_pixels():
    with pytest.raises(ValueError, match="at least 16 × 16"):
        saliency(np.zeros((1, 8, 8), np.float32), lambda pixels: pixels)
