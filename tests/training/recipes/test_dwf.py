"""Divided We Fall's recipe on a handful of images: it goes on where it stopped, and what it writes can be loaded."""

import json
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core.bundles import ARCHITECTURES
from core.models.experts import Gate
from core.models.resnet import NarrowResNet18
from training.recipes import dwf
from training.recipes.cards import network_form
from training.recipes.dwf_lessons import chosen_lessons, fgsm_attacker
from training.recipes.weights import seeded

SMALL = ["--batch", 6, "--width", 4, "--shrink", 4, "--expert-iterations", 1, "--iterations", 1, "--experts", "1-1-1"]


@pytest.mark.slow
def test_it_goes_on_where_it_stopped_and_writes_a_mixture(data, run, tmp_path, capsys):
    words = ["--data", data, "--out", tmp_path, "--steps", 1, "--joint-steps", 1, *SMALL]
    run(dwf, *words, "--minutes", 0)
    assert "run the same command again" in capsys.readouterr().out
    run(dwf, *words)
    weights = tmp_path / "together-1-1-1" / "dwf.safetensors"
    form, card = network_form(weights), json.loads(weights.with_suffix(".json").read_text())
    assert [expert["name"] for expert in form["experts"]] == ["Clean", "FGSM 0.08", "PGD-1"]
    assert card["metrics"]["mixture"]["pgd 8/255"]["n"] == 2
    assert sum(card["metrics"]["gate"].values()) == pytest.approx(1, abs=1e-5)
    assert card["steps"] == 3 * 1 + 2 + 1
    mixture = ARCHITECTURES[form["architecture"]](1, 2, **form["config"])
    mixture.load_state_dict({key: value.float() for key, value in load_file(weights).items()})


def test_an_attacked_expert_goes_on_from_the_one_before_it(data, tmp_path):
    words = ["--data", data, "--out", tmp_path, "--steps", 0, "--clean-steps", 1, "--in-turn", *SMALL]
    options = dwf.options_parser().parse_args([str(word) for word in words])
    lessons, train = dwf.lessons_of(options), dwf.load_splits(options)[0]
    clean, *attacked = dwf.train_experts(lessons, train, options, float("inf"))
    assert clean.step == 1 and [run.step for run in attacked] == [0, 0]
    first = clean.averaged().state_dict()
    for run in attacked:
        assert all(torch.equal(value, first[name]) for name, value in run.averaged().state_dict().items())
    others = dwf.train_experts(lessons, train, stopped(options, tmp_path / "again"), 0.0)
    assert [run.step for run in others] == [0]  # nobody goes on from what isn't finished


def test_each_kind_of_attack_begins_at_the_clean_expert():
    lessons = chosen_lessons("1-2-2", (4, 7))
    assert [dwf.place_before(place, lessons) for place in range(5)] == [None, 0, 1, 0, 3]


def test_a_part_of_the_papers_strength_shows_in_names_and_in_what_is_told():
    _, *attacked = chosen_lessons("1-1-1", (10,), strength=0.5)
    assert [lesson.name for lesson in attacked] == ["FGSM 0.04", "PGD-10"]
    assert "(10/255)" in attacked[0].training and "ε = 4/255" in attacked[1].training
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    pixels, generator = torch.full((2, 1, 4, 4), 0.5), torch.Generator().manual_seed(0)
    for lesson, eps in zip(attacked, (0.04, 4 / 255)):
        after = lesson.attacker(network, pixels, torch.tensor([0, 1]), generator)
        assert (after - pixels).abs().amax().item() == pytest.approx(eps, abs=1e-6)


def stopped(options: Namespace, out: Path) -> Namespace:
    """Return the options of a run in another folder that has no time."""
    return Namespace(**vars(options) | {"out": out})


def test_weights_to_start_from_are_refused_in_a_sentence(data, run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(dwf, "--data", data, "--out", tmp_path, "--init", data)
    assert "leave --init out" in capsys.readouterr().err


@pytest.mark.parametrize("choice", ["joint", "frozen", "hard"])
def test_what_learns_together(choice, data, tmp_path):
    """The gate always; the experts, down to their statistics, stay as they were where they are frozen."""
    words = ["--data", data, "--out", tmp_path, "--joint-steps", 1, "--batch", 6, "--iterations", 1]
    words += [] if choice == "joint" else [f"--{choice}"]
    options = dwf.options_parser().parse_args([str(word) for word in words])
    experts = [NarrowResNet18(1, 2, 2, 4) for _ in range(2)]
    before = [{name: value.clone() for name, value in expert.state_dict().items()} for expert in experts]
    run = dwf.train_together(experts, dwf.load_splits(options)[0], options, float("inf"))
    after = [expert.state_dict() for expert in run.network.experts]
    kept = [torch.equal(value, after[place][name]) for place, old in enumerate(before) for name, value in old.items()]
    assert all(kept) == (choice == "frozen")
    gate = seeded(lambda: Gate(1, 2), "0 gate")
    assert not torch.equal(run.network.gate.keys.cpu(), gate.keys)
    assert run.options.out.name == {"joint": "together", "frozen": "together-frozen", "hard": "together-hard"}[choice]
    weights = run.averaged().weights(torch.rand(3, 1, 128, 128, generator=torch.Generator().manual_seed(0)))
    assert (weights.amax(1).min().item() > 1 - 1e-6) == (choice == "hard")


def test_a_smaller_mixture_keeps_the_strongest_attackers():
    names = [lesson.name for lesson in chosen_lessons("1-2-2", (2, 4, 7, 10))]
    assert names == ["Clean", "FGSM 0.06", "FGSM 0.08", "PGD-7", "PGD-10"]


def test_the_price_of_a_collapse_is_what_the_gate_lacks_to_equal_shares():
    assert dwf.collapse(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).item() == pytest.approx(0, abs=1e-6)
    assert dwf.collapse(torch.tensor([[1.0, 0.0], [1.0, 0.0]])).item() == pytest.approx(0.6931, abs=1e-4)


def test_attacks_in_training_stay_in_their_ball_and_leave_the_network_in_training():
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 2)).train()
    pixels, generator = torch.full((2, 1, 4, 4), 0.5), torch.Generator().manual_seed(0)
    after = fgsm_attacker((0.03,))(network, pixels, torch.tensor([0, 1]), generator)
    assert (after - pixels).abs().amax().item() == pytest.approx(0.03, abs=1e-6)
    assert network.training and network[0].num_batches_tracked == 0
