"""A run that was cut off ends, bit for bit, as one that was not; and says which command took which steps."""

import json
import os
import signal

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from core.storage import save_whole
from training.options import part_option, recipe_options
from training.recipes.run import STOPPED, Run, learning_rate, parts


def options(out, *words):
    parser = recipe_options("", steps=3, batch=4, lr=1e-2, decay=0.9)
    part_option(parser)
    return parser.parse_args([str(word) for word in ("--data", "any.npz", "--out", out, *words)])


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(64, 2))


def loss(network, step, generator):
    pixels = torch.rand(4, 1, 8, 8, generator=generator).contiguous(memory_format=torch.channels_last)
    for share, some in ((0.5, slice(0, 2)), (0.5, slice(2, 4))):
        yield share, network(pixels[some]).square().mean()


def trained(out, *words):
    run = Run("any", network(), options(out, *words))
    run.train(loss)
    return run


def same(first, second):
    return all(torch.equal(first[key], second[key]) for key in first)


def test_one_step_and_two_more_are_three(tmp_path):
    whole = trained(tmp_path / "whole", "--schedule", "constant")
    trained(tmp_path / "cut", "--schedule", "constant", "--steps", 1)
    cut = trained(tmp_path / "cut", "--schedule", "constant")
    assert same(whole.network.state_dict(), cut.network.state_dict()) and same(whole.average, cut.average)
    assert same(*(load_file(run.checkpoint) for run in (whole, cut)))
    assert [one["steps"] for one in cut.history["sittings"]] == [[0, 1], [1, 3]]
    assert not list(tmp_path.rglob("*.part"))


def test_a_step_hangs_on_recipe_seed_and_step():
    def numbers(name, seed, step):
        run = Run.__new__(Run)
        run.name, run.step, run.options = name, step, options("out", "--seed", seed)
        return torch.rand(3, generator=run._generator()).tolist()

    assert numbers("a", 0, 1) == numbers("a", 0, 1)
    assert len({tuple(numbers(*one)) for one in (("a", 0, 1), ("b", 0, 1), ("a", 1, 1), ("a", 0, 2))}) == 4


def test_sigterm_saves_the_step_under_way(tmp_path):
    def cut_off(network, step, generator):
        if step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        yield from loss(network, step, generator)

    run = Run("any", network(), options(tmp_path))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped:
        run.train(cut_off)
    assert stopped.value.code == STOPPED and signal.getsignal(signal.SIGTERM) is before
    with safe_open(run.checkpoint, "pt") as file:
        assert json.loads(file.metadata()["step"]) == 2


def test_what_can_not_go_on_says_so(tmp_path):
    trained(tmp_path, "--steps", 1)
    with pytest.raises(SystemExit, match="made with --seed 0; take that, or another --out"):
        Run("any", network(), options(tmp_path, "--seed", 1))
    run = Run("any", network(), options(tmp_path))
    with pytest.raises(SystemExit, match="the loss is nan"):
        run.train(lambda *given: ((share, part * float("nan")) for share, part in loss(*given)))


def test_the_start_is_remembered_when_it_is_not_named_again(tmp_path):
    init = tmp_path / "start.safetensors"
    save_whole(network().state_dict(), init, {})
    trained(tmp_path / "out", "--init", init, "--steps", 1)
    run = trained(tmp_path / "out", "--steps", 2)
    assert run.history["started_from"].startswith("start.safetensors, SHA-256 ") and not run.warm


def test_a_fresh_average_forgets_the_random_start_and_another_keeps_its_decay(tmp_path):
    run = trained(tmp_path, "--steps", 1, "--decay", 0.5)
    start, after = network().state_dict()["0.weight"], run.network.state_dict()["0.weight"]
    assert torch.allclose(run.average["0.weight"], start + (after - start) * 0.9)  # 1 - 1 / 10


def test_the_rate_rises_and_falls_or_stays(tmp_path):
    falling = options(tmp_path, "--steps", 100, "--warm-up", 10)
    assert [learning_rate(step, falling) for step in (0, 9, 55)] == pytest.approx([0.1, 1, 0.505])
    assert learning_rate(100, falling) == pytest.approx(0.01)
    steady = options(tmp_path, "--steps", 100, "--schedule", "constant")
    assert [learning_rate(step, steady) for step in (0, 4, 99)] == pytest.approx([0.2, 1, 1])


def test_parts_share_a_batch(tmp_path):
    assert parts(5, options(tmp_path)) == [(1.0, slice(0, 5))]
    assert [share for share, _ in parts(5, options(tmp_path, "--part", 2))] == pytest.approx([0.4, 0.4, 0.2])
