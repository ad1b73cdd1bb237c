"""The federation that the page runs live: a site that is ended twice, and the cores that its processes share."""

import sys

import pytest

from core.federation.flower.processes import Process, own_threads
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


def test_sites_on_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [own_threads(count)["OMP_NUM_THREADS"] for count in (0, 1, 3, 9)] == ["8", "8", "2", "1"]
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert own_threads(3) == {}
