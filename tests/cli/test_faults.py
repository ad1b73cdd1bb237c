import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.cli import main
from core.faults.samples import labelled_samples

GOLDEN = json.loads((Path(__file__).parent / "golden" / "faults.json").read_text())
QUICK = ["--tensor", "head", "--trials", "3"]  # the last layer alone is soon run again


def answer(capsys, *words):
    status = main(["faults", *words, "--json"])
    printed = capsys.readouterr()
    return status, json.loads(printed.out), printed.err


@pytest.mark.slow
def test_a_campaign_prints_the_golden_shape(capsys):
    status, report, complaint = answer(capsys, *QUICK, "--flips", "8", "--bit", "30")
    assert status == 0 and not complaint
    assert set(report) == set(GOLDEN) and set(report["settings"]) == set(GOLDEN["settings"])
    assert (report["n"], report["trials"], report["flips"], report["accuracy_clean"]) == (12, 3, 8, 1.0)
    again = answer(capsys, *QUICK, "--flips", "8", "--bit", "30")[1]
    assert report["accuracy_faulty"] == again["accuracy_faulty"]


@pytest.mark.slow
def test_the_worst_case_names_its_bit_and_a_guard_sees_it(capsys):
    status, report, _ = answer(capsys, "--worst-case", "--silent", "--tensor", "head", "--guard", "detect")
    assert status == 0 and set(report) == {*GOLDEN, "tensor", "index", "bit", "found"}
    assert report["tensor"].startswith("network.fc.") and report["found"][0]["accuracy"] <= 0.5
    assert (report["alarms"], report["refused"], report["accuracy_faulty"]) == (1.0, 1.0, None)


@pytest.mark.slow
def test_a_repaired_network_answers_as_before(capsys):
    _, report, _ = answer(capsys, *QUICK, "--guard", "repair", "--bit", "30")
    assert (report["alarms"], report["repaired"], report["accuracy_faulty"]) == (1.0, 1.0, report["accuracy_clean"])


@pytest.mark.slow
def test_a_data_set_is_taken_instead_of_the_samples(capsys, sample_set):
    _, report, _ = answer(capsys, *QUICK, "--data", str(sample_set), "--limit", "4")
    assert report["n"] == 4 and report["settings"]["data"] == "samples.npz" and report["settings"]["data_sha256"]


@pytest.mark.slow
def test_a_person_reads_a_figure_a_line(capsys):
    assert main(["faults", *QUICK, "--guard", "detect"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("n = 12, trials: 3, flips at once: 1")
    assert lines[1].split() == ["accuracy_clean", "100.00%"] and lines[2].split() == ["accuracy_faulty", "–"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words, reason",
    [
        (["--bit", "40"], "no bit 40"),
        (["--tensor", "layer9"], "no layer named 'layer9'"),
        (["--tensor", "network.fc.bias", "--flips", "65"], "only 64 such bits"),
        (["--trials", "0"], "at least 1 of trials"),
        (["--flips", "0", "--worst-case"], "at least 1 flip"),
        (["--classifier", "vgg"], "no classifier named 'vgg'"),
        (["--guard", "on"], "no guard named 'on'"),
        (["--kind", "gradient"], "no faults of the kind"),
        (["--format", "float8"], "no number format"),
        (["--silent"], "--worst-case"),
        (["--worst-case", "--bit", "3"], "leave --kind and --bit away"),
        (["--data", "none.npz"], "no data set"),
    ],
)
def test_wrong_words_give_one_sentence_and_status_2(capsys, words, reason):
    assert main(["faults", *words]) == 2
    complaint = capsys.readouterr().err.strip()
    assert reason in complaint and "\n" not in complaint and complaint.endswith(".")


def test_a_policy_names_the_classifier_whose_memory_is_flipped(bundle, monkeypatch):
    asked = []

    def stop(models, options, *_):
        asked.append(options.classifier)
        raise ValueError("Nothing is measured here.")

    monkeypatch.setattr("core.evaluation.fault_report.measured_faults", stop)
    assert main(["faults", "--policy", "hardened"]) == 2 and asked == [bundle.facts["hardened"]]


def test_samples_come_with_the_class_that_their_name_says(bundle):
    pixels, labels = labelled_samples(bundle)
    assert pixels.shape == (12, 1, 128, 128) and sorted(labels.tolist()) == [0] * 6 + [1] * 6
    network = bundle.classifiers["resnet18"]
    assert (network(pixels).argmax(1) == labels).all()


def test_a_bundle_without_samples_asks_for_data(bundle):
    with pytest.raises(ValueError, match="^The bundle cells brings no sample scans; name a data set with --data.$"):
        labelled_samples(replace(bundle, name="cells"))
