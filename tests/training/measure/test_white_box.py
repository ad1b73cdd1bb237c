"""Rows of attackers who know the defence: which there are, what is kept of earlier ones, and what is written."""

import argparse
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import training.measure.white_box as measure
from core.attacks import find_method, sees_defence
from core.bundles import weights_record
from core.evaluation.white_box.readings import READINGS
from core.evaluation.white_box.record import KEY, made_with_today, measured_rows, record_of_today
from core.evaluation.white_box.sanity import MeasuredRow, verdicts
from tests.defended import invented_calibration
from tests.graded import Brightness, graded_bundle, graded_scans
from training.measure.white_box import (
    BALLS,
    all_rows,
    chosen_rows,
    record_white_box,
)
from training.publish.headlines import readme_table
from training.publish.white_box import headline_cells, site_lines, white_box_page, white_box_tables


def options(**changes):
    usual = {"data": [Path("a.npz")], "per_site": None, "bundle": "brain-mri", "seed": 0, "limit": 6, "take": None}
    usual |= {"steps": 2, "eot": 2, "queries": 2, "only": None, "out": None, "policy": "clinical"}
    return argparse.Namespace(**usual | changes)


def test_every_row_is_an_attack_that_there_is_and_has_a_name_of_its_own():
    rows = list(all_rows(options()))
    assert len({row.name for row in rows}) == len(rows) > 30
    for row in rows[1:]:
        find_method(row.attack)
        assert sees_defence(row.attack) != row.name.startswith("transfer")
    assert {(row.attack.norm, row.attack.eps) for row in rows} == {*BALLS, ("linf", 64)}


@pytest.mark.parametrize("strong", [{}, {"steps": 200, "eot": 20}])
def test_the_rows_hold_all_that_the_tests_for_masked_gradients_compare(strong):
    groups = [str(place) for place in range(8)]
    rows = [MeasuredRow(row.attack, dict.fromkeys(READINGS, "w" * 8)) for row in all_rows(options(**strong))]
    assert {verdict.state for verdict in verdicts(rows, groups) if verdict} == {"green"}


def test_only_names_rows_by_their_words():
    def names(*only):
        return [row.name for row in chosen_rows(options(only=list(only)))]

    assert names("transfer linf 8", "rays linf 8") == ["transfer pgd linf 8", "query rays linf 8"]
    assert names("exact linf pgd")[:2] == ["exact pgd linf 64", "exact pgd linf 8"]
    assert len(names("")) == len(chosen_rows(options())) and not names("magic")


def test_the_command_of_a_row_measures_that_row_alone():
    for row in all_rows(options()):
        words = shlex.split(measure.row_command(row, options()))
        assert chosen_rows(options(only=[words[words.index("--only") + 1]])) == [row]


@pytest.fixture
def counted(monkeypatch):
    """The names of the rows that were measured, as they are."""
    asked, real = [], measure.measure
    monkeypatch.setattr(measure, "measure", lambda row, *rest: asked.append(row.name) or real(row, *rest))
    return asked


def test_a_row_is_written_when_it_is_whole_and_not_measured_again(tmp_path, counted, monkeypatch):
    data, bundle, out = graded_scans(4), graded_bundle(), tmp_path / "rows.json"
    how = options(out=out, only=["no attack", "transfer linf 8"])
    record_white_box(data, bundle, chosen_rows(how), how)
    record = json.loads(out.read_text())[KEY]
    assert [row["name"] for row in record["rows"]] == counted == ["no attack", "transfer pgd linf 8"]
    assert record["scans"]["groups"] == list(data.groups) and set(record["scans"]["sites"]) == {"north", "south"}
    assert record["rows"][1]["command"].endswith("--only 'transfer pgd linf 8'")
    assert 0.9 < record["rows"][1]["longest"] < 1.001

    counted.clear()
    record_white_box(data, bundle, chosen_rows(how), how)
    assert not counted and json.loads(out.read_text())[KEY] == record

    more = options(out=out, only=["transfer linf 8"], steps=3)
    record_white_box(data, bundle, chosen_rows(more), more)
    assert counted == ["transfer pgd linf 8"] and len(json.loads(out.read_text())[KEY]["rows"]) == 3

    other = replace(bundle, hashes={name: "9" * 64 for name in bundle.hashes})
    record_white_box(data, other, chosen_rows(more), more)
    assert len(counted) == 2 and len(json.loads(out.read_text())[KEY]["rows"]) == 1


def test_rows_of_another_machine_are_taken_over(tmp_path, counted):
    data, bundle, theirs = graded_scans(2), graded_bundle(), tmp_path / "theirs" / "rows.json"
    theirs.parent.mkdir()
    how = options(out=theirs, only=["no attack"])
    record_white_box(data, bundle, chosen_rows(how), how)
    counted.clear()
    here = replace(bundle, folder=tmp_path)
    (tmp_path / "results.json").write_text(json.dumps({"other": 1}))
    record_white_box(data, here, [], options(take=theirs))
    report = json.loads((tmp_path / "results.json").read_text())
    assert [row["name"] for row in report[KEY]["rows"]] == ["no attack"] and report["other"] == 1 and not counted


def test_measured_rows_are_not_replaced_by_those_of_other_scans_or_another_seed(tmp_path, counted):
    bundle, results = replace(graded_bundle(), folder=tmp_path), tmp_path / "results.json"
    how = options(only=["no attack"])
    measure_into(tmp_path, graded_scans(4), bundle, how)
    measured = results.read_text()
    for scans, seed in ((graded_scans(2), 0), (graded_scans(4), 1)):
        other = options(only=["no attack"], seed=seed)
        with pytest.raises(SystemExit, match=r"of other scans or another seed, .* give --out FILE"):
            record_white_box(scans, bundle, chosen_rows(other), other)
        assert results.read_text() == measured
        other.out = tmp_path / "trial.json"
        record_white_box(scans, bundle, chosen_rows(other), other)
        assert results.read_text() == measured and json.loads(other.out.read_text())[KEY]["rows"]
    record_white_box(graded_scans(4), bundle, chosen_rows(how), how)
    assert results.read_text() == measured and len(counted) == 3


def measure_into(folder, data, bundle, how):
    """Rows into results.json, by a file: what is kept of each scan meanwhile is beside that."""
    by = options(**vars(how) | {"out": folder / "by" / "rows.json"})
    by.out.parent.mkdir()
    record_white_box(data, bundle, chosen_rows(by), by)
    record_white_box(data, bundle, [], options(**vars(how) | {"take": by.out}))


def test_a_file_without_a_row_of_these_scans_is_refused(tmp_path):
    bundle, theirs = replace(graded_bundle(), folder=tmp_path), tmp_path / "rows.json"
    how = options(out=theirs, only=["no attack"])
    record_white_box(graded_scans(2), bundle, chosen_rows(how), how)
    for file in (theirs, tmp_path / "none.json"):
        with pytest.raises(SystemExit, match=f"{file.name} holds no row"):
            record_white_box(graded_scans(4), bundle, [], options(take=file))
    assert not (tmp_path / "results.json").exists()


def test_an_unknown_row_is_refused_with_the_names_that_there_are(monkeypatch, capsys):
    monkeypatch.setattr(measure, "load_bundle", lambda name: graded_bundle())
    monkeypatch.setattr(measure, "measured_collections", lambda bundle, options: graded_scans(4))
    monkeypatch.setattr(sys, "argv", ["white_box", "--data", "a.npz", "--only", "magic"])
    with pytest.raises(SystemExit):
        measure.main()
    assert "query rays linf 8" in capsys.readouterr().err


def recorded(letters="w"):
    """A record with all rows, of which nothing was measured."""
    groups = [str(place) for place in range(8)]
    rows = []
    for row in all_rows(options()):
        word = ("." if row.attack.method is None else letters) * 8
        reading = measure_reading(word, groups)
        rows.append(
            {"name": row.name, "attack": vars(row.attack), "title": row.name, "n": 8, "longest": 1.0, "minutes": 0.1}
            | {"undefended": 0.5, "undefended_interval": [0.2, 0.8], "device": "cpu", "precision": "float32"}
            | {"command": "python -m x", "readings": dict.fromkeys(READINGS, reading)}
        )
    scans = {"groups": groups, "sites": ["north"] * 8}
    return {"classifier": "resnet18", "seed": 0, "scans": scans, "rows": rows}


def test_what_is_left_at_every_site_is_told_where_there_are_several():
    record = recorded()
    assert site_lines(record, True) == []
    record["scans"]["sites"] = ["north"] * 5 + ["south"] * 3
    for row in record["rows"]:
        row["readings"] = row["readings"] | {"single": measure_reading("..w..www", record["scans"]["groups"])}
    lines = site_lines(record, True)
    assert sum("| no attack |" in line for line in lines) == 2 and not any("64/255" in line for line in lines)
    worst = [line for line in lines if "8/255" in line]
    assert worst[0].split(" | ")[1:4] == ["north", "5", "80.0 % (40.0–100.0)"]
    assert worst[1].split(" | ")[1:4] == ["south", "3", "0.0 % (0.0–0.0)"]
    assert len(worst[0].split(" | ")) == 7 and len(site_lines(record, False)[-2].split(" | ")) == 5


def measure_reading(word, groups):
    from core.evaluation.white_box.readings import reading_report

    return reading_report(word, groups)


def test_the_page_has_a_table_a_reading_and_says_what_the_tests_found():
    record = recorded()
    lines = white_box_tables(record)
    assert all(any(line.startswith(f"**{name.capitalize()}**") for line in lines) for name in READINGS)
    assert sum("| green |" in line for line in lines) >= 4 * len(BALLS) and not any(
        "withdrawn |" in line for line in lines
    )
    assert sum("the worst of" in line for line in lines) == 4 * len(BALLS)
    assert len(measured_rows(record)) == len(record["rows"])
    alone = white_box_tables(record, purifies=False)
    assert sum("the worst of" in line for line in alone) == len(BALLS)
    assert sum("All four readings" in line for line in alone) == 1
    masked = recorded(letters=".")
    assert any(
        "| withdrawn | At ε = 64/255 100.0% of the answers are still right" in line for line in white_box_tables(masked)
    )
    assert len(headline_cells(record)) == len(BALLS) and not headline_cells(masked) and not headline_cells({})


def test_a_headline_tells_how_many_attacks_were_made_against_the_defence():
    record = recorded()
    for (norm, eps), cells in zip(BALLS, headline_cells(record), strict=True):
        names = [row["name"] for row in record["rows"] if (row["attack"]["norm"], row["attack"]["eps"]) == (norm, eps)]
        against = [name for name in names if not name.startswith(("no attack", "transfer"))]
        attacks = [name for name in names if name != "no attack"]
        assert len(against) == len(attacks) - 1
        assert f"the worst of {len(attacks)} attacks for each scan, {len(against)} of them made against" in cells[0]


def test_what_was_not_measured_is_said(tmp_path):
    assert "Not measured" in white_box_page([replace(graded_bundle(), folder=tmp_path)])


def test_rows_of_other_weights_or_limits_are_not_published_as_those_of_today(tmp_path):
    bundle = replace(graded_bundle(), folder=tmp_path, facts=graded_bundle().facts | {"calibrated": {"groups": 8}})
    shares = {name: 0.5 for name in ("clean_accuracy", "defended_clean_accuracy")}
    shares |= {name: 0.5 for name in ("attacked_accuracy", "defended_attacked_accuracy")}
    plain = shares | {"n": 8, "intervals": {}, "settings": {"seed": 0, "classifier": "resnet18"}}
    rows = [{"condition": name, "title": name, "report": plain} for name in ("clean", "pgd 8/255")]
    report = {
        "rows": rows,
        "slow": [],
        KEY: recorded() | {"made_with": made_with_today(bundle, bundle.default_classifier)},
    }
    (tmp_path / "results.json").write_text(json.dumps(report))

    def published(bundle):
        lines = [*readme_table(bundle), white_box_page([bundle])]
        return ["made against the defence" in "".join(lines[:-1]), "Not measured" not in lines[-1]]

    assert published(bundle) == [True, True]
    assert published(replace(bundle, hashes=bundle.hashes | {"mae.safetensors": "9" * 64})) == [False, False]
    limits = {name: replace(own, scope_limit=7.0) for name, own in bundle.limits.items()}
    assert published(replace(bundle, limits=limits)) == [False, False]
    calibrations = {name: invented_calibration(90) for name in bundle.calibrations}
    assert published(replace(bundle, calibrations=calibrations)) == [False, False]


def test_what_is_measured_tells_what_it_was_made_with(tmp_path):
    bundle, how = replace(graded_bundle(), folder=tmp_path), options(only=["no attack"])
    measure_into(tmp_path, graded_scans(2), bundle, how)
    assert record_of_today(bundle)["made_with"]["weights_sha256"] == weights_record(bundle, bundle.default_classifier)


def hardened_bundle(folder):
    """The graded defence with a second classifier, which says the opposite, for the hardened policy."""
    bundle, network = graded_bundle(), Brightness(-50.0).eval().requires_grad_(False)
    own = bundle.default_classifier
    return replace(
        bundle,
        folder=folder,
        classifiers=bundle.classifiers | {"hardened": network},
        facts=bundle.facts | {"hardened": "hardened"},
        limits=bundle.limits | {"hardened": replace(bundle.limits[own], purifies=False)},
        calibrations=bundle.calibrations | {"hardened": replace(bundle.calibrations[own], purifies=False)},
    )


def test_a_policy_has_rows_of_its_own(tmp_path):
    bundle, rows = hardened_bundle(tmp_path), ["no attack", "exact pgd linf 8"]
    for policy in ("clinical", "hardened"):
        (tmp_path / policy).mkdir()
        measure_into(tmp_path / policy, graded_scans(4), bundle, options(only=rows, policy=policy))
    clinical, hardened = record_of_today(bundle), record_of_today(bundle, "hardened")
    assert [record["classifier"] for record in (clinical, hardened)] == ["resnet18", "hardened"]
    shares = [record["rows"][0]["undefended"] for record in (clinical, hardened)]
    assert shares == [1.0, 0.0]
    assert "--policy hardened" in hardened["rows"][1]["command"] and "--policy" not in clinical["rows"][1]["command"]
    page = white_box_page([bundle])
    assert page.index("### The clinical policy") < page.index("### The hardened policy")


def test_the_command_asks_for_a_policy(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["white_box", "--data", "a.npz", "--policy", "hardened", "--limit", "7"])
    monkeypatch.setattr(measure, "load_bundle", lambda name: graded_bundle())
    monkeypatch.setattr(measure, "measured_collections", lambda bundle, given: graded_scans(4))
    asked = []
    monkeypatch.setattr(measure, "record_white_box", lambda data, bundle, rows, given: asked.append(given.policy))
    measure.main()
    assert asked == ["hardened"]
