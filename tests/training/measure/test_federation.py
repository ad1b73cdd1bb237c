"""The recorder of the federation, from end to end on five small made-up sites, and what its dishonest sites send."""

import json
from itertools import combinations

import numpy as np
import pytest
import torch

from core.federation.coordinator import Coordinator
from core.federation.record import (
    FLIPPED_LABELS,
    FLIPPED_SIGNS,
    LOCAL,
    POISONS,
    POOLED,
    RULES,
    WAYS,
    RecordError,
    read_record,
)
from tests.federation.hospitals import hospitals, plan
from training.measure import federation
from training.measure.federated.runs import global_rounds, local_rounds, mixture_rounds, mixtures_of, poisoned

SITES = ("A", "B", "C", "D", "E", "small")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five sites of eight scans to train on and four to measure on, brighter with a tumour; and one of two scans."""
    random = np.random.default_rng(0)
    sites = np.repeat(SITES, [12] * 5 + [2])
    labels = np.arange(len(sites)) % 2
    images = random.integers(20, 120, (len(sites), 128, 128)) + 100 * labels[:, None, None]
    split = np.array([0] * 8 + [1] * 4)[np.arange(len(sites)) % 12]
    path = tmp_path_factory.mktemp("made") / "made.npz"
    group = np.arange(len(sites)) // 2
    np.savez(path, image=images.astype(np.uint8), label=labels, group=group, split=split, site=sites)
    return path


@pytest.fixture
def words(data, tmp_path):
    words = ["--data", data, "--rounds", 2, "--gate-rounds", 1, "--steps", 2, "--batch", 4, "--width", 2, "--lr", 0.1]
    return [*words, "--smallest", 8, "--left-out", "E", "--out", tmp_path / "record.json"]


@pytest.mark.slow
def test_everything_is_measured_once_and_read_back(run, words, tmp_path, monkeypatch):
    pytest.importorskip("flwr")
    monkeypatch.setattr(federation, "crossing_bytes", lambda *given: dict.fromkeys(("fedavg", "encrypted"), 8))
    run(federation, *words)
    record = read_record(tmp_path / "record.json")
    assert [site.name for site in record.sites] == list(SITES[:5]) and len(record.rounds) == 2
    for each in record.rounds:
        assert set(each.figures) == set(WAYS) and set(each.figures[LOCAL]) == {*SITES[:5], POOLED}
        assert each.figures[LOCAL][POOLED].n == 20 and each.figures[LOCAL]["A"].groups == 2
        assert all(sum(weights) == pytest.approx(1) and len(weights) == 5 for weights in each.gate.values())
    assert [(row.rule, row.poison) for row in record.poisoned] == [(rule, kind) for rule in RULES for kind in POISONS]
    small, left_out = record.unseen
    assert (small.site, small.n, len(small.trained_on)) == ("small", 2, 5)
    assert (left_out.site, left_out.n, left_out.trained_on) == ("E", 12, ("A", "B", "C", "D"))
    assert not any(site.pictures for site in record.sites)  # nobody said that these may be shown
    before = (tmp_path / "record.json").read_text()
    monkeypatch.setattr(federation.Measurement, "rounds", lambda self: pytest.fail("measured again"))
    run(federation, *words)
    assert (tmp_path / "record.json").read_text() == before
    parts = json.loads(before)
    del parts["parts"]["poison krum"]
    (tmp_path / "record.json").write_text(json.dumps(parts))
    with pytest.raises(RecordError, match="not finished"):
        read_record(tmp_path / "record.json")
    run(federation, *words)
    again = json.loads((tmp_path / "record.json").read_text())["parts"]["poison krum"]["rows"]
    assert again == json.loads(before)["parts"]["poison krum"]["rows"]


def test_too_few_sites_are_refused(run, words):
    with pytest.raises(SystemExit, match="Krum needs five"):
        run(federation, *words, "--smallest", 9)


def test_the_mixture_on_the_side_is_the_federations_own_and_leaves_it_alone():
    own = plan(strategy="medfedpure", rounds=2, gate_rounds=1)
    *_, last = mixture_rounds(own, hospitals())
    expected = mixtures_of(own, hospitals())
    for found, wanted in ((last.shared, expected.shared), *zip(last.own.values(), expected.own.values())):
        assert all(torch.equal(value, wanted.state_dict()[name]) for name, value in found.state_dict().items())


def test_each_site_asks_under_the_gate_that_it_trained_last():
    own = mixtures_of(plan(strategy="medfedpure", gate_rounds=1), hospitals())
    gates = [own.shared.gate.keys, *(mixture.gate.keys for mixture in own.own.values())]
    assert len(own.own) == 3 and not any(torch.equal(gate, other) for gate, other in combinations(gates, 2))
    counts = torch.tensor([len(site.labels) for site in hospitals()]).view(-1, 1, 1)
    assert torch.allclose(gates[0], (torch.stack(gates[1:]) * counts).sum(0) / counts.sum(), atol=1e-6)


def test_alone_a_site_trains_as_if_the_others_were_not_there():
    *_, alone = local_rounds(plan(strategy="medfedpure"), hospitals())
    *_, only = global_rounds(plan(least=1), hospitals()[:1])
    first = alone[hospitals()[0].name].state_dict()
    assert all(torch.equal(value, first[name]) for name, value in only.state_dict().items())


def test_a_dishonest_site_flips_labels_or_what_it_learned():
    honest = hospitals()[0]
    assert torch.equal(poisoned(honest, FLIPPED_LABELS).labels, 1 - honest.labels)
    coordinator = Coordinator(plan(least=1))
    order, shared = coordinator.order({honest.name: 24}), coordinator.content()
    learned, sent = (site.answer(order, shared, 0).state for site in (honest, poisoned(hospitals()[0], FLIPPED_SIGNS)))
    weight, mean = "network.conv1.weight", "network.bn1.running_mean"
    assert torch.allclose(sent[weight] - shared[weight], shared[weight] - learned[weight], atol=1e-7)
    assert torch.equal(sent[mean], learned[mean])
