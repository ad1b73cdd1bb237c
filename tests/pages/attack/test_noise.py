"""The noise that an attacker on the page faces."""

from unittest.mock import Mock

import pytest

import core.attacks
from core import examine, load_scan
from core.attacks import AttackSettings
from core.scans import sample_scans
from pages.attack.state import AttackRun, _steps
from tests.defended import defended_bundle


def test_whoever_knows_the_defence_faces_the_noise_of_the_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed on the page draws what the attack draws; the session's, the noise of the defence that then examines."""
    models, asked = defended_bundle(), []
    scan, settings = load_scan(str(sample_scans("brain-mri")[0].path)), AttackSettings("pgd", steps=1, white_box=True)
    before = examine(scan, models, seed=3)
    monkeypatch.setattr("pages.attack.state.exact_bundle", lambda name: models)
    real = core.attacks.attack_target
    monkeypatch.setattr("core.attacks.attack_target", lambda *how: asked.append(how[-1]) or real(*how))
    drawn = {"settings": settings, "seed": 7, "before": before}
    run = AttackRun(choices=(), scan=scan, frame=0, window=None, trajectory=Mock(), **drawn)
    assert len(list(_steps(run))) == 1 and asked == [before.seed] == [3]
