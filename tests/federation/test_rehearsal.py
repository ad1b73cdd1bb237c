"""The federation that the page runs live: what becomes of a site that is ended twice."""

import sys

import pytest

from core.federation.flower.processes import Process
from core.federation.flower.rehearsal import Rehearsal
from core.federation.flower.runner import Keys, Runner
from tests.federation.hospitals import plan


def test_who_is_down_already_is_not_ended_once_more(tmp_path):
    pytest.importorskip("flwr")
    rehearsal = Rehearsal()
    assert not rehearsal.kill("Amsel")
    site = Process("Amsel", [sys.executable, "-c", "input()"], tmp_path / "log", {})
    site.start()
    rehearsal._runner = Runner(plan(), tmp_path, Keys(tmp_path, tmp_path, tmp_path, {}), _sites=[site])
    try:
        assert not rehearsal.kill("Birke") and site.running
        assert rehearsal.kill("Amsel")
        site.popen.wait(10)
        assert not rehearsal.kill("Amsel")
    finally:
        site.stop()
