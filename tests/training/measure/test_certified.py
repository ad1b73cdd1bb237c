"""Certified accuracy by hand, and a measurement that is cut off, gone on with, and not made twice."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.defence.certificate import SELECTION, SIGMAS, Certificate
from tests.defended import CLASSES, defended_bundle, scans
from training.files import read_results
from training.measure import certified
from training.publish.purification import certified_table

DRAWS = 12


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.setattr(certified, "JOURNALS", tmp_path / "journals")
    return replace(defended_bundle(), folder=tmp_path)


@pytest.fixture
def options():
    return Namespace(data=[Path("/somewhere/discs.npz")], per_site=None, seed=0, limit=4, draws=DRAWS)


def two_sites(count):
    return replace(scans(count), sites=("A",) * (count // 2) + ("B",) * (count - count // 2))


def test_certified_accuracy_by_hand():
    """Of four scans one is certified far, one a little, one certified and wrong, one not at all."""
    labels, agreeing = ("no tumour", "tumour", "tumour", "tumour"), (1000, 750, 1000, 500)
    made = [
        Certificate(label, 0.25, 145, (1, 32, 32), 1000, SELECTION, 1000, hits) for label, hits in zip(labels, agreeing)
    ]
    row = certified.certified_row(made, two_sites(4), CLASSES)
    assert [share["value"] for share in row["certified"]] == [0.5, 0.5, 0.5, *[0.25] * 6, 0.25]
    assert 0.1 < made[1].radius < 0.15 and 0.6 < made[0].radius < 0.62
    assert (row["n"], row["abstained"], row["sites"]["A"]["abstained"], row["sites"]["B"]["abstained"]) == (
        4,
        0.25,
        0,
        0.5,
    )
    assert [row["sites"][site]["certified"][0]["value"] for site in "AB"] == [1.0, 0.0]


def test_it_goes_on_where_it_stopped_and_is_not_made_twice(bundle, options, monkeypatch):
    certify, asked = certified.certify, []

    def cut_off(pixels, *given, **ways):
        if len(asked) == 6:
            raise KeyboardInterrupt
        asked.append(ways["sigma"])
        return certify(pixels, *given, **ways)

    monkeypatch.setattr(certified, "certify", cut_off)
    with pytest.raises(KeyboardInterrupt):
        certified.record_certified(two_sites(6), bundle, options)
    assert [row["sigma"] for row in read_results(bundle.folder)["certified"]["rows"]] == list(SIGMAS[:1])
    asked.clear()
    monkeypatch.setattr(
        certified, "certify", lambda *given, **ways: asked.append(ways["sigma"]) or certify(*given, **ways)
    )
    certified.record_certified(two_sites(6), bundle, options)
    assert asked == [SIGMAS[1]] * 2 + [SIGMAS[2]] * 4
    record = read_results(bundle.folder)["certified"]
    monkeypatch.setattr(certified, "certify", lambda *given, **ways: pytest.fail("measured again"))
    certified.record_certified(two_sites(6), bundle, options)
    assert read_results(bundle.folder)["certified"] == record
    assert record["n"] == 4 and record["draws"] == DRAWS and [row["sigma"] for row in record["rows"]] == list(SIGMAS)
    assert record["command"].endswith("--data discs.npz --bundle tiny-scans --limit 4 --draws 12 --seed 0")


def test_the_table_has_a_line_a_site_and_says_how_it_was_made(bundle, options):
    certified.record_certified(two_sites(6), bundle, options)
    record = read_results(bundle.folder)["certified"]
    lines = certified_table(record)
    assert (
        "12 draws a scan" in lines[0]
        and "wrong with a chance of 1 in 1,000" in lines[0]
        and "n = 4, seed 0" in lines[0]
    )
    assert "8/255 in every pixel has length 1.0." in lines[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[4:-1]]
    assert len({len(row) for row in rows}) == 1 and len(rows) == sum(1 + len(row["sites"]) for row in record["rows"])
    first = record["rows"][0]["certified"][0]
    assert rows[0][:3] == ["0.06", "all", "4"] and rows[0][4].startswith(f"{100 * first['value']:.1f} %")
    assert certified_table({}) == []


def test_the_measured_answers_are_those_of_certify(bundle, options):
    data = scans(2)
    certified.record_certified(data, bundle, options)
    *_, end = certified.certify(data.pixels[0].numpy(), bundle, sigma=SIGMAS[0], draws=DRAWS, seed=0)
    lines = certified.opened_journal(bundle, certified.weights_record(bundle, "resnet18"), DRAWS, 0).lines
    assert (lines[0]["label"], lines[0]["agreeing"], lines[0]["drawn"]) == (end.label, end.agreeing, end.drawn)
    radii = np.array([end.radius], dtype=float)
    assert certified.curve(np.array([True]), radii, np.array(["0"]), np.arange(1))["n"] == 1
