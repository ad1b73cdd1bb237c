"""What is altered and what is misleading: two questions with a budget each, from calibration to the command line."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from core import examine, load_bundle, load_scan
from core.attacks import AttackSettings
from core.bundles.calibration import Borderline, Limits
from core.cli import main
from core.cli.examine import examination_record, examination_text
from core.cli.schema import checked
from core.defence.decision import decide, joint_scores
from core.defence.fitting import CALIBRATED_FALSE_ALARMS, cross_fitted_limits, fitted_limits
from core.defence.profile import check_profile, fit_profile, with_profile, write_profile
from core.defence.profile_file import read_profile
from core.detection.scores import (
    ADDED_ANYHOW,
    AGREEMENT_FLOOR,
    AGREEMENT_OFFSET,
    added_map,
    agreement,
    detection_masks,
    shared_error,
)
from core.evaluation.datasets import image_digest, load_joined
from core.evaluation.evaluation import evaluate, settings_record
from core.evaluation.operating_points import JOINT, operating_point, roc
from core.models.mae import patchify
from core.scans import write_derived_png
from tests.defended import SIDE, defended_bundle, scans
from tests.two_questions import (
    CLASSIFIER,
    NAME,
    PER_SITE,
    SITES,
    calibrated,
    change_limits,
    invented_sites,
    write_bundle,
    write_sites,
)
from training.files import write_facts
from training.measure.calibrate import refit_bundle

LIMITS = Limits(
    {"amv": 1.0, "agreement": 1.0, "instability": 1.0}, 5.0, ((2.0, 40), (float("inf"), 60)),
    altered=("amv", "agreement"),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = write_bundle(tmp_path / "weights")
    change_limits(made)
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", made.parent)
    return made


@pytest.fixture
def scan_file(tmp_path):
    write_derived_png(tmp_path / "scan.png", scans(1).pixels[0, 0].numpy())
    return tmp_path / "scan.png"


def test_altered_is_purified_without_alarm_and_misleading_with_one():
    scores = {"amv": [0.5, 2.5, 0.5, 2.5], "agreement": [0.5] * 4, "instability": [0.5, 0.5, 2.0, 2.0]}
    made = decide(scores, [1.0] * 4, [0.0] * 4, LIMITS)
    assert made.altered.tolist() == [False, True, False, True] and made.flagged.tolist() == [False, False, True, True]
    assert made.t_star.tolist() == [0, 60, 40, 60] and made.overruled.tolist() == [False, True, True, True]
    agreed = decide(scores | {"agreement": [2.0, 0, 0, 0], "amv": [0.5] * 4}, [1.0] * 4, [0.0] * 4, LIMITS)
    assert agreed.altered.tolist() == [True, False, False, False] and not agreed.flagged[0]


def test_a_borderline_answer_to_an_altered_scan_stands():
    limits = replace(LIMITS, borderline=Borderline(0.9, 0.6))
    scores = {"amv": [2.0, 2.0], "agreement": [0.0, 0.0], "instability": [0.5, 0.5]}
    made = decide(scores, [0.8, 0.95], [0.0] * 2, limits)
    assert made.kept_borderline.tolist() == [True, False] and made.overruled.tolist() == [False, True]


def test_limits_of_one_question_call_nothing_altered():
    one = replace(LIMITS, altered=())
    made = decide({"amv": [2.0], "agreement": [0.0], "instability": [0.0]}, [1.0], [0.0], [one])
    assert made.flagged.all() and not made.altered.any()


def test_each_question_has_its_budget_at_every_site():
    calibration = invented_sites(200)
    limits = fitted_limits(calibration)
    assert limits.altered == ("amv", "agreement") and set(limits.thresholds) == {"amv", "agreement", "instability"}
    found = []
    for places in calibration.places.values():
        clean = calibration.part(places).conditions["clean"]
        made = decide(clean.scores, clean.certainty, [0.0] * len(clean), limits)
        found.append((made.altered.mean(), made.flagged.mean()))
    assert all(0 < share <= CALIBRATED_FALSE_ALARMS for share in np.max(found, axis=0))


def test_what_is_benign_has_no_say_in_what_is_altered():
    calibration = invented_sites(200)
    loud = {name: replace(answers, scores={**answers.scores, "amv": [99.0] * 200, "instability": [0.5] * 200})
            for name, answers in calibration.benign.items()}  # fmt: skip
    before, after = (fitted_limits(one) for one in
                     (calibration, replace(calibration, conditions={**calibration.conditions, **loud})))  # fmt: skip
    assert {name: before.thresholds[name] for name in before.altered} == {
        name: after.thresholds[name] for name in after.altered
    }
    assert before.thresholds["instability"] < 0.5 == after.thresholds["instability"]


def test_figures_tell_the_two_apart():
    calibration = invented_sites()
    limits = cross_fitted_limits(calibration)
    point = operating_point(calibration, "pgd 8/255", limits)
    assert point.altered.value > 0.5 > point.flagged.value and point.altered_clean.value < 0.2
    assert roc(calibration, "pgd 8/255", JOINT, limits).auc > 0.8
    clean = calibration.conditions["clean"]
    made = decide(clean.scores, clean.certainty, clean.scope, limits)
    assert ((joint_scores(clean, limits) > 1) == made.altered).all()


def test_agreement_is_what_both_errors_share():
    """Flat grey. The prediction misses .1 everywhere, and the denoiser .2 of it in three quarters of the patches."""
    pixels = torch.full((1, 1, SIDE, SIDE), 0.5)
    light = pixels.clone()
    light[..., : SIDE // 4] = 0.5  # the denoiser finds nothing there
    light[..., SIDE // 4 :] = 0.3
    prediction = patchify(pixels, 8) - 0.1
    shared = shared_error(pixels, prediction, light, 8)
    assert shared.view(4, 4).tolist() == [pytest.approx([0, 0.02, 0.02, 0.02], abs=1e-6)] * 4
    assert agreement(shared).item() == pytest.approx(0.015 + AGREEMENT_OFFSET, rel=1e-3)
    assert agreement(shared_error(pixels, prediction, 1 - light, 8)).item() == pytest.approx(AGREEMENT_FLOOR)
    found = added_map(shared)
    assert found.shape == (1, 4, 4) and not found[0, :, 0].any()  # more than a quarter of what is about is untouched
    assert found[0, :, 3].tolist() == pytest.approx([0.02**0.5 - ADDED_ANYHOW] * 4, rel=1e-4)


def test_the_number_of_masks_belongs_to_the_calibration(folder):
    old, new = defended_bundle(), load_bundle(NAME)
    assert len(detection_masks(old, torch.device("cpu"))) == 4 and len(detection_masks(new, torch.device("cpu"))) == 2


def test_an_altered_scan_is_examined_without_alarm(folder, scan_file):
    change_limits(folder, amv=0.0, agreement=1e9, instability=1e9)
    exam = examine(load_scan(scan_file), load_bundle(NAME))
    found = exam.detection
    assert found.altered and found.altered_by == ("amv",) and not found.flagged and exam.purification
    assert set(found.scores) == {"mae_error", "amv", "agreement", "instability"} and "mae_error" not in found.thresholds
    assert found.added_map.shape == (4, 4) and (found.added_map >= 0).all()
    record = checked("examine", examination_record("scan.png", exam, CLASSIFIER, "clinical"))
    assert record["altered"] and record["purified"] and not record["flagged"] and record["altered_by"] == ["amv"]
    assert "not flagged; altered by amv; purified at t*" in examination_text(record)
    change_limits(folder, amv=1e9)
    quiet = examine(load_scan(scan_file), load_bundle(NAME))
    assert quiet.detection.altered is False and quiet.purification is None


def test_a_profile_has_both_questions(folder):
    bundle = load_bundle(NAME)
    clean = bundle.calibrations[CLASSIFIER].clean
    profile = fit_profile({name: 2 * np.array(values) for name, values in clean.items()}, bundle)
    assert set(profile.groups) == {"altered", "flagged"}
    assert set(profile.thresholds) == {"amv", "agreement", "instability"}
    check_profile(read_profile(write_profile(profile).encode()), bundle)
    assert "are altered" in profile.promise and "are flagged" in profile.promise
    assert with_profile(bundle, profile).limits[CLASSIFIER].altered == ("amv", "agreement")


def test_evaluate_states_both_and_every_site(folder, tmp_path, capsys):
    paths = write_sites(tmp_path)
    words = ["evaluate", "--data", *map(str, paths), "--per-site", "4", "--bundle", NAME, "--attack", "fgsm", "--json"]
    assert main(words) == 0
    report = checked("evaluate", json.loads(capsys.readouterr().out))
    assert report["n"] == 8 and {site: own["n"] for site, own in report["sites"].items()} == dict.fromkeys(SITES, 4)
    assert report["altered_clean"] is not None and "altered" in report["detection"]
    assert report["settings"]["altered"] == ["amv", "agreement"]
    assert main(words[:-1]) == 0 and "at north, n = 4" in capsys.readouterr().out


def test_evaluate_of_one_question_leaves_altered_empty():
    bundle = defended_bundle()
    report = evaluate(scans(2), bundle, attack=AttackSettings("gaussian-noise"))
    assert report["altered_clean"] is report["altered_attacked"] is None and "altered" not in report["detection"]
    assert "altered" not in settings_record(scans(2), bundle, None, AttackSettings(), "val", 0, "")


@pytest.mark.slow
def test_calibration_of_two_sites_makes_such_a_bundle(tmp_path, monkeypatch):
    folder = calibrated(tmp_path / "weights", tmp_path, monkeypatch)
    bundle, facts = load_bundle(NAME), json.loads((folder / "bundle.json").read_text())
    limits = bundle.limits_of(CLASSIFIER)
    assert limits.altered == ("amv", "agreement") and facts["mae"]["masks"] == bundle.mask_count == 2
    assert "mae_error" not in limits.thresholds and bundle.content.agreement_weight is not None
    record = bundle.calibrations[CLASSIFIER]
    assert Counter(record.sites) == dict.fromkeys(SITES, PER_SITE) == Counter(facts["calibrated"]["sites"])
    assert "--per-site 40" in facts["calibrated"]["command"]
    data = load_joined(bundle, [tmp_path / f"{site}.npz" for site in SITES], "val")
    assert set(record.digests) <= {image_digest(pixels) for pixels in data.pixels}
    facts["answers"][CLASSIFIER]["clean"] = "what other weights made"
    write_facts(folder, facts)
    refit_bundle(NAME)
    assert load_bundle(NAME).calibrations[CLASSIFIER].conditions.keys() == record.conditions.keys() - {"clean"}
