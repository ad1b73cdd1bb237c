"""`examine --certify`, with small networks."""

import json
from dataclasses import replace

import pytest

from core.bundles import Bundle
from core.cli import main
from core.cli.schema import checked
from core.defence.certificate import certify
from core.scans import write_derived_png
from tests.defended import defended_bundle, scans


@pytest.fixture
def small(monkeypatch) -> Bundle:
    """The bundle that the command loads."""
    made = defended_bundle()
    monkeypatch.setattr("core.cli.options.load_bundle", lambda *_: made)
    return made


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.png"
    write_derived_png(path, scans(1).pixels[0, 0].numpy())
    return str(path)


def record(capsys, *words):
    assert main(["examine", *words, "--json"]) == 0
    return checked("examine", json.loads(capsys.readouterr().out))


def test_the_record_is_what_certify_gives(capsys, small, scan):
    printed = record(capsys, scan, "--certify", "--sigma", "0.06", "--draws", "12", "--seed", "3")
    told = printed["certificate"]
    pixels = scans(1).pixels[0].numpy()
    *_, made = certify(pixels, small, sigma=0.06, draws=12, seed=3)
    assert (told["label"], told["agreeing"], told["drawn"]) == (made.label, made.agreeing, made.drawn)
    assert told["radius"] == made.radius and told["agrees"] == (made.label == printed["label"])
    assert told["grey_levels"]["one_pixel"] == pytest.approx(255 * (made.radius or 0))


def test_without_it_there_is_none(capsys, small, scan):
    assert record(capsys, scan)["certificate"] is None


def test_a_refused_scan_gets_none(capsys, small, scan):
    far = replace(small.limits["resnet18"], scope_limit=-1.0)
    small.limits["resnet18"] = far
    printed = record(capsys, scan, "--certify")
    assert printed["refused"] and printed["certificate"] is None


def test_the_line_for_a_person_ends_with_it(capsys, small, scan):
    assert main(["examine", scan, "--certify", "--draws", "12"]) == 0
    said = capsys.readouterr().out
    assert "; certified: " in said or "; not certified: under noise the answers differ" in said


@pytest.mark.parametrize(
    "words, reason",
    [
        (["--sigma", "0.1"], "add --certify"),
        (["--draws", "100"], "add --certify"),
        (["--certify", "--all"], "about one slice"),
        (["--certify", "--sigma", "0"], "between 0.01 and 1, not 0"),
        (["--certify", "--sigma", "nan"], "between 0.01 and 1"),
        (["--certify", "--draws", "5"], "at least 10 draws, not 5"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(capsys, small, scan, words, reason):
    assert main(["examine", scan, *words]) == 2
    printed = capsys.readouterr()
    assert reason in printed.err and printed.err.count("\n") == 1 and not printed.out


def test_a_bundle_without_a_denoiser_says_so(capsys, small, scan, monkeypatch):
    monkeypatch.setattr("core.cli.options.load_bundle", lambda *_: replace(small, diffusion=None))
    assert main(["examine", scan, "--certify"]) == 2
    assert capsys.readouterr().err == "The bundle tiny-scans holds no diffusion model, so it can't certify an answer.\n"
