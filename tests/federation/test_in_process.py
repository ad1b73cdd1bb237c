"""A whole federation in one process: it is cut off, and goes on."""

import pytest

from core.federation.coordinator import FederationError
from core.federation.flower.runner import Keys, Runner
from core.federation.in_process import InProcess
from core.federation.report import read_report
from tests.federation.hospitals import NAMES, hospitals, plan


def interrupted(the_plan, out):
    """A federation that was cut off after its first round."""

    def stop(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        InProcess(the_plan, out, hospitals(NAMES[:2]), told=stop).run()


def test_an_encrypted_one_goes_on_under_the_key_that_it_began_with(tmp_path):
    the_plan = plan(rounds=2, strategy="fedavg-ckks")
    interrupted(the_plan, tmp_path)
    report = InProcess(the_plan, tmp_path, hospitals(NAMES[:2])).run()
    assert report["finished"] and [sorted(each["took_part"]) for each in report["rounds"]] == [list(NAMES[:2])] * 3
    assert not any(each["absent"] for each in report["rounds"])
    assert (tmp_path / "sum.key").stat().st_mode & 0o077 == 0


def test_its_report_lies_there_before_the_first_round_and_is_never_behind_what_is_told(tmp_path):
    sites, found = hospitals(NAMES[:2]), []
    sites[0].begun = lambda key: found.append(read_report(tmp_path))
    InProcess(plan(rounds=1), tmp_path, sites, told=lambda event: found.append(read_report(tmp_path))).run()
    assert [len(each["rounds"]) for each in found] == [0, 1, 1, 2]
    assert {each["plan"]["name"] for each in found} == {"Test"}


def test_a_runner_of_another_plan_leaves_the_report_of_the_one_that_lies_there(tmp_path, monkeypatch):
    monkeypatch.setattr("core.federation.flower.runner.check_installed", lambda: None)
    monkeypatch.setattr("core.federation.flower.runner.quiet_flower", lambda folder: None)

    def refuse(self, folder, processes):
        raise FederationError("It can't go on.")

    monkeypatch.setattr(Runner, "_run", refuse)
    before = InProcess(plan(rounds=1), tmp_path, hospitals(NAMES[:2])).run()
    for the_plan, failed in ((plan(rounds=2), None), (plan(rounds=1), "It can't go on.")):
        with pytest.raises(FederationError):
            Runner(the_plan, tmp_path, Keys(*[tmp_path] * 3, {})).run()
        assert read_report(tmp_path) == before | {"failed": failed}
