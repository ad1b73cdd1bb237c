"""python -m core federate: rounds in one process, what it prints, and what it refuses."""

import json
import shutil
import signal

import numpy as np
import pytest
from safetensors.torch import load_file

from core.cli import main
from core.federation.report import read_report

SMALL = ("--width", 2, "--shrink", 4, "--rounds", 1, "--gate-rounds", 1, "--steps", 1, "--batch", 4, "--smallest", 4)


@pytest.fixture
def data(tmp_path):
    """Three sites, of which one has seen two patients alone."""
    sites = np.array(["North"] * 8 + ["South"] * 6 + ["Hut"] * 2)
    images = np.random.default_rng(0).integers(0, 255, (len(sites), 16, 16), dtype=np.uint8)
    path = tmp_path / "brains.npz"
    np.savez(path, image=images, label=np.arange(len(sites)) % 2, site=sites, split=np.zeros(len(sites), int))
    return path


def run(data, out, *more):
    return main(["federate", "run", "--data", str(data), "--out", str(out), "--in-process", *map(str, (*SMALL, *more))])


def test_the_sites_of_a_data_set_train_a_mixture(capsys, data, tmp_path):
    assert run(data, tmp_path / "out", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["finished"] and report == read_report(tmp_path / "out")
    assert [each["phase"] for each in report["rounds"]] == ["experts", "collect", "gate", "result"]
    assert report["rounds"][0]["took_part"] == {"North": 8, "South": 6}


def test_it_is_told_in_words_and_a_finished_one_is_not_held_again(capsys, data, tmp_path):
    assert run(data, tmp_path / "out", "--strategy", "fedavg-ckks") == 0
    first = capsys.readouterr().out
    assert "experts 1: North (8), South (6)." in first and "Finished: 2 rounds." in first
    assert run(data, tmp_path / "out", "--strategy", "fedavg-ckks") == 0
    assert capsys.readouterr().out.startswith("Finished: 2 rounds.")


@pytest.mark.parametrize("trains", ["detector", "purifier"])
def test_a_detector_and_a_purifier_are_trained_together_too(capsys, data, tmp_path, trains):
    small = ("--trains", trains, "--bundle", "blood-cells", "--width", 4)
    assert run(data, tmp_path / "out", *small, "--json") == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert (plan["trains"], plan["strategy"], plan["size"], plan["channels"]) == (trains, "fedavg", 64, 3)
    assert run(data, tmp_path / "other", *small, "--strategy", "medfedpure") == 2
    assert f"A {trains} has no BatchNorm" in capsys.readouterr().err


def test_sites_train_privately_where_their_policy_says_so(capsys, data, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"privacy": {"epsilon": 50}}')
    assert run(data, tmp_path / "out", "--strategy", "fedavg", "--policy", policy) == 0
    report = read_report(tmp_path / "out")
    spent = report["rounds"][0]["privacy"]["North"]
    assert f"North (8, ε {spent['epsilon']:.2f})" in capsys.readouterr().out
    assert (spent["steps"], spent["rate"], spent["delta"]) == (1, 0.5, 1e-5)
    assert run(data, tmp_path / "again", "--strategy", "fedavg", "--policy", policy, "--json") == 0


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--policy", __file__), "can't be read as a policy"),
        (("--smallest", 7), "have 1 sites with at least 7 scans, and a round needs 2"),
        (("--rounds", 0), "rounds of a federation must be at least 1"),
        (("--init", __file__), "holds no weights of the plan's network"),
        (("--split", "test"), "no image of the split 'test'"),
        (("--bundle", "none"), "no bundle named 'none'"),
        (("--bundle", "blood-cells", "--strategy", "token-ckks"), "has no network with a class token"),
    ],
)
def test_bad_input_is_one_sentence(capsys, data, tmp_path, more, sentence):
    assert run(data, tmp_path / "out", *more) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err and len(printed.err.strip().splitlines()) == 1 and not printed.out


def test_a_federation_that_fails_says_so(capsys, data, tmp_path):
    assert run(data, tmp_path / "out", "--strategy", "krum", "--json") == 1
    printed = capsys.readouterr()
    assert "The federation failed. With 1 dishonest sites, krum needs at least 5 sites, not 2." in printed.err
    assert "krum needs" in json.loads(printed.out)["failed"]


def test_another_plan_is_a_failure_and_leaves_what_lies_there(capsys, data, tmp_path):
    assert run(data, tmp_path / "out", "--strategy", "fedavg") == 0
    before = (tmp_path / "out" / "report.json").read_bytes()
    capsys.readouterr()
    assert run(data, tmp_path / "out", "--strategy", "fedavg", "--steps", 2, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert "holds a federation of another plan" in report["failed"]
    assert (report["finished"], report["rounds"], report["plan"]["steps"]) == (False, [], 2)
    assert (tmp_path / "out" / "report.json").read_bytes() == before


def test_a_damaged_federation_is_a_failure_with_and_without_its_report(capsys, data, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "federation.safetensors").write_bytes(b"nothing")
    for rounds in (0, 2):
        assert run(data, out, "--strategy", "fedavg", "--json") == 1
        report = json.loads(capsys.readouterr().out)
        assert "is damaged" in report["failed"] and len(report["rounds"]) == rounds
        assert report == read_report(out)
        shutil.rmtree(out)
        assert run(data, out, "--strategy", "fedavg", "--rounds", 1) == 0
        (out / "federation.safetensors").write_bytes(b"nothing")
        capsys.readouterr()


def test_keys_are_made_once_and_the_secret_ones_are_nobody_elses(capsys, tmp_path):
    for what in (("--site", "north"), ("--server", "localhost"), ("--sum",)):
        assert main(["federate", "keys", *what, "--out", str(tmp_path)]) == 0
        assert main(["federate", "keys", *what, "--out", str(tmp_path)]) == 2
        assert "is there already" in capsys.readouterr().err
    assert all((tmp_path / name).stat().st_mode & 0o077 == 0 for name in ("north", "server.key", "sum.key"))


def test_a_server_and_a_site_name_what_they_lack(capsys, data, tmp_path):
    serve = [
        "federate",
        "serve",
        "--sites",
        str(tmp_path),
        "--certificates",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(serve) == 2
    assert "holds 0 public keys" in capsys.readouterr().err
    site = ["federate", "site", "North", "--data", str(data), "--server", "localhost:1", "--key", str(data)]
    site += ["--certificate", str(tmp_path / "none.pem"), "--out", str(tmp_path / "kept")]
    assert main(site) == 2
    assert "There is no certificate" in capsys.readouterr().err
    site[site.index(str(tmp_path / "none.pem"))] = str(data)
    assert main(site) == 2
    assert "holds no site's private key" in capsys.readouterr().err


def test_without_the_extra_it_says_how_to_get_it(capsys, data, tmp_path, monkeypatch):
    monkeypatch.setattr("core.federation.flower.find_spec", lambda name: None)
    words = ["federate", "run", "--data", str(data), "--out", str(tmp_path / "out"), *map(str, SMALL)]
    assert main(words) == 2
    assert "pip install -r requirements-federation.txt" in capsys.readouterr().err
    assert run(data, tmp_path / "rules", "--strategy", "krum", "--least", 2) == 1
    assert "pip install -r requirements-federation.txt" in capsys.readouterr().err


def test_told_to_end_it_stops_and_says_so(capsys, data, tmp_path, monkeypatch):
    monkeypatch.setattr("core.cli.federate._line", lambda held: signal.raise_signal(signal.SIGTERM))
    assert run(data, tmp_path / "out") == 130
    assert "Stopped." in capsys.readouterr().err
    assert read_report(tmp_path / "out")["finished"] is False
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_one_that_was_killed_goes_on_after_its_last_round(capsys, data, tmp_path, monkeypatch):
    """What lies there after the first round is what a killed process leaves: it has no time to write any more."""

    def line(held):
        if not (tmp_path / "killed").exists():
            shutil.copytree(tmp_path / "out", tmp_path / "killed")
        return held["phase"]

    monkeypatch.setattr("core.cli.federate._line", line)
    more = ("--strategy", "fedavg", "--rounds", 2)
    assert run(data, tmp_path / "out", *more) == 0
    left = read_report(tmp_path / "killed")
    assert len(left["rounds"]) == 1 and not left["finished"]
    assert run(data, tmp_path / "killed", *more) == 0
    assert capsys.readouterr().out.count("experts") == 2 + 1
    whole = read_report(tmp_path / "killed")
    assert whole["finished"] and whole["plan"] == left["plan"]


@pytest.mark.slow
def test_processes_come_to_the_encrypted_mean_that_one_process_comes_to(capsys, data, tmp_path):
    words = ["federate", "run", "--data", str(data), "--strategy", "fedavg-ckks", *map(str, SMALL)]
    assert main([*words, "--out", str(tmp_path / "apart"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["took_part"] for each in report["rounds"]] == [{"North": 8, "South": 6}] * 2
    assert main([*words, "--out", str(tmp_path / "alone"), "--in-process", "--strategy", "fedavg"]) == 0
    apart, alone = (load_file(next((tmp_path / name / "sites" / "0").iterdir())) for name in ("apart", "alone"))
    weights = [name for name, value in alone.items() if name.startswith("own/") and value.is_floating_point()]
    assert weights and max((apart[name] - alone[name]).abs().max().item() for name in weights) < 1e-3
