from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.attacks import attack_pixels
from core.attacks.settings import AttackSettings
from core.purification.settings import PurifySettings
from core.purification.steps import PurifierStep
from core.trajectories import purification
from core.trajectories.decimation import DecimatedHistory
from core.trajectories.purification import PurificationTrajectory, mae_view_steps, purify_side_by_side
from pages.purify.trajectories import decided, summary

GREY = np.full((1, 8, 8), 0.25, dtype=np.float32)


def brightness(pixels):
    """Logits of 'dark' and 'bright': the log odds of 'bright' are 8 (mean − 0.5)."""
    bright = 8 * (pixels.mean((1, 2, 3)) - 0.5)
    return torch.stack([torch.zeros_like(bright), bright], 1)


@pytest.fixture
def small():
    """A bundle of nothing but a classifier that one can do in one's head."""
    return SimpleNamespace(
        classes=("dark", "bright"), classifiers={"mean": brightness}, classifier_name=lambda name: name or "mean"
    )


def step(index, value, noisy=None, loss=None):
    estimate = torch.full((1, 1, 8, 8), value)
    return PurifierStep(index, None if noisy is None else 10 - index, noisy, estimate, loss)


def trajectory(bundle, values, **how):
    made = PurificationTrajectory(GREY, bundle, PurifySettings("diffpure", t=max(len(values), 1)), **how)
    for index, value in enumerate(values):
        made.take(step(index, value))
    made.finish()
    return made


def test_a_frame_holds_what_the_step_was(small):
    made = PurificationTrajectory(GREY, small, PurifySettings("one-step"), reference=np.full_like(GREY, 0.75))
    made.take(step(0, 0.5, noisy=torch.full((1, 1, 8, 8), -0.5), loss=torch.tensor([3.0])))
    first, second = made.frames
    assert first.step == 0 and first.noisy is None and first.t is None and first.loss is None
    assert first.prediction.probabilities["bright"] == pytest.approx(1 / (1 + np.e**2))
    assert first.to_input.psnr == np.inf and first.to_reference.l2 == pytest.approx(0.5 * 8)
    assert second.step == 1 and second.t == 10 and second.loss == 3
    assert np.array_equal(second.noisy, np.full((1, 8, 8), 0.25))  # −0.5 in [−1, 1] units
    assert second.prediction.probabilities == {"dark": 0.5, "bright": 0.5}
    assert second.to_input.linf == pytest.approx(0.25) == second.to_reference.linf
    assert made.wanted == "bright"
    assert PurificationTrajectory(GREY, small, PurifySettings("one-step")).frames[0].to_reference is None


def test_whom_the_defence_asks_about_estimates_turns_no_answer(small):
    """A method that changes nothing brings no diagnosis back, whatever another classifier says."""
    small.classifiers["other"] = lambda pixels: -brightness(pixels)
    asked = trajectory(small, [0.25], wanted="bright", answering="other")
    assert asked.turn() is None and {frame.prediction.classifier for frame in asked.frames} == {"mean"}
    assert asked.defended.classifier == "other" and asked.defended.label == "bright"
    alone = trajectory(small, [0.25], wanted="bright", answering="mean")
    assert alone.defended is None
    assert "comes back" not in summary(asked) and "“bright”" in decided(asked) and decided(alone) == ""


def test_every_frame_but_the_input_has_one_before_it(small):
    made = trajectory(small, [0.5, 0.6, 0.7])
    assert [frame.step for frame in map(made.before, made.frames[1:])] == [0, 1, 2]
    assert made.before(made.frames[0]) is None


def test_the_turn_is_where_the_last_answer_begins_to_stand(small):
    assert trajectory(small, [0.3, 0.4]).turn() is None
    made = trajectory(small, [0.3, 0.6, 0.4, 0.7, 0.8])
    assert made.turn().step == 4  # bright at 2 already, but it did not last


def test_a_long_run_keeps_few_frames_and_its_last(small):
    made = trajectory(small, np.linspace(0.2, 0.9, 203).tolist(), most=60)
    steps = [frame.step for frame in made.frames]
    assert len(steps) <= 62 and steps[0] == 0 and steps[-1] == 203 == made.steps
    assert set(np.diff(steps[:-1])) == {4}
    shown = [frame.step for frame in made.sampled(6)]
    assert len(shown) == 6 and {0, 203, made.turn().step} <= set(shown) and shown == sorted(shown)


def test_positions_of_methods_of_any_length_belong_together(small):
    short, long = trajectory(small, [0.5]), trajectory(small, [0.5] * 4)
    assert [short.at(share).step for share in (0, 0.25, 0.5, 0.75, 1)] == [0, 0, 1, 1, 1]
    assert [long.at(share).step for share in (0, 0.25, 0.5, 0.75, 1)] == [0, 1, 2, 3, 4]


def test_methods_go_side_by_side(small, monkeypatch):
    def steps(pixels, bundle, settings, **_):
        yield from (step(index, 0.5) for index in range(settings.steps))

    monkeypatch.setattr(purification, "purifier_steps", steps)
    trajectories = [
        PurificationTrajectory(GREY, small, PurifySettings("diffpure", t=100, steps=steps)) for steps in (1, 2, 4)
    ]
    order = [trajectories.index(taken) for taken in purify_side_by_side(trajectories, small)]
    assert order == [0, 1, 2, 2, 1, 2, 2]
    assert [made.share for made in trajectories] == [1, 1, 1]


def test_what_is_stopped_has_its_last_frame(small, monkeypatch):
    monkeypatch.setattr(purification, "purifier_steps", lambda *_, **__: (step(i, 0.5) for i in range(9)))
    made = PurificationTrajectory(GREY, small, PurifySettings("diffpure", t=9), most=4)
    run = purify_side_by_side([made], small)
    for _ in range(5):
        next(run)
    assert made.frames[-1].step == 4
    run.close()
    assert made.frames[-1].step == 5


def test_thinning_keeps_even_distances():
    thinned = DecimatedHistory(SimpleNamespace(step=0), most=4)
    kept = []
    for number in range(1, 10):
        if thinned.wants(number):
            thinned.keep(SimpleNamespace(step=number))
        kept.append([record.step for record in thinned.kept])
    assert kept[2] == [0, 1, 2, 3] and kept[3] == [0, 2, 4] and kept[7] == [0, 4, 8]


@pytest.mark.slow
def test_the_diagnosis_comes_back_in_a_real_film(bundle, sample_files):
    from core import load_scan
    from core.attacks import attackable_pixels

    scan = load_scan(next(file for file in sample_files if file.name.startswith("tumour")))
    clean = attackable_pixels(scan, bundle)
    for attacked in attack_pixels(clean, bundle, AttackSettings("pgd", steps=10)):
        pixels = attacked.attacked
    settings = (PurifySettings("one-step", t=100), PurifySettings("diffpure-ddim", t=100, steps=2))
    trajectories = [
        PurificationTrajectory(pixels[0].numpy(), bundle, each, reference=clean[0].numpy()) for each in settings
    ]
    assert len(list(purify_side_by_side(trajectories, bundle, seed=1))) == 3
    for made in trajectories:
        assert made.frames[0].prediction.label == "no tumour" and made.wanted == "tumour"
        assert made.turn().step == 1 and made.frames[-1].prediction.label == "tumour"
        assert made.frames[-1].to_reference.ssim > made.frames[0].to_reference.ssim
    assert np.array_equal(
        trajectories[0].frames[1].estimate, trajectories[1].frames[1].estimate
    )  # same noise, same first step

    assert len(list(mae_view_steps(trajectories[:1], bundle))) == 2
    assert all(
        mae_view.decoder > 0 and mae_view.reconstruction_loss > 0 for mae_view in trajectories[0].mae_views.values()
    )
    same = purification.mae_view(clean[0].numpy(), clean[0].numpy(), bundle)
    assert same.encoder == same.decoder == 0
    assert purification.mae_view(clean[0].numpy(), None, bundle) == (same.reconstruction_loss, None, None)
    assert not list(mae_view_steps(trajectories[:1], bundle))  # nothing is looked at twice


def test_a_mistake_is_one_sentence(bundle):
    with pytest.raises(ValueError, match="There is no purifier named 'soap'"):
        PurificationTrajectory(np.zeros((1, 128, 128), np.float32), bundle, PurifySettings("soap"))
