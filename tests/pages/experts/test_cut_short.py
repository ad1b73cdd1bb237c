"""An attack that something else cuts off, or that is stopped: never taken for a whole one. Without a network."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from pages.experts import state as experts_state
from pages.experts.attack import begin_attack
from pages.experts.opinions import title
from pages.experts.state import ATTACKED, CLEAN, Attack, ExpertsState
from pages.shared.worker import Worker

CLEAN_PIXELS, COPY = np.zeros((1, 2, 2)), np.ones((1, 2, 2))


class Steps:
    """Stands in for PGD: of each attack the second step takes until `go` is set."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, pixels: np.ndarray, *_: object) -> Iterator[np.ndarray]:
        yield pixels
        self.begun.set()
        assert self.go.wait(10)
        yield pixels
        yield pixels


@pytest.fixture
def pgd(monkeypatch: pytest.MonkeyPatch) -> Steps:
    made, worker = Steps(), Worker()
    monkeypatch.setattr("core.explanation.mixture.attacked", made)
    monkeypatch.setattr("pages.shared.page_state.engine", lambda: SimpleNamespace(worker=worker))
    monkeypatch.setattr(experts_state, "bundle", lambda name: None)
    monkeypatch.setattr("pages.experts.attack.STEPS", 3)
    return made


def bench(copy: np.ndarray | None = None) -> ExpertsState:
    stages, before = {CLEAN: SimpleNamespace(pixels=CLEAN_PIXELS)}, SimpleNamespace(bundle="brain-mri")
    facts = {"choices": (), "mixture": "dwf", "seed": 0, "scan": None, "before": before, "stages": stages}
    return ExpertsState(**facts, copy=copy, attack=Attack(copy))


@pytest.mark.parametrize("copy", [None, COPY])
def test_the_step_at_which_an_attack_is_cut_off_does_not_bring_it_back(pgd: Steps, copy: np.ndarray | None) -> None:
    state = bench(copy)
    begin_attack(state, 8.0)
    old = state.begun
    assert pgd.begun.wait(10)
    state.start(iter(()), doing="path")
    pgd.go.set()
    assert old.wait(10) and state.begun.wait(10)
    assert state.attack.pixels is copy and state.attack.eps is None and title(state, ATTACKED) == "Attacked"


def test_a_second_attack_is_not_written_into_by_the_first(pgd: Steps) -> None:
    state = bench()
    begin_attack(state, 8.0)
    old = state.begun
    assert pgd.begun.wait(10)
    begin_attack(state, 4.0)
    pgd.go.set()
    assert old.wait(10) and state.begun.wait(10)
    assert state.attack.taken == 3 and title(state, ATTACKED) == "Attacked, ε = 4/255"


def test_a_stopped_attack_says_how_far_it_came(pgd: Steps) -> None:
    state = bench()
    begin_attack(state, 8.0)
    assert pgd.begun.wait(10)
    state.stop()
    pgd.go.set()
    assert state.begun.wait(10) and state.begun.count == 2
    assert title(state, ATTACKED) == "Attacked, ε = 8/255, after 2 of 3 steps"
