"""Rounds of a federation whose updates the server adds and can't read."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.federation.averaging import weighted_average
from core.federation.coordinator import Coordinator, FederationError
from core.federation.encrypted import SumKey, added
from core.federation.in_process import hold_rounds
from core.federation.plan import EXPERTS, RESULT, Order
from core.federation.policy import Policy, guarded
from tests.federation.hospitals import NAMES, hospitals, plan


def networks(sites):
    return [site.network("Test") for site in sites]


def floats(state):
    return {name: value for name, value in state.items() if value.is_floating_point()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def encrypted(sites):
    key = SumKey()
    for site in sites:
        site.key = SumKey(key.secret)
    return sites


@pytest.mark.parametrize(("away", "summed"), [((), 1.0), (("Clara",), 50 / 78)])
def test_the_encrypted_average_is_the_plain_one_within_a_thousandth(away, summed):
    """After one round: later ones begin with weights that differ, and training amplifies a difference of 1e-5."""
    plain, secret = hospitals(), encrypted(hospitals())
    list(hold_rounds(Coordinator(plan(rounds=1)), plain, away={0: away}))
    coordinator = Coordinator(plan(rounds=1, strategy="fedavg-ckks"))
    rounds = list(hold_rounds(coordinator, secret, away={0: away}))
    weights = [name for name, value in plain[0].network("Test").items() if value.is_floating_point()]
    for mine, other in zip(networks(plain), networks(secret)):
        assert max((mine[name] - other[name]).abs().max().item() for name in weights) < 1e-3
    assert all(name.startswith("ciphertext.") for name in coordinator.shared)
    assert coordinator.summed == pytest.approx(summed) and set(rounds[0].took_part) == set(NAMES) - set(away)


@pytest.mark.parametrize("clip", [math.inf, 0.01])
def test_an_encrypted_round_held_again_with_others_is_weighed_by_those(tmp_path, clip):
    """Amsel had answered for all three sites when everything ended; then Clara is away from the start."""
    the_plan, names = plan(rounds=2, strategy="fedavg-ckks"), NAMES[:2]
    key, trained = SumKey(), []

    def sites():
        made = hospitals(names, policy=Policy(clip=clip))
        for site in made:
            site.key, site.folder, site.begun = SumKey(key.secret), tmp_path / site.name, trained.append
        return made

    coordinator = Coordinator(the_plan)
    next(hold_rounds(coordinator, sites()))
    order, content = coordinator.order({"Amsel": 24, "Birke": 26, "Clara": 28}), coordinator.content()
    first = sites()[0].answer(order, content, 2)

    two = sites()
    order = coordinator.order({"Amsel": 24, "Birke": 26})
    answers = {site.name: site.answer(order, content, 1) for site in two}
    assert answers["Amsel"].again and not answers["Birke"].again and len(trained) == 4
    asked_again = sites()[0].answer(order, content, 1)
    assert asked_again.again and same(asked_again.state, answers["Amsel"].state)
    assert not same(first.state, answers["Amsel"].state)

    like = the_plan.network().state_dict()
    start = key.decrypted(content, like, coordinator.summed)
    coordinator.close(order, answers, {}, 0.0)
    assert coordinator.summed == 1.0
    found = key.decrypted(coordinator.shared, like, coordinator.summed)
    own = [
        guarded(Policy(clip=clip), the_plan.network(), floats(state), start, np.random.default_rng())
        for state in networks(two)
    ]
    expected = weighted_average(own, [24, 26])
    assert max((found[name] - value).abs().max().item() for name, value in expected.items()) < 1e-3


def test_layers_may_be_larger_than_a_ciphertext():
    numbers = torch.Generator().manual_seed(0)
    states = [{"w": torch.randn((60, 100), generator=numbers), "v": torch.full((3,), 900.0)} for _ in range(2)]
    key = SumKey()
    sent = [key.encrypted(state, 0.5) for state in states]
    assert len(sent[0]) == 4  # 6003 numbers, 1984 a ciphertext
    total, refused = added(dict(zip(NAMES, sent)), states[0])
    assert not refused
    mean = key.decrypted(total, states[0], 1.0)
    assert (mean["w"] - (states[0]["w"] + states[1]["w"]) / 2).abs().max() < 1e-3
    assert mean["v"].tolist() == pytest.approx([900.0] * 3, abs=1e-3)


@pytest.mark.parametrize("liars", [("Clara",), ("Amsel",), ("Amsel", "Birke")])
@pytest.mark.parametrize("broken", [lambda state: {}, lambda state: {name: each * 0 for name, each in state.items()}])
def test_who_sends_no_ciphertexts_counts_as_absent(broken, liars):
    sites, coordinator = encrypted(hospitals()), Coordinator(plan(rounds=2, least=1, strategy="fedavg-ckks"))
    order, content = coordinator.order({"Amsel": 24, "Birke": 26, "Clara": 28}), coordinator.content()
    answers = {site.name: site.answer(order, content, 2) for site in sites}
    for name in liars:
        answers[name] = replace(answers[name], state=broken(answers[name].state))
    held = coordinator.close(order, answers, {}, 0.0)
    honest = [site for site in sites if site.name not in liars]
    assert set(held.took_part) == {site.name for site in honest} and set(held.absent) == set(liars)
    assert all("encrypted" in why or "ciphertexts" in why for why in held.absent.values())
    found = sites[0].key.decrypted(coordinator.shared, plan().network().state_dict(), coordinator.summed)
    counts = [answers[site.name].count for site in honest]
    wanted = weighted_average([floats(state) for state in networks(honest)], counts)
    assert max((found[name] - value).abs().max().item() for name, value in wanted.items()) < 1e-3
    assert list(hold_rounds(coordinator, sites))[-1].phase == RESULT


def test_too_few_that_can_be_read_end_the_round_and_say_why():
    sites, coordinator = encrypted(hospitals()), Coordinator(plan(rounds=1, strategy="fedavg-ckks", least=3))
    order = coordinator.order({"Amsel": 24, "Birke": 26, "Clara": 28})
    answers = {site.name: site.answer(order, coordinator.content(), 1) for site in sites}
    answers["Clara"] = replace(answers["Clara"], state={})
    with pytest.raises(FederationError, match="got 2 answers, and needs at least 3. Clara: Its encrypted update"):
        coordinator.close(order, answers, {}, 0.0)


def test_encrypted_sums_refuse_what_does_not_fit():
    key, state, the_plan = SumKey(), {"w": torch.ones(5)}, plan(strategy="fedavg-ckks")
    sent = key.encrypted(state, 1.0)
    with pytest.raises(ValueError, match="not made for this key"):
        SumKey().decrypted(added({"Amsel": sent}, state)[0], state, 1.0)
    with pytest.raises(ValueError, match="within ± 16"):
        key.encrypted({"w": torch.full((1,), 2000.0)}, 1.0)
    with pytest.raises(ValueError, match="nothing was added up"):
        key.decrypted(sent, state, 0.0)
    with pytest.raises(ValueError, match="no key for encrypted sums"):
        hospitals(NAMES[:1])[0].answer(Order(the_plan, EXPERTS, 0, images=24), Coordinator(the_plan).content(), 2)
    with pytest.raises(FederationError, match="at most 8 sites, not 9"):
        Coordinator(the_plan).order({str(place): 1 for place in range(9)})
