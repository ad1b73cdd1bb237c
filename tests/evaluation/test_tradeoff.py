import dataclasses
import json

import pytest

from core.bundles.calibration import Calibration, Responses
from core.evaluation.operating_points import Share
from core.evaluation.tradeoff import (
    Point,
    entry_of_today,
    family_today,
    made_with_today,
    pareto,
    recorded_points,
    results_entry,
    row_points,
    rows_of_today,
    tradeoff,
)


def point(ssim, accuracy):
    return Point("one-step", 40, 1, "clean", Share(accuracy, 0, 1, 10), ssim)


def test_the_front_by_hand():
    best, likest, beaten, worse = point(0.7, 0.99), point(0.9, 0.9), point(0.8, 0.85), point(0.7, 0.95)
    assert pareto([likest, worse, beaten, best]) == [best, likest]
    assert pareto([]) == []


def responses(estimates, ssim):
    return Responses([0, 0, 0, 0], [1.0] * 4, {}, [0.0] * 4, {40: estimates}, {40: ssim}, {})


def test_recorded_answers_by_hand():
    clean = responses([0, 0, 1, 1], [0.9, 0.9, 0.8, 0.8])
    attacked = responses([1, 0, 1, 1], [0.5, 0.5, 0.5, 0.9])
    few = dataclasses.replace(clean, undefended=[0])
    conditions = {"clean": clean, "pgd 8/255": attacked, "pgd 4/255": few, "gamma 1": clean}
    points = recorded_points(Calibration(list("abcd"), [""] * 4, [0, 0, 1, 1], conditions))
    assert [made.condition for made in points] == ["clean", "pgd 8/255"]  # not of all scans, and no attack
    assert points[0].accuracy == (1, 1, 1, 4) and points[0].ssim == pytest.approx(0.85)
    assert points[1].accuracy.value == 0.75 and points[1].ssim == pytest.approx(0.6)
    assert points[1].t == 40 and points[1].lesion is None


def test_a_row_of_the_comparison():
    row = {"method": "median", "t": None, "steps": 1, "n": 60, "clean": 0.9, "attacked_8": 0.4, "ms": 3.0}
    row |= {"ssim_clean": 0.8, "ssim_attacked_8": 0.7, "lesion_clean": {"contrast_kept": 0.95}}
    row |= {"intervals": {"clean": [0.85, 0.94], "attacked_8": [0.3, 0.5]}, "lesion_attacked_8": None}
    clean, attacked = row_points(row)
    assert clean == Point("median", None, 1, "clean", Share(0.9, 0.85, 0.94, 60), 0.8, 0.95, 3.0)
    assert (attacked.condition, attacked.ssim, attacked.lesion) == ("pgd 8/255", 0.7, None)


def test_the_bundle_tells_something(bundle, tmp_path):
    record = tradeoff(bundle)
    assert record.command and {"clean", "pgd 8/255"} <= {made.condition for made in record.points}
    assert record.compared == bool(entry_of_today(bundle, "purifiers").get("rows"))
    assert results_entry(tmp_path, "purifiers") == {}


def test_figures_of_other_weights_or_of_another_ladder_are_not_told(bundle, tmp_path):
    def told(made_with):
        record = {"variation": {"made_with": made_with, "n": 7}}
        (tmp_path / "results.json").write_text(json.dumps(record), encoding="utf-8")
        return entry_of_today(elsewhere, "variation")

    elsewhere, today = dataclasses.replace(bundle, folder=tmp_path), made_with_today(bundle)
    assert told(today)["n"] == 7
    assert told(today | {"ladder": "()"}) == told(today | {"weights_sha256": {}}) == told(None) == {}
    default, robust = bundle.default_classifier, bundle.answering(bundle.default_classifier)
    files = {name: bundle.facts["classifiers"][name]["file"] for name in (default, robust)}
    assert robust != default and set(files.values()) & set(today["weights_sha256"]) == {files[default]}


def test_a_row_hangs_on_the_networks_of_its_own_purifier_alone(bundle, tmp_path):
    hashes = dict(bundle.hashes) | {"mask_dit.safetensors": "today"}
    facts = dict(bundle.facts) | {"mask_dit": {"file": "mask_dit.safetensors"}}
    elsewhere = dataclasses.replace(bundle, folder=tmp_path, hashes=hashes, facts=facts)
    assert family_today(elsewhere, "maskdit-pure") == {"mask_dit.safetensors": "today"}
    assert family_today(elsewhere, "mae-pure") == {}

    def told(family):
        rows = [{"row": "median n=9"}, {"row": "maskdit-pure n=9", "family": family}]
        record = {"purifiers": {"made_with": made_with_today(elsewhere), "rows": rows}}
        (tmp_path / "results.json").write_text(json.dumps(record), encoding="utf-8")
        return [row["row"] for row in rows_of_today(elsewhere, "purifiers")["rows"]]

    assert told({"mask_dit.safetensors": "today"}) == ["median n=9", "maskdit-pure n=9"]
    assert told({"mask_dit.safetensors": "of yesterday"}) == ["median n=9"]
