"""The protocol for attackers who know the defence, on a defence of small networks."""

from dataclasses import replace

import pytest
import torch

import core.evaluation.white_box.protocol as protocol
from core.attacks import AttackSettings, DefendedModel
from core.attacks.attempts import lengths
from core.attacks.gradient import radius
from core.bundles.calibration import Limits
from core.evaluation.white_box.protocol import attack_and_read
from core.evaluation.white_box.readings import DRAWS, READINGS, SHARES, Outcome, read_scans, reading_report
from core.models.diffusion import fixed_noise
from core.purification.ddim import PURIFY_STEPS, purify
from tests.defended import NAME, defended_bundle, scans
from tests.graded import graded_bundle, graded_scans

FLAGS_ALL = Limits({"mae_error": 1e-9}, float("inf"), ((float("inf"), 40),))


@pytest.fixture(scope="module")
def flagging():
    """A defence that flags and purifies whatever it sees, with noise that turns some answers and not others."""
    return replace(graded_bundle(), limits={NAME: FLAGS_ALL})


@torch.no_grad()
def test_the_four_readings_are_those_of_the_answers_draw_by_draw(flagging):
    data, model = graded_scans(6), DefendedModel(flagging, NAME)
    seeds = list(range(1, 7))
    undefended, outcomes = read_scans(data.pixels, data.labels, model, seeds, list(READINGS))
    assert undefended.all()
    t_star, differing = torch.full((1,), 40), 0
    for place, label in enumerate(data.labels.tolist()):

        def answer(seed, place=place):
            noise = fixed_noise((1, 1, 32, 32), seed, torch.device("cpu"))
            estimate = purify(data.pixels[place : place + 1], t_star, PURIFY_STEPS, model.diffusion, noise)
            return model.network(estimate).argmax(1).item()

        answers = [answer(DRAWS * seeds[place] + draw) for draw in range(DRAWS)]
        hits = sum(found == label for found in answers)
        expected = {
            "single": answers[0] == label,
            "worst": hits == DRAWS,
            "majority": hits > DRAWS / 2,
            "fixed": answer(model.seed) == label,
        }
        words = {True: Outcome.ALARM, False: Outcome.OVERCOME}
        assert outcomes[place] == {name: words[right] for name, right in expected.items()}
        differing += 0 < hits < DRAWS
    assert differing  # else nothing was told apart


@torch.no_grad()
def test_every_outcome_has_its_letter():
    """Flagged or not, refused or not, right or wrong: the labels are turned for the wrong ones."""
    data, bundle = graded_scans(2), graded_bundle()
    quiet, loud = Limits({}, float("inf"), ((1.0, 40),)), Limits({"mae_error": 1e-9}, float("inf"), ((1.0, 1),))
    for limits, right, wrong in (
        (quiet, "RIGHT", "PASSED"),
        (loud, "ALARM", "OVERCOME"),
        (replace(quiet, scope_limit=-1.0), "REFUSED", "REFUSED_WRONG"),
    ):
        model = DefendedModel(replace(bundle, limits={NAME: limits}), NAME)
        for labels, name in ((data.labels, right), (1 - data.labels, wrong)):
            _, outcomes = read_scans(data.pixels, labels, model, [1, 2], ["fixed"])
            assert {found["fixed"] for found in outcomes} == {Outcome[name]}


def test_a_report_counts_what_was_broken():
    report = reading_report(".arRwo..", [*"aabbccdd"])
    counts = {"accuracy": 4, "passed_wrong": 1, "flagged_wrong": 1, "refused": 2, "alarm_alone": 2}
    assert {name: report[name] * 8 for name in SHARES} == counts
    for name in SHARES:
        low, high = report["intervals"][name]
        assert low <= report[name] <= high and low < high


def test_an_attack_through_the_purifier_has_a_second_one_that_knows_the_noise(flagging, monkeypatch):
    asked = []

    def watched(model, pixels, labels, settings, seed):
        asked.append((model.known_noise, settings.eot))
        return iter(())

    monkeypatch.setattr(protocol, "attack_steps", watched)
    data = graded_scans(2)
    for settings in (AttackSettings("pgd", white_box=True, eot=5), AttackSettings("bpda", eot=5)):
        attack_and_read(data, flagging, settings)
    assert asked == [(False, 5), (True, 1)] * 2
    asked.clear()
    attack_and_read(data, flagging, AttackSettings("orthogonal"))
    assert asked == [(False, 1)]


def test_known_noise_makes_the_defence_the_same_at_every_call(flagging):
    pixels = graded_scans(2).pixels
    known, fresh = (DefendedModel(flagging, NAME, known_noise=known) for known in (True, False))
    assert torch.equal(known(pixels), known(pixels)) and not torch.equal(fresh(pixels), fresh(pixels))


@pytest.mark.parametrize("method", ["pgd", "low-frequency", "bpda"])
@pytest.mark.parametrize("norm, eps", [("linf", 4), ("l2", 1), ("l1", 12)])
def test_no_change_is_longer_than_the_radius(flagging, method, norm, eps, monkeypatch):
    data, seen = graded_scans(2), []
    real = protocol.read_scans
    monkeypatch.setattr(protocol, "read_scans", lambda pixels, *rest: seen.append(pixels) or real(pixels, *rest))
    report = attack_and_read(data, flagging, AttackSettings(method, eps=eps, norm=norm, steps=3, white_box=True))
    assert len(seen) == 2 and 0.5 < report["longest"] <= 1.0005
    for attacked in seen:
        assert (lengths(attacked - data.pixels, norm) <= radius(eps, norm) * (1 + 1e-5)).all()
        assert 0 <= attacked.min() and attacked.max() <= 1


def test_a_run_that_was_cut_off_goes_on_and_gives_what_it_would_have_given(flagging, tmp_path, monkeypatch):
    data, settings = graded_scans(5), AttackSettings("pgd", steps=1, white_box=True)
    whole = attack_and_read(data, flagging, settings)
    path, real, asked = tmp_path / "rows.jsonl", protocol.read_scans, []

    def torn(pixels, *rest):
        asked.append(len(pixels))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(pixels, *rest)

    monkeypatch.setattr(protocol, "read_scans", torn)
    with pytest.raises(KeyboardInterrupt):
        attack_and_read(data, flagging, settings, resume=path)
    done = len(path.read_text().splitlines()) - 1
    assert 0 < done < len(data)
    assert attack_and_read(data, flagging, settings, resume=path) == whole
    assert sum(asked[3:]) == 2 * (len(data) - done)
    asked.clear()
    assert attack_and_read(data, flagging, settings, resume=path) == whole and not asked
    with pytest.raises(ValueError, match="another evaluation"):
        attack_and_read(data, flagging, replace(settings, steps=2), resume=path)


def test_each_scan_is_attacked_and_judged_with_limits_that_never_saw_it(monkeypatch):
    data, bundle, met = graded_scans(4), graded_bundle(), []
    strict, lax = FLAGS_ALL, Limits({"mae_error": 1e9}, float("inf"), ((1.0, 40),))
    monkeypatch.setattr(protocol, "own_limits", lambda *_: [strict, lax, strict, lax])
    real = protocol.attack_steps

    def watched(model, pixels, labels, settings, seed):
        met.append((model.limits, len(pixels)))
        return real(model, pixels, labels, settings, seed)

    monkeypatch.setattr(protocol, "attack_steps", watched)
    report = attack_and_read(data, bundle, AttackSettings("detector-aware", steps=1))
    assert met == [(strict, 2), (lax, 2)]
    flagged = [letter in "ao" for letter in report["readings"]["single"]["outcomes"]]
    assert flagged == [True, False, True, False]


def test_no_attack_leaves_the_scans_alone():
    report = attack_and_read(graded_scans(3), graded_bundle(), AttackSettings())
    assert report["longest"] == 0 and report["undefended"] == 1
    assert {reading["outcomes"] for reading in report["readings"].values()} == {"..."}


def test_what_the_bundle_or_the_attack_lacks_is_said():
    with pytest.raises(ValueError, match="no attack named"):
        attack_and_read(scans(1), defended_bundle(), AttackSettings("magic"))
    with pytest.raises(ValueError, match="holds no masked autoencoder"):
        attack_and_read(scans(1), replace(defended_bundle(), mae=None), AttackSettings("pgd"))
