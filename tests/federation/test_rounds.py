"""Rounds of a federation in one process: what each strategy shares, who took part, and what is never done twice."""

import pytest
import torch
from safetensors.torch import load_file

from core.federation.averaging import weighted_average
from core.federation.coordinator import Coordinator, FederationError, combined
from core.federation.in_process import hold_rounds
from core.federation.plan import EXPERTS, HEAD, Order, Plan
from core.federation.policy import Policy, PolicyError, read_policy
from core.federation.site import Answer
from core.federation.strategies import STRATEGIES, held_near, kept_names, statistics_names
from tests.federation.hospitals import NAMES, hospitals, plan


def held(sites, the_plan, folder=None, away=None):
    coordinator = Coordinator(the_plan, folder=folder)
    return coordinator, list(hold_rounds(coordinator, sites, away))


def networks(sites):
    return [site.network("Test") for site in sites]


def differences(states):
    """Names of the entries in which not all states agree."""
    return {name for name in states[0] if any(not torch.equal(states[0][name], state[name]) for state in states[1:])}


def test_a_round_is_the_average_of_what_the_hospitals_learned():
    sites, the_plan = hospitals(), plan(rounds=1)
    coordinator = Coordinator(the_plan)
    order, content = coordinator.order({site.name: len(site.labels) for site in sites}), coordinator.content()
    answers = {site.name: site.answer(order, content, 2) for site in sites}
    coordinator.close(order, answers, {}, 0.0)
    expected = weighted_average([answer.state for answer in answers.values()], [24, 26, 28])
    assert all(torch.equal(coordinator.shared[name], value) for name, value in expected.items())
    assert coordinator.rounds[0].took_part == {"Amsel": 24, "Birke": 26, "Clara": 28}


def test_the_hospitals_learn_to_tell_their_scans_apart():
    sites = hospitals()
    held(sites, plan(rounds=6, steps=6))
    network = plan().network()
    for site in sites:
        network.load_state_dict(site.network("Test"))
        answers = network.eval()(site.pixels).argmax(1)
        assert (answers == site.labels).float().mean() > 0.9


@pytest.mark.parametrize("name", ["fedavg", "fedbn", "medfedpure", "fedprox"])
def test_what_is_kept_differs_at_the_end_and_nothing_else_does(name):
    sites, the_plan = hospitals(), plan(strategy=name, gate_rounds=1)
    coordinator, rounds = held(sites, the_plan)
    network = the_plan.network()
    kept = kept_names(STRATEGIES[name], network, HEAD)
    if not STRATEGIES[name].gated:
        found = networks(sites)
        counters = {key for key in kept if key.endswith("num_batches_tracked")}
        assert differences(found) == kept - counters
        return
    assert [each.phase for each in rounds] == ["experts"] * 3 + ["collect", "gate", "result"]
    assert differences([coordinator.experts[name] for name in NAMES]) >= {"network.fc.weight", "network.bn1.weight"}
    assert {entry.partition(".")[0] for entry in differences(networks(sites))} == {"gate"}
    the_plan.mixture(3).load_state_dict(sites[0].network("Test"))


def test_fedprox_holds_a_network_near_its_start():
    """Loss 0 everywhere and μ = 2: from w = 3 with the start at 1, the term is (3 − 1)² = 4 and its slope 2 · 2 = 4."""
    start, moved = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(start.weight, 1.0)
    torch.nn.init.constant_(moved.weight, 3.0)
    loss = held_near(lambda network, pixels, labels: torch.zeros(()), start, 2.0)(moved, None, None)
    loss.backward()
    assert (loss.item(), moved.weight.grad.item()) == (4.0, 4.0)


def test_who_is_away_is_told_and_takes_part_again():
    _, rounds = held(hospitals(), plan(), away={1: ["Birke"]})
    assert [sorted(each.took_part) for each in rounds[:3]] == [list(NAMES), ["Amsel", "Clara"], list(NAMES)]
    assert rounds[1].absent == {"Birke": "It was away."}


def test_too_few_are_no_round():
    with pytest.raises(FederationError, match="Round 1 got 1 answers, and needs at least 2. Birke: It was away."):
        held(hospitals(NAMES[:2]), plan(), away={0: ["Birke"]})
    with pytest.raises(FederationError, match="at least 2 sites, and there are 1"):
        held(hospitals(NAMES[:1]), plan())


def test_a_federation_that_was_cut_off_ends_as_if_it_had_not_been(tmp_path):
    whole, _ = held(hospitals(), plan())
    sites = hospitals(folder=None)
    trained = []
    for site in sites:
        site.folder, site.begun = tmp_path / site.name, lambda key, name=site.name: trained.append((name, key))
    steps = hold_rounds(Coordinator(plan(), folder=tmp_path), sites)
    next(steps)
    next(steps)
    # The second round was closed and the third begun: two sites had answered when everything ended.
    again = Coordinator(plan(), folder=tmp_path)
    order = again.order({site.name: len(site.labels) for site in sites})
    for site in sites[:2]:
        site.answer(order, again.content(), 2)
    fresh = hospitals()
    for site in fresh:
        site.folder, site.begun = tmp_path / site.name, lambda key, name=site.name: trained.append((name, key))
    resumed = Coordinator(plan(), folder=tmp_path)
    assert resumed.done == 2
    list(hold_rounds(resumed, fresh))
    assert not differences([whole.shared, resumed.shared])
    assert len(trained) == len(set(trained)) == 3 * 4
    assert set(load_file(next((tmp_path / "Amsel").iterdir())))


def test_a_site_trains_nothing_that_is_over():
    sites = hospitals()
    held(sites, plan())
    old = Order(plan(), EXPERTS, 1, partners=NAMES)
    with pytest.raises(ValueError, match="has gone on to Test/result/0 of this federation, and trains nothing twice"):
        sites[0].answer(old, Coordinator(plan()).content(), 2)


def test_numbers_without_end_are_not_sent():
    site, the_plan = hospitals(NAMES[:1])[0], plan(lr=1e30)
    with pytest.raises(ValueError, match="numbers without end"):
        site.answer(Order(the_plan, EXPERTS, 0, images=24), Coordinator(the_plan).content(), 2)


def test_a_damaged_file_says_so(tmp_path):
    (tmp_path / "federation.safetensors").write_bytes(b"none")
    with pytest.raises(FederationError, match="is damaged"):
        Coordinator(plan(), folder=tmp_path)
    with pytest.raises(FederationError, match="another plan"):
        held(hospitals(), plan(), tmp_path / "other")
        Coordinator(plan(rounds=9), folder=tmp_path / "other")


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"strategy": "best"}, "no strategy named 'best'"),
        ({"rounds": 0}, "rounds of a federation must be at least 1"),
        ({"width": 10**6}, "at most 256"),
        ({"lr": float("nan")}, "lr of a federation must be a number"),
        ({"name": ""}, "1 to 60 characters"),
        ({"dishonest": -1}, "at least 0"),
    ],
)
def test_a_plan_that_is_none_says_so(entries, sentence):
    with pytest.raises(ValueError, match=sentence):
        plan(**entries)


def test_an_order_comes_through_as_it_was_sent():
    order = Order(plan(strategy="krum", lr=0.1), EXPERTS, 2, ("a", "b"), ("c",), ("d",), 7, 0.5)
    assert Order.from_json(order.to_json()) == order
    for text in ("{", "[]", "{}", order.to_json().replace('"rounds"', '"ruonds"')):
        with pytest.raises(ValueError, match="no order of a federation"):
            Order.from_json(text)


def answer(count, *numbers):
    return Answer({"w": torch.tensor(numbers), "running_mean": torch.zeros(1)}, count)


def test_robust_rules_by_hand():
    honest = [answer(1, 1.0, 2.0), answer(1, 2.0, 3.0), answer(1, 3.0, 1.0), answer(1, 2.0, 2.0)]
    answers = [*honest, answer(1000, -900.0, 900.0)]
    found = {name: combined(plan(strategy=name), answers)["w"].tolist() for name in ("median", "trimmed-mean", "krum")}
    assert found["median"] == [2.0, 2.0]
    assert found["trimmed-mean"] == pytest.approx([5 / 3, 7 / 3])
    assert found["krum"] in ([1.0, 2.0], [2.0, 2.0], [2.0, 3.0])
    with pytest.raises(ValueError, match="krum needs at least 5 sites, not 4"):
        combined(plan(strategy="krum"), honest)


def test_what_only_some_send_is_averaged_over_those():
    bare = Answer({"w": torch.tensor([4.0])}, 1)
    full = [Answer({"w": torch.tensor([1.0]), "running_mean": torch.tensor([value])}, 1) for value in (2.0, 4.0)]
    assert combined(plan(), [bare, *full]) == {"w": torch.tensor([2.0]), "running_mean": torch.tensor([3.0])}


def statistics(count, value):
    return Answer({"w": torch.tensor([1.0]), "running_mean": torch.tensor([value])}, count)


BARE = Answer({"w": torch.tensor([1.0]), "num_batches_tracked": torch.tensor(3)}, 1)


@pytest.mark.parametrize(("strategy", "mean"), [("median", 2.0), ("trimmed-mean", 7 / 3), ("krum", 2.0)])
def test_a_liar_moves_nothing_of_what_only_some_send_either(strategy, mean):
    answers = [BARE, *(statistics(1, value) for value in (1.0, 2.0, 2.0, 3.0)), statistics(1000, 900.0), BARE, BARE]
    found = combined(plan(strategy=strategy), answers)
    assert found["running_mean"].item() == pytest.approx(mean) and found["num_batches_tracked"].item() == 3


@pytest.mark.parametrize("strategy", ["median", "trimmed-mean", "krum"])
def test_nothing_is_made_of_what_too_few_send_to_outvote_a_liar(strategy):
    answers = [*[BARE] * 3, statistics(1, 2.0), statistics(1, 900.0)]
    assert set(combined(plan(strategy=strategy), answers)) == {"w", "num_batches_tracked"}
    assert "running_mean" in combined(plan(strategy=strategy, dishonest=0), answers)


def test_where_too_few_send_statistics_each_goes_on_with_its_own(tmp_path):
    sites, the_plan = hospitals(), plan(strategy="median", rounds=2)
    sites[0].policy = Policy(sends_statistics=False)
    names, start = statistics_names(the_plan.network()), Coordinator(the_plan).shared
    next(hold_rounds(Coordinator(the_plan, folder=tmp_path), sites))
    coordinator, _ = held(sites, the_plan, tmp_path)
    assert coordinator.undecided == names and not names & set(coordinator.content())
    the_plan.network().load_state_dict(coordinator.shared)
    assert not names & differences([start, coordinator.shared])
    found = networks(sites)
    assert [state["network.bn1.num_batches_tracked"].item() for state in found] == [6, 6, 6]
    assert {"network.bn1.running_mean", "network.bn1.running_var"} <= differences(found) <= names


# What a site's policy forbids.


def asked(policy, partners=2, **more):
    site, the_plan = hospitals(NAMES[:1], policy=policy)[0], plan(**more)
    order = Order(the_plan, EXPERTS, 0, partners=NAMES, images=78)
    return site, site.answer(order, Coordinator(the_plan).content(), partners)


@pytest.mark.parametrize(
    ("policy", "more", "sentence"),
    [
        (Policy(strategies=("fedavg",)), {"strategy": "krum"}, "no part in the strategy krum"),
        (Policy(least_partners=3), {}, "at least 3 others that it knows, not 2"),
        (Policy(steps=2), {}, "at most 2 steps a round, not 3"),
        (Policy(sends_statistics=False), {"strategy": "fedavg-ckks"}, "no gaps"),
    ],
)
def test_a_policy_refuses(policy, more, sentence):
    with pytest.raises(PolicyError, match=sentence):
        asked(policy, **more)


def test_statistics_stay_where_the_policy_says_so():
    _, sent = asked(Policy(sends_statistics=False))
    names = set(plan().network().state_dict())
    assert names - set(sent.state) == statistics_names(plan().network())


@pytest.mark.parametrize("policy", [Policy(sends_statistics=False), Policy(clip=1.0, noise=0.01)])
@pytest.mark.parametrize("strategy", ["fedavg", "median", "fedbn"])
def test_a_site_that_sends_no_statistics_goes_on_with_its_own(policy, strategy):
    """Two rounds of three steps count six batches; what the coordinator has counted none."""
    sites = hospitals(policy=policy)
    steps = hold_rounds(Coordinator(plan(rounds=2, strategy=strategy)), sites)
    held = [(next(steps), networks(sites))[1] for _ in range(3)]
    assert [states[0]["network.bn1.num_batches_tracked"].item() for states in held] == [3, 6, 6]
    for before, after in zip(held[1], held[2]):
        assert all(torch.equal(before[name], after[name]) for name in statistics_names(plan().network()))
    assert {"network.bn1.running_mean", "network.bn1.running_var"} <= differences(held[2])


def test_a_policy_clips_and_adds_noise_that_nobody_can_draw_again():
    start = Coordinator(plan()).content()

    def norm(policy):
        _, sent = asked(policy)
        change = [sent.state[name] - start[name] for name in sent.state if sent.state[name].is_floating_point()]
        return torch.cat([value.flatten() for value in change])

    clipped = norm(Policy(clip=0.01, sends_statistics=False))
    assert clipped.norm().item() == pytest.approx(0.01, rel=1e-3)
    first, second = (norm(Policy(clip=0.01, noise=2.0)) for _ in range(2))
    assert (first - clipped).std().item() == pytest.approx(0.02, rel=0.1)
    assert not torch.equal(first, second)


def test_a_policy_is_read_from_a_file(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text('{"strategies": ["fedavg"], "least_partners": 2, "sends_statistics": false}')
    assert read_policy(path) == Policy(("fedavg",), 2, sends_statistics=False)
    for text, sentence in [
        ("{", "can't be read as a policy"),
        ('{"partners": 2}', "no others"),
        ('{"strategies": ["best"]}', "allows strategies among"),
        ('{"strategies": [["fedavg"]]}', r"allows strategies among .*, not \[\['fedavg'\]\]"),
        ('{"strategies": ["fedavg", {}]}', r"allows strategies among .*, not \[{}\]"),
        ('{"sends_statistics": 1}', "sends_statistics has a value"),
        ('{"noise": 1}', "needs a clip"),
        ('{"least_partners": "2"}', "least_partners has a value"),
    ]:
        path.write_text(text)
        with pytest.raises(PolicyError, match=sentence):
            read_policy(path)


def test_every_strategy_has_a_plan():
    plans = [Plan("x", strategy=name, bundle="brain-mri" if how.asks else "") for name, how in STRATEGIES.items()]
    assert [each.how for each in plans] == list(STRATEGIES.values())
