"""A whole federation in one process: it is cut off, and goes on."""

import pytest

from core.federation.in_process import InProcess
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
