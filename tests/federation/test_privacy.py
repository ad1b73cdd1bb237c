"""Private training on a site: what bounds a scan's part in it, what it costs over rounds, and what ends it."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from core.federation.averaging import ClientSettings
from core.federation.coordinator import Coordinator
from core.federation.flower.messages import answer_record, read_answer
from core.federation.in_process import hold_rounds
from core.federation.losses import expert_loss, gate_loss
from core.federation.plan import EXPERTS
from core.federation.policy import Policy, PolicyError, read_policy
from core.federation.privacy import Privacy
from core.federation.privacy.account import Account, Spent, epsilon
from core.federation.privacy.training import clipped_sum, private_update, sampling_rate
from core.federation.site import ACCOUNT, Answer
from core.federation.strategies import held_near, statistics_names
from tests.federation.hospitals import NAMES, hospitals, plan, scans

LOSS = partial(expert_loss, exact=True)
ROOMY = Policy(privacy=Privacy(epsilon=100.0))


def fresh(network):
    network.load_state_dict(plan().first_state(network))
    return network.eval()


def norm(state):
    return math.sqrt(sum(float(value.double().square().sum()) for value in state.values()))


def difference(first, second):
    return {name: first[name] - second[name] for name in first}


@pytest.fixture(scope="module")
def network():
    return fresh(plan().network())


# How far one scan reaches.


@pytest.mark.parametrize("clip", [0.05, 2.0, 1e6])
def test_one_scan_more_or_less_moves_the_sum_by_no_more_than_the_clip(network, clip):
    pixels, labels = scans(0, 12)
    whole = clipped_sum(network, pixels, labels, clip, LOSS)
    for place in range(len(labels)):
        left = torch.arange(len(labels)) != place
        moved = norm(difference(whole, clipped_sum(network, pixels[left], labels[left], clip, LOSS)))
        assert moved <= clip * 1.0001
        if clip == 0.05:  # every scan's gradient is longer
            assert moved == pytest.approx(clip, rel=1e-3)


def test_a_scan_without_a_finite_gradient_counts_for_nothing(network):
    pixels, labels = scans(0, 3)
    pixels[1] = math.nan
    whole = clipped_sum(network, pixels, labels, 1.0, LOSS)
    others = clipped_sum(network, pixels[[0, 2]], labels[[0, 2]], 1.0, LOSS)
    assert norm(difference(whole, others)) < 1e-5
    assert norm(clipped_sum(network, pixels[:0], labels[:0], 1.0, LOSS)) == 0


def test_without_a_clip_it_is_the_gradient_of_all(network):
    """FedProx's term and the gate's loss, too, can be asked about one scan at a time."""
    pixels, labels = scans(0, 10)
    mixture = fresh(plan().mixture(2))
    for whole, loss in (
        (network, LOSS),
        (network, held_near(LOSS, fresh(plan(seed=1).network()), 0.5)),
        (mixture, partial(gate_loss, exact=True)),
    ):
        found = clipped_sum(whole, pixels, labels, 1e9, loss)
        trained = {name: weight for name, weight in whole.named_parameters() if weight.requires_grad}
        expected = torch.autograd.grad(loss(whole, pixels, labels), list(trained.values()))
        assert set(found) == set(trained)
        for name, value in zip(trained, expected):
            assert torch.allclose(found[name] / len(labels), value, atol=1e-5)


def test_a_step_has_the_noise_that_is_accounted_and_leaves_statistics_alone(network):
    settings = ClientSettings(1, 8, 1.0, momentum=0.0, weight_decay=0.0)
    privacy, before = Privacy(clip=1e-6, noise=2.0), network.state_dict()
    changes = []
    for seed in (0, 1):
        random = np.random.default_rng(seed)
        after = private_update(network, *scans(0), settings, privacy, random, LOSS).state
        changed = difference(after, before)
        assert not any(changed[name].any() for name in statistics_names(network))
        changes.append(torch.cat([changed[name].flatten() for name, _ in network.named_parameters()]))
    # Clipped, 8 gradients of norm 1e-6 are lost in noise of 2e-6 on each of thousands of numbers.
    assert changes[0].std().item() == pytest.approx(2.0 * 1e-6 / 8, rel=0.1)
    assert abs(torch.corrcoef(torch.stack(changes))[0, 1].item()) < 0.1


# What it costs.


@pytest.mark.parametrize(("noise", "epochs", "published"), [(1.3, 15, 1.18), (1.1, 60, 3.01), (0.7, 45, 7.10)])
def test_epsilon_is_the_librarys_and_within_what_was_published(noise, epochs, published):
    """MNIST of 60,000 images in batches of 250 at δ = 1e-5: the table of TensorFlow Privacy's tutorials.

    The table turns Rényi's divergences into ε as Mironov 2017 (proposition 3) does, at fewer orders; today's conversion
    is tighter.
    """
    from opacus.accountants import RDPAccountant, create_accountant
    from opacus.accountants.analysis.rdp import compute_rdp

    rate, steps, orders = 250 / 60_000, epochs * 240, RDPAccountant.DEFAULT_ALPHAS
    ours = epsilon([Spent("", noise, rate, steps)], 1e-5)
    accountant = create_accountant("rdp")
    accountant.history = [(noise, rate, steps)]
    assert ours == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-3)
    rdp = compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=orders)
    old = min(value + math.log(1e5) / (order - 1) for value, order in zip(rdp, orders))
    assert old == pytest.approx(published, rel=0.02) and 0.75 * published < ours < published


def test_epsilon_of_parts_is_that_of_the_whole_and_nothing_costs_nothing():
    whole = epsilon([Spent("", 1.0, 0.1, 30)], 1e-5)
    assert epsilon([Spent("a", 1.0, 0.1, 10), Spent("b", 1.0, 0.1, 20)], 1e-5) == pytest.approx(whole)
    assert epsilon([Spent("", 1.0, 0.1, 31)], 1e-5) > whole > 0 and epsilon([], 1e-5) == 0


def held(sites, the_plan, folder=None):
    coordinator = Coordinator(the_plan, folder=folder)
    return coordinator, list(hold_rounds(coordinator, sites))


def test_the_report_names_what_was_spent_by_site_and_round():
    sites = hospitals()
    sites[0].policy = ROOMY
    coordinator, rounds = held(sites, plan(strategy="medfedpure", rounds=2, gate_rounds=1))
    assert [list(each.privacy) for each in rounds] == [["Amsel"], ["Amsel"], [], ["Amsel"], []]
    spent = [each.privacy["Amsel"] for each in rounds if each.privacy]
    assert [own["steps"] for own in spent] == [3, 6, 9]
    assert spent[0]["epsilon"] < spent[1]["epsilon"] < spent[2]["epsilon"]
    rate = sampling_rate(8, 24)
    assert spent[2] == {
        "epsilon": epsilon([Spent("", 1.0, rate, 9)], 1e-5),
        "delta": 1e-5,
        "steps": 9,
        "rate": rate,
        "noise": 1.0,
        "clip": 1.0,
    }
    statistics = statistics_names(plan().network())
    own, start = coordinator.experts["Amsel"], Coordinator(plan()).content()
    assert all(torch.equal(own[name], start[name]) for name in statistics)


def test_hospitals_that_train_privately_learn_all_the_same():
    sites, the_plan = (
        hospitals(policy=Policy(privacy=Privacy(epsilon=1000.0, noise=0.3))),
        plan(rounds=6, steps=6, width=8),
    )
    held(sites, the_plan)
    network = the_plan.network()
    for site in sites:
        network.load_state_dict(site.network("Test"))
        assert (network.eval()(site.pixels).argmax(1) == site.labels).float().mean() > 0.9


def test_the_budget_ends_it():
    sites, each = hospitals(), Spent("", 1.0, 8 / 24, 3)
    sites[0].policy = Policy(privacy=Privacy(epsilon=epsilon([each, each], 1e-5) + 1e-6))
    _, rounds = held(sites, plan())
    assert [sorted(one.took_part) for one in rounds] == [list(NAMES), list(NAMES), list(NAMES[1:]), list(NAMES)]
    assert "This site trains no further" in rounds[2].absent["Amsel"] and "Amsel" not in rounds[3].privacy


def test_a_restart_forgets_nothing_and_a_repeated_round_is_not_counted_twice(tmp_path):
    def site():
        made = hospitals(NAMES[:1], policy=ROOMY)[0]
        made.folder = tmp_path
        return made

    coordinator = Coordinator(plan())
    order, content = coordinator.order({name: 24 for name in NAMES}), coordinator.content()
    first, again = site().answer(order, content, 2), site().answer(order, content, 2)
    assert again.again and again.privacy == first.privacy
    assert Account(tmp_path / ACCOUNT).entries == [Spent(order.key, 1.0, 8 / 24, 3)]
    other = Coordinator(plan(name="Another"))
    later = site().answer(other.order({name: 24 for name in NAMES}), other.content(), 2)
    assert later.privacy["steps"] == 6 and later.privacy["epsilon"] > first.privacy["epsilon"]
    (tmp_path / ACCOUNT).write_text("[{")
    with pytest.raises(ValueError, match="privacy.json is damaged"):
        site().answer(coordinator.order({name: 24 for name in NAMES}), content, 2)


def test_what_was_spent_travels_and_nothing_else_does():
    for spent in ({}, Account(entries=[Spent("a", 1.0, 0.1, 3)]).record("a", Privacy())):
        answer = Answer({"w": torch.ones(1)}, 5, privacy=spent)
        assert read_answer(answer_record(answer)).privacy == spent
    with pytest.raises(ValueError, match="no message of a federation"):
        read_answer(answer_record(Answer({"w": torch.ones(1)}, 5, privacy={"scan": 1.0})))


# What a policy says of it.


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"privacy": 8}', "privacy has a value"),
        ('{"privacy": {"budget": 8}}', "epsilon, delta, clip, noise and no others"),
        ('{"privacy": {"noise": 0}}', "must be numbers above 0"),
        ('{"privacy": {"delta": 1}}', "delta lie in"),
        ('{"privacy": {"clip": "1"}}', "clip has a value"),
    ],
)
def test_a_policy_that_promises_nothing_is_refused(tmp_path, text, sentence):
    path = tmp_path / "policy.json"
    path.write_text(text)
    with pytest.raises(PolicyError, match=sentence):
        read_policy(path)


def test_it_is_read_from_a_file_and_needs_what_keeps_the_account(tmp_path, monkeypatch):
    path = tmp_path / "policy.json"
    path.write_text('{"privacy": {"epsilon": 3}}')
    assert read_policy(path) == Policy(privacy=Privacy(epsilon=3))
    monkeypatch.setattr("core.federation.privacy.find_spec", lambda name: None)
    with pytest.raises(PolicyError, match="pip install -r requirements-federation.txt"):
        read_policy(path)


def test_a_delta_that_would_give_a_scan_away_whole_is_refused():
    site = hospitals(NAMES[:1], policy=Policy(privacy=Privacy(delta=0.05)))[0]
    coordinator = Coordinator(plan())
    order = coordinator.order({name: 24 for name in NAMES})
    assert order.phase == EXPERTS
    with pytest.raises(ValueError, match="24 scans needs a delta below 1 / 24"):
        site.answer(order, coordinator.content(), 2)
