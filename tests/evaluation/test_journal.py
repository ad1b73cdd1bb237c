"""Lines survive a kill, whatever was being written."""

import json
from pathlib import Path

import pytest

from core.evaluation.journal import Journal, cache_folder

RUN = {"seed": 0}


def test_lines_come_back_and_a_torn_one_is_cut_off(tmp_path):
    path = tmp_path / "a.jsonl"
    first = Journal(path, RUN)
    first.add({"n": 1})
    first.add({"n": 2})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"n": 3, "tor')
    again = Journal(path, RUN)
    assert again.lines == ({"n": 1}, {"n": 2})
    assert path.read_bytes() == whole
    again.add({"n": 3})
    assert Journal(path, RUN).lines[-1] == {"n": 3}


@pytest.mark.parametrize("kept", [0, 5, 20])
def test_a_journal_that_was_torn_in_its_first_line_begins_anew(tmp_path, kept):
    path = tmp_path / "a.jsonl"
    Journal(path, RUN).add({"n": 1})
    path.write_bytes(path.read_bytes()[:kept])
    journal = Journal(path, RUN)
    assert journal.lines == ()
    journal.add({"n": 2})
    assert Journal(path, RUN).lines == ({"n": 2},)


@pytest.mark.parametrize("emptied", [False, True])
def test_a_journal_that_another_deleted_begins_as_this_runs(tmp_path, emptied):
    path = tmp_path / "a.jsonl"
    journal = Journal(path, RUN)
    path.write_bytes(b"") if emptied else path.unlink()
    for number in (1, 2):
        journal.add({"n": number})
    assert journal.now() == Journal(path, RUN).lines == ({"n": 1}, {"n": 2})


def test_another_runs_journal_and_a_strangers_file_are_left_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    Journal(path, RUN).add({"n": 1})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="another evaluation"):
        Journal(path, {"seed": 1})
    assert path.read_bytes() == before
    path.write_text("notes without an end of line")
    with pytest.raises(ValueError, match="another evaluation"):
        Journal(path, RUN)
    assert path.read_text() == "notes without an end of line"


def test_a_line_that_a_full_disk_cut_short_costs_no_other(tmp_path):
    path = tmp_path / "a.jsonl"
    Journal(path, RUN).add({"n": 1})
    with path.open("a") as file:
        file.write('{"n": 2, \n' + json.dumps({"n": 3}) + "\n")
    assert Journal(path, RUN).lines == ({"n": 1}, {"n": 3})


def test_the_cache_lies_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PURESCAN_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("PURESCAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "purescan"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "purescan"
