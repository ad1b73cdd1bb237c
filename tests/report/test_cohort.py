"""A cohort: every scan gets its case, bad ones too, and what is finished outlives the process."""

import io
import json
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.bundles.loading import shipped_names
from core.fidelity.metrics import distance
from core.report.cases import AuditSettings, Case, case_evidence, examined_case, summarised, worst_first
from core.report.cohort import (
    COHORT,
    cohort_cases,
    folder_cohort,
    sample_cohort,
    uploaded_cohort,
)
from core.report.store import CaseStore, run_record
from core.scans import ScanError

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = AuditSettings(seeds=2)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PURESCAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def source(name):
    return next(found for found in sample_cohort() if found.name == name)


def packed(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    return stream.getvalue()


@pytest.fixture(scope="module")
def attacked(bundle):
    found = source("tumour-01-pgd-8.dcm")
    return found, case_evidence(found, bundle, SETTINGS)


def test_the_sample_cohort_has_its_clean_originals():
    sources = sample_cohort()
    attacked = [found for found in sources if found.reference]
    assert len(sources) == 18 and len(attacked) == 6
    assert all(found.name.startswith(found.reference.stem) for found in attacked)
    attacked += [found for name in shipped_names() for found in sample_cohort(name) if found.reference]
    assert {found.name for found in attacked} == {path.name for path in COHORT.glob("*.dcm")}


@pytest.mark.slow
def test_a_flagged_scan_is_measured_on_the_estimate_that_was_decided_on(attacked, bundle):
    found, result = attacked
    case = summarised(found, result)
    assert np.array_equal(result.estimate, result.exam.purification.estimate)
    assert case.flagged and case.changed and case.t_star == result.exam.purification.t_star
    assert (case.undefended, case.purified, case.label) == ("no tumour", "tumour", "tumour")
    assert case.probability == pytest.approx(case.purified_probability)
    assert case.fidelity["ssim"] == distance(result.exam.pixels, result.estimate).ssim
    assert case.to_clean["ssim"] == distance(result.reference, result.estimate).ssim
    assert 255 * case.input_to_clean["linf"] == pytest.approx(8, abs=0.01)
    assert case.excess > 1 and 0 < case.spread < 0.1


def test_a_borderline_answer_stands_in_the_case_too(unsure):
    case = examined_case(source("tumour-01-pgd-8.dcm"), unsure, SETTINGS)
    assert case.flagged and case.kept_borderline and case.changed
    assert case.label == case.undefended and case.probability == case.undefended_probability


def test_a_scan_that_is_not_flagged_is_purified_for_the_audit_alone(bundle):
    case = examined_case(source("tumour-01.dcm"), bundle, SETTINGS)
    assert not case.flagged and case.excess < 1
    assert case.label == case.undefended and case.probability == case.undefended_probability
    assert case.purified_probability != case.probability
    assert case.fidelity["ssim"] < 1 and case.to_clean is None


def test_spread_and_agreement_are_of_the_seeds(attacked, bundle):
    found, first = attacked
    second = case_evidence(found, bundle, replace(SETTINGS, seed=1))
    # Two values lie half their distance from their mean; over two samples that is a deviation of d / sqrt(2). The
    # second seed of the one is the first of the other, unless t* differs.
    assert first.t_star == second.t_star
    apart = np.abs(first.estimate - second.estimate).mean(0) / np.sqrt(2)
    assert np.allclose(first.seeds.spread, apart, atol=1e-6)


def test_bad_files_and_refusals_are_cases_too(bundle):
    colour = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(colour, "PNG")
    archive = packed([("notes.txt", b"no scan at all"), ("photo.png", colour.getvalue())])
    good = source("no-tumour-01.dcm")
    sources = uploaded_cohort([("cohort.zip", archive), (good.name, good.read())])
    cases = dict(cohort_cases(sources, bundle, SETTINGS))
    assert [cases[index].name for index in range(3)] == ["notes.txt", "photo.png", "no-tumour-01.dcm"]
    assert "'notes.txt'" in cases[0].problem and cases[0].label is None
    assert "in colour" in cases[1].refused and cases[1].fidelity is None and cases[1].problem is None
    assert cases[2].label == "no tumour"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_are_read_from_the_archive_one_by_one(bundle):
    archive = packed([("a/x.dcm", b"first"), ("b/x.dcm", b"second"), (".hidden", b"no"), ("a/x.dcm", b"third")])
    sources = uploaded_cohort([("c.zip", archive)])
    assert [found.read() for found in sources] == [b"first", b"second", b"third"]


def test_archives_keep_their_limits(tmp_path):
    with pytest.raises(ScanError, match="leads outside"):
        uploaded_cohort([("c.zip", packed([("../x.dcm", b"x")]))])
    with pytest.raises(ScanError, match="another archive"):
        uploaded_cohort([("c.zip", packed([("inner.zip", packed([("x", b"x")]))]))])
    with pytest.raises(ScanError, match="empty folder"):
        folder_cohort(tmp_path)


def test_a_folder_is_a_cohort(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.dcm").write_bytes(b"b")
    (tmp_path / "a.dcm").write_bytes(b"a")
    sources = folder_cohort(tmp_path)
    assert [(found.name, found.read()) for found in sources] == [("a.dcm", b"a"), ("deep/b.dcm", b"b")]


def fake(found, bundle, settings):
    return Case(found.name, found.sha256, label="tumour", flagged_by=("amv",), fidelity={"ssim": 0.5, "psnr": np.inf})


def test_finished_cases_are_known_again_by_content_and_under_todays_names(bundle, monkeypatch, cache):
    monkeypatch.setattr("core.report.cohort.examined_case", fake)
    sources = uploaded_cohort([("Doe^John.dcm", b"one"), ("Roe^Jane.dcm", b"two"), ("three.dcm", b"three")])
    store = CaseStore(sources, bundle, SETTINGS)
    assert not cache.exists(), "nothing may be written before a scan is finished"
    steps = cohort_cases(sources, bundle, SETTINGS, store)
    done = dict([next(steps), next(steps)])
    text = store.path.read_text()
    assert "Doe" not in text and "Roe" not in text
    renamed = uploaded_cohort([("b.dcm", b"two"), ("c.dcm", b"three"), ("a.dcm", b"one")])
    again = CaseStore(renamed, bundle, SETTINGS)
    assert again.known == {0: replace(done[1], name="b.dcm"), 2: replace(done[0], name="a.dcm")}
    assert [index for index, _ in cohort_cases(renamed, bundle, SETTINGS, again, done=again.known)] == [1]
    assert CaseStore(renamed, bundle, AuditSettings(seeds=2, seed=1)).known == {}
    assert CaseStore(renamed[:2], bundle, SETTINGS).known == {}
    again.forget()
    assert CaseStore(renamed, bundle, SETTINGS).known == {}


def test_two_visitors_with_one_cohort_do_not_spoil_it(bundle, monkeypatch):
    monkeypatch.setattr("core.report.cohort.examined_case", fake)
    sources = uploaded_cohort([("a.dcm", b"one"), ("b.dcm", b"two")])
    first, second = CaseStore(sources, bundle, SETTINGS), CaseStore(sources, bundle, SETTINGS)
    steps = cohort_cases(sources, bundle, SETTINGS, first)
    next(steps)
    second.forget()
    next(steps)  # goes on writing to a file that is no more
    assert list(CaseStore(sources, bundle, SETTINGS).known) == [1]
    dict(cohort_cases(sources, bundle, SETTINGS, CaseStore(sources, bundle, SETTINGS)))
    again = CaseStore(sources, bundle, SETTINGS)
    assert sorted(again.known) == [0, 1] and not again.failed


def test_what_another_visitor_noted_is_known_at_once(bundle, monkeypatch):
    monkeypatch.setattr("core.report.cohort.examined_case", fake)
    sources = uploaded_cohort([("a.dcm", b"one"), ("b.dcm", b"two")])
    first = CaseStore(sources, bundle, SETTINGS)
    assert first.now() == {} and not first.path.exists()
    cases = dict(cohort_cases(sources, bundle, SETTINGS, first))
    second = CaseStore(sources, bundle, SETTINGS)
    second.keep(replace(cases[1], remark="Seen."))
    assert first.known == {} and first.now() == {0: cases[0], 1: replace(cases[1], remark="Seen.")}
    second.note(sources[1].sha256, "Seen twice.")
    assert first.now()[1].remark == "Seen twice."
    second.note(sources[1].sha256, "")
    assert first.now()[1].remark == "" and not first.failed


def test_what_is_begun_anew_keeps_remarks_alone(bundle, monkeypatch):
    monkeypatch.setattr("core.report.cohort.examined_case", fake)
    sources = uploaded_cohort([("a.dcm", b"one"), ("b.dcm", b"two")])
    first, second = CaseStore(sources, bundle, SETTINGS), CaseStore(sources, bundle, SETTINGS)
    cases = dict(cohort_cases(sources, bundle, SETTINGS, first))
    first.forget()
    assert second.now() == {} and not first.path.exists()
    first.keep(replace(cases[0], remark="As it was kept before."))
    first.note(cases[1].sha256, "Seen.")
    second.forget()
    assert first.now() == CaseStore(sources, bundle, SETTINGS).known == {} and not second.failed
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]
    first.note(cases[1].sha256, "Seen, while it is being made again.")
    dict(cohort_cases(sources, bundle, SETTINGS, second))
    known = CaseStore(sources, bundle, SETTINGS).known
    remarks = ["As it was kept before.", "Seen, while it is being made again."]
    assert [known[index].remark for index in (0, 1)] == remarks


def test_nothing_is_kept_of_a_file_that_could_not_be_opened(bundle):
    sources = uploaded_cohort([("Doe^John.txt", b"no scan at all")])
    store = CaseStore(sources, bundle, SETTINGS)
    ((_, case),) = cohort_cases(sources, bundle, SETTINGS, store)
    assert "Doe^John" in case.problem and not store.path.exists()


def test_a_disk_that_takes_nothing_does_not_stop_the_audit(bundle, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PURESCAN_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("core.report.cohort.examined_case", fake)
    sources = uploaded_cohort([("a.dcm", b"one"), ("b.dcm", b"two")])
    store = CaseStore(sources, bundle, SETTINGS)
    assert len(dict(cohort_cases(sources, bundle, SETTINGS, store))) == 2
    assert store.failed


KILLED = """
import os, signal
from core import load_bundle
from core.report import cohort
from core.report.cases import AuditSettings, Case
from core.bundles.calibration import Borderline
cohort.examined_case = lambda found, bundle, settings: Case(found.name, found.sha256, label="tumour")
bundle, settings = load_bundle(), AuditSettings(seeds=2)
sources = cohort.sample_cohort()
for index, case in cohort.cohort_cases(sources, bundle, settings, cohort.CaseStore(sources, bundle, settings)):
    if index == 4:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_killing_the_process_loses_no_finished_scan(bundle, cache):
    ended = subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert sorted(CaseStore(sample_cohort(), bundle, SETTINGS).known) == [0, 1, 2, 3, 4]


def test_a_case_survives_json(attacked):
    case = summarised(*attacked)
    text = json.dumps(case.numbers())
    assert case.name not in text
    assert Case.from_numbers(json.loads(text), case.name) == case


def test_worst_comes_first():
    def case(name, ssim=None, purified="tumour"):
        fidelity = ssim and {"ssim": ssim}
        return Case(name, name, undefended="tumour", purified=ssim and purified, fidelity=fidelity)

    cases = [case("refused"), case("good", 0.9), case("bad", 0.5), case("changed", 0.8, "no tumour")]
    assert [found.name for found in worst_first(cases)] == ["changed", "bad", "good", "refused"]
    turned = [replace(cases[3], name=truth, truth=truth) for truth in (cases[3].purified, cases[3].undefended)]
    assert [found.effect for found in worst_first([cases[3], *turned])] == ["broken", "changed", "restored"]


def test_the_run_names_weights_and_settings_but_no_file(bundle):
    run = run_record(uploaded_cohort([("Doe^John.dcm", b"one")]), bundle, SETTINGS)
    assert run["weights_sha256"]["unet.safetensors"] == bundle.hashes["unet.safetensors"]
    assert (run["seed"], run["seeds"], run["classifier"]) == (0, 2, bundle.default_classifier)
    assert "Doe" not in json.dumps(run)


def test_one_seed_has_no_spread():
    with pytest.raises(ValueError, match="at least 2"):
        AuditSettings(seeds=1)
