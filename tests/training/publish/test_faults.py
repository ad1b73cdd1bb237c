"""What the page on faults says, from figures that are known."""

import pytest

from core.faults.record import (
    AttackRow,
    BitRow,
    CleanRow,
    CorruptionRow,
    ExpertRow,
    FaultRecord,
    FlipRow,
    GuardRow,
    WorstRow,
)
from core.faults.study import Study
from training.publish import faults
from training.publish.fault_details import guarded_table
from training.publish.fault_records import comparable, weakest
from training.publish.fault_verdicts import (
    Loss,
    experts_verdicts,
    losses,
    mean_loss,
    robustness,
    settled,
    who_breaks_first,
)
from training.publish.faults import bits_table, faults_page, repaired


def row(kind, accuracy, half=0.02, **facts):
    interval = None if accuracy is None else (accuracy - half, accuracy + half)
    shares = {"label_changes": 0.1, "non_finite": 0.05, "worst": accuracy, "trials": 10}
    return kind(accuracy=accuracy, interval=interval, **shares | facts)


def recorded(name, data="d", **studies):
    command = f"python -m training.measure.faults --data {data} --classifier {name}"
    kept = {study: Study(tuple(rows), 64, 0, command, "") for study, rows in studies.items()}
    return FaultRecord("brain-mri", name, kept, frozenset(), None)


def network(name, damaged, attacked=0.5, noisy=0.5, half=0.02):
    return recorded(
        name,
        flips=[row(FlipRow, 1.0, 0, flips=0), row(FlipRow, 0.95, flips=1), row(FlipRow, damaged, half, flips=16)],
        attacks=[AttackRow(method="pgd", eps=4, steps=10, accuracy=attacked, interval=(0, 1))],
        corruptions=[CorruptionRow(name="patchdrop", severity=1, accuracy=noisy, interval=(0, 1))],
    )


def worst(silent, accuracy):
    place = {"tensor": "head.weight", "element": 7, "bit": 30, "form": "float32", "field": "exponent"}
    found = {"loss": 9.0, "tried": 5, "seconds": 2.0, "detected": True, "repaired": True}
    return WorstRow(silent=silent, index=0, accuracy=accuracy, **place, **found)


@pytest.fixture
def three():
    found = [network("resnet18", 0.7, 0.0, 0.9), network("mamba", 0.8, 0.1, 0.8), network("dwf", 0.9, 0.7, 0.7)]
    return {record.classifier: record for record in found}


def test_who_loses_most_breaks_first(three):
    assert list(losses(three)) == ["dwf", "mamba", "resnet18"]
    (text,) = who_breaks_first(three)
    assert "resnet18 loses most, 30.0 points (28.0 to 32.0), and dwf least, 10.0 points" in text
    assert "not settled" not in text
    blurred = three | {"resnet18": network("resnet18", 0.7, half=0.25)}
    assert "not settled" in who_breaks_first(blurred)[0]
    assert who_breaks_first({"dwf": three["dwf"]}) == []


def test_the_one_that_stands_attacks_best_is_ranked_by_its_loss_to_flips(three):
    attacks, corruptions = robustness(three)
    assert "stands PGD at 4/255 best (dwf, 70.0 %) loses 10.0 points" in attacks and "less than any other" in attacks
    assert "stands the corruptions best (resnet18, 90.0 %)" in corruptions and "more than 2 of the 2" in corruptions
    assert robustness({"dwf": three["dwf"]}) == []


def test_only_networks_that_were_asked_about_the_same_scans_are_compared(three, monkeypatch):
    elsewhere = recorded("resnet18", "a.npz b.npz", flips=three["resnet18"].rows("flips"))
    found = three | {"resnet18": elsewhere}
    assert [list(group) for group in comparable(found)] == [["resnet18"], ["mamba", "dwf"]]
    monkeypatch.setattr(faults, "fault_records", lambda _: found)
    page = faults_page([type("Named", (), {"name": "brain-mri"})()])
    first, second = page.split("### resnet18: scans of a, b")[1].split("### mamba, dwf: scans of d")
    assert "--data a.npz b.npz`: split val, n = 64" in first and "loses most" not in first
    assert "mamba loses most, 20.0 points" in second and "resnet18" not in second
    (summary,) = (line for line in page.splitlines() if line.startswith("| brain-mri, resnet18"))
    assert summary.endswith("| a, b |")


def test_studies_of_one_network_on_several_sets_of_scans_stand_apart(three):
    record = three["dwf"]
    other = recorded("dwf", "a.npz", attacks=record.rows("attacks"))
    mixed = FaultRecord("brain-mri", "dwf", {**record.studies, **other.studies}, frozenset(), None)
    kept = [{name: set(found.studies) for name, found in group.items()} for group in comparable({"dwf": mixed})]
    assert kept == [{"dwf": {"flips", "corruptions"}}, {"dwf": {"attacks"}}]


def test_losses_that_overlap_are_not_settled():
    assert settled(Loss(0.1, 0.05, 0.15), Loss(0.2, 0.16, 0.3)) == ""
    assert "not settled" in settled(Loss(0.2, 0.14, 0.3), Loss(0.1, 0.05, 0.15))
    assert mean_loss([Loss(0.1, 0.07, 0.13), Loss(0.3, 0.26, 0.34)]) == pytest.approx((0.2, 0.175, 0.225))


def test_experts_are_told_apart_by_what_they_were_trained_on():
    rows = []
    for name, damaged in (("Clean", 0.5), ("FGSM 0.02", 0.8), ("PGD-2", 0.9)):
        facts = {"expert": name, "training": ""}
        rows += [row(ExpertRow, 1.0, 0, flips=0, **facts), row(ExpertRow, damaged, flips=16, **facts)]
    (text,) = experts_verdicts({"dwf": recorded("dwf", experts=rows)})
    assert "attacked scans lose 15.0 points" in text and "less than" in text and "50.0 points" in text
    assert experts_verdicts({"pair": recorded("pair", experts=rows[:2])}) == []


def test_the_share_repaired_counts_trials():
    facts = {"damage": "weights", "guard": "repair"}
    rows = [
        row(GuardRow, 1.0, flips=1, repaired=1.0, **facts),
        row(GuardRow, 1.0, flips=16, repaired=0.5, trials=30, **facts),
    ]
    rows += [row(GuardRow, 1.0, flips=1, damage="activations", guard="repair", repaired=None)]
    assert repaired(recorded("dwf", guard=rows)) == pytest.approx(0.625)
    assert repaired(recorded("dwf")) is None


def test_a_guard_that_refuses_everything_has_no_accuracy():
    modes = {"off": (0.8, 0, 0), "detect": (None, 1, 1), "repair": (1.0, 1, 0)}
    rows = [
        row(GuardRow, accuracy, damage="weights", flips=1, guard=mode, alarms=alarms, refused=refused)
        for mode, (accuracy, alarms, refused) in modes.items()
    ]
    line = guarded_table({"dwf": recorded("dwf", guard=rows)})[4]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[:2] == ["dwf", "weights, 1"] and cells[2].startswith("80.0 %")
    assert cells[3:5] == ["100.0 %", "100.0 %"] and cells[5].startswith("100.0 %")


def test_mantissa_bits_share_a_row():
    places = [(22, "mantissa", 0.9), (23, "exponent", 0.8), (21, "mantissa", 0.7), (31, "sign", 0.6)]
    rows = [row(BitRow, accuracy, form="float32", bit=bit, field=name) for bit, name, accuracy in places]
    lines = bits_table({"dwf": recorded("dwf", bits=rows)})
    assert [line.split("|")[1].strip() for line in lines[4:7]] == [
        "31, sign",
        "23, exponent",
        "22 to 21, mantissa, mean",
    ]
    assert "80.0 % (78.0–82.0)" in lines[6]


def test_the_weakest_come_first_only_where_there_are_too_many():
    rows = [row(FlipRow, accuracy, flips=1) for accuracy in (0.9, 0.5, 0.7)]
    assert weakest(rows, 3) == rows
    assert [found.accuracy for found in weakest(rows, 2)] == [0.5, 0.7]


def test_the_page_has_a_row_a_network_and_says_where_nothing_is_known(three, monkeypatch):
    full = (
        three["mamba"].studies
        | recorded(
            "mamba",
            worst_case=[worst(False, 0.25), worst(True, 0.5)],
            clean_runs=[CleanRow(scans="val", runs=1000, weight_alarms=0, range_alarms=0)],
        ).studies
    )
    three["mamba"] = FaultRecord("brain-mri", "mamba", full, frozenset(), None)
    bundle = type("Named", (), {"name": "brain-mri"})()
    monkeypatch.setattr(faults, "fault_records", lambda _: three)
    lines = faults_page([bundle]).splitlines()
    cells = [cell.strip() for cell in next(line for line in lines if "brain-mri, mamba" in line).split("|")[1:-1]]
    assert cells[1].startswith("100.0 %") and cells[3].startswith("80.0 %")
    assert cells[4:6] == ["25.0 %", "50.0 %"] and cells[8] == "0 of 1,000"
    assert sum("mamba to 50.0 %" in line for line in lines) == 1
    monkeypatch.setattr(faults, "fault_records", lambda _: {})
    page = faults_page([bundle])
    assert "Not measured yet" in page and "|" not in page
