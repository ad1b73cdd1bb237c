"""A detector and a purifier that hospitals train together, as MedFedPure has them before its classifier."""

import pytest
import torch
from safetensors.torch import load_file

from core.bundles.loading import WEIGHTS
from core.federation.averaging import weighted_average
from core.federation.coordinator import NETWORK, Coordinator, FederationError, read_start
from core.federation.encrypted import SumKey
from core.federation.in_process import hold_rounds
from core.federation.losses import LOSSES, prepared
from core.federation.plan import CLASSIFIER, DETECTOR, PURIFIER, Order, Plan
from core.federation.policy import Policy
from core.federation.privacy import Privacy
from tests.federation.hospitals import hospitals, plan, scans

IMAGES = (DETECTOR, PURIFIER)
FILES = {DETECTOR: "mae", PURIFIER: "unet"}


def image_plan(trains, **more):
    return plan(**({"trains": trains, "size": 32, "width": 4, "rounds": 2, "steps": 4, "lr": 0.02} | more))


def loss_of(network, trains):
    """The loss on scans that no hospital has, with the same masks or noise every time."""
    pixels, labels = scans(9)
    with torch.no_grad():
        drawn = prepared(network, pixels, torch.Generator().manual_seed(1))
        return float(LOSSES[trains](network, drawn, labels))


@pytest.mark.parametrize("trains", IMAGES)
def test_hospitals_learn_it_together_and_twice_the_same(trains):
    the_plan = image_plan(trains, rounds=4, steps=12)
    found = []
    for _ in range(2):
        coordinator = Coordinator(the_plan)
        torch.rand(3)  # what else is drawn meanwhile changes nothing
        list(hold_rounds(coordinator, hospitals()))
        found.append(coordinator.shared)
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())
    network = the_plan.network()
    network.load_state_dict(the_plan.first_network())
    before = loss_of(network, trains)
    network.load_state_dict(found[0])
    assert loss_of(network, trains) < 0.8 * before


@pytest.mark.parametrize("trains", IMAGES)
def test_a_round_is_the_average_of_what_they_learned(trains):
    sites, coordinator = hospitals(), Coordinator(image_plan(trains))
    order, content = coordinator.order({site.name: len(site.labels) for site in sites}), coordinator.content()
    answers = {site.name: site.answer(order, content, 2) for site in sites}
    coordinator.close(order, answers, {}, 0.0)
    expected = weighted_average([answer.state for answer in answers.values()], [24, 26, 28])
    assert all(torch.equal(coordinator.shared[name], value) for name, value in expected.items())


def test_what_is_hidden_and_how_much_noise_there_is_comes_from_the_rounds_generator_alone():
    pixels, _ = scans(0)
    for trains in IMAGES:
        network = image_plan(trains).network()
        first, again, other = (prepared(network, pixels, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
        assert all(torch.equal(left, right) for left, right in zip(first, again))
        assert not all(torch.equal(left, right) for left, right in zip(first, other))
    assert prepared(plan().network(), pixels, torch.Generator()) is pixels


@pytest.mark.parametrize("trains", IMAGES)
def test_it_can_begin_with_the_shipped_weights(trains):
    path = WEIGHTS / "brain-mri" / f"{FILES[trains]}.safetensors"
    state = read_start(Plan("Test", trains=trains), path)
    assert set(state) == set(load_file(path))
    with pytest.raises(FederationError, match="holds no weights of the plan's network"):
        read_start(Plan("Test"), path)


@pytest.mark.parametrize("strategy", ["fedavg", "fedavg-ckks"])
def test_what_came_of_it_can_be_begun_with_unless_the_server_cannot_read_it(tmp_path, strategy):
    the_plan, key = image_plan(DETECTOR, strategy=strategy, rounds=1, steps=1), SumKey()
    coordinator = Coordinator(the_plan, folder=tmp_path)
    list(hold_rounds(coordinator, hospitals(key=key)))
    if strategy == "fedavg-ckks":
        assert not (tmp_path / NETWORK).exists()
        return
    state = read_start(the_plan, tmp_path / NETWORK)
    assert all(torch.equal(state[name], value) for name, value in coordinator.shared.items())


def test_no_network_is_left_where_each_site_has_another_and_a_whole_one_where_statistics_stayed(tmp_path):
    list(hold_rounds(Coordinator(plan(strategy="fedbn", rounds=1), folder=tmp_path / "own"), hospitals()))
    assert not (tmp_path / "own" / NETWORK).exists()
    the_plan, sites = plan(strategy="median", rounds=1), hospitals(policy=Policy(sends_statistics=False))
    list(hold_rounds(Coordinator(the_plan, folder=tmp_path / "median"), sites))
    assert read_start(the_plan, tmp_path / "median" / NETWORK)


def test_a_plan_that_cannot_be_is_one_sentence():
    with pytest.raises(ValueError, match="A purifier has no BatchNorm, head or class token; .* fedavg"):
        image_plan(PURIFIER, strategy="medfedpure")
    with pytest.raises(ValueError, match="side is a multiple of 16, and an even width of at most 64; not 28 and 4"):
        image_plan(DETECTOR, size=28)
    with pytest.raises(ValueError, match="not 32 and 128"):
        image_plan(PURIFIER, width=128)
    with pytest.raises(ValueError, match="trains one of purifier, detector, classifier, not 'head'"):
        plan(trains="head")
    with pytest.raises(ValueError, match="size of a federation is at most 512"):
        image_plan(DETECTOR, size=1024)
    assert plan(size=28).trains == CLASSIFIER


def test_a_site_that_sends_no_statistics_takes_part_encrypted_where_there_are_none():
    sites = hospitals(policy=Policy(sends_statistics=False), key=SumKey())
    coordinator = Coordinator(image_plan(DETECTOR, strategy="fedavg-ckks", rounds=1, steps=1))
    assert [len(each.took_part) for each in hold_rounds(coordinator, sites)] == [3, 3]


def test_a_site_that_trains_privately_takes_no_part():
    site = hospitals(policy=Policy(privacy=Privacy()))[0]
    coordinator = Coordinator(image_plan(DETECTOR))
    with pytest.raises(ValueError, match="Amsel trains privately, which is there for classifiers alone"):
        site.answer(coordinator.order({"Amsel": 24, "Birke": 26}), coordinator.content(), 2)


def test_a_hospital_reads_what_it_shall_train_from_the_order():
    order = Order(image_plan(PURIFIER), "experts", 1)
    assert Order.from_json(order.to_json()) == order
