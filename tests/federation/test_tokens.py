"""Hospitals ask about encrypted class tokens: answered as in the clear, by a server that reads neither."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.bundles import Bundle
from core.federation.coordinator import NETWORK, Coordinator, FederationError
from core.federation.in_process import hold_rounds
from core.federation.plan import Plan
from core.federation.policy import Policy
from core.federation.site import ANSWERS, Site
from core.federation.tokens import Questions, answered
from core.models.vit import TOKEN, class_tokens
from tests.cells import CLASSES, NAME, cell


def pixels_of(count, first):
    pixels = torch.stack([torch.from_numpy(cell(first + place)).float() for place in range(count)]).permute(0, 3, 1, 2)
    return torch.nn.functional.interpolate(pixels, (32, 32))


def hospitals(**more):
    """Of five scans and of three, of which it is said that all are of class 0."""
    return [
        Site(name, pixels_of(count, first), torch.zeros(count, dtype=torch.long), **more)
        for name, count, first in (("Amsel", 5, 0), ("Birke", 3, 20))
    ]


def plan(**more):
    given = {
        "strategy": "token-ckks",
        "rounds": 2,
        "batch": 3,
        "channels": 3,
        "classes": len(CLASSES),
        "bundle": NAME,
        "size": 32,
    }
    return Plan(**({"name": "Test"} | given | more))


def test_every_answer_is_that_in_the_clear(cells: Bundle, tmp_path):
    sites, coordinator = hospitals(), Coordinator(plan(), folder=tmp_path)
    for site in sites:
        site.folder = tmp_path / site.name
    rounds = list(hold_rounds(coordinator, sites))
    assert [each.phase for each in rounds] == ["ask", "ask", "result"]
    assert rounds[0].bytes_up > rounds[1].bytes_up > 0  # three and three, then two and none
    for site in sites:
        logits = site.network("Test")["logits"]
        wanted = cells.classifiers["vit"](site.pixels).detach()
        assert torch.allclose(logits, wanted, atol=1e-2) and torch.equal(logits.argmax(1), wanted.argmax(1))
        right = int((wanted.argmax(1) == 0).sum())
        found = json.loads((tmp_path / site.name / ANSWERS).read_text())
        assert found == {"asked": len(wanted), "answered": len(wanted), "right": right}
    assert not (tmp_path / NETWORK).exists()


def test_a_head_of_ones_own_answers_instead(cells: Bundle):
    sites, weight = hospitals(), torch.randn(len(CLASSES), TOKEN, generator=torch.Generator().manual_seed(0)) / 30
    head = {"weight": weight, "bias": torch.arange(len(CLASSES)).float()}
    list(hold_rounds(Coordinator(plan(), head), sites))
    tokens = torch.from_numpy(class_tokens(cells.classifiers["vit"], sites[1].pixels)).float()
    wanted = torch.nn.functional.linear(tokens, **head)
    assert torch.allclose(sites[1].network("Test")["logits"], wanted, atol=1e-2)


def test_nothing_that_the_server_or_another_hospital_gets_can_be_read_by_them(cells: Bundle):
    sites, coordinator = hospitals(), Coordinator(plan())
    order, content = coordinator.order({"Amsel": 5, "Birke": 3}), coordinator.content()
    answers = {site.name: site.answer(order, content, 1) for site in sites}
    secret = sites[0].network("Test")["secret"].numpy().tobytes()
    assert all(secret not in value.numpy().tobytes() for value in answers["Amsel"].state.values())
    assert all(
        value.dtype == torch.uint8 and name.startswith("token.") for name, value in answers["Amsel"].state.items()
    )
    coordinator.close(order, answers, {}, 0.0)
    (mine,), (his,) = ({name.rpartition(".")[0] for name in answers[site.name].state} for site in sites)
    taken = {name.replace(his, mine): value for name, value in coordinator.content().items() if name.startswith(his)}
    assert taken
    questions = Questions(**sites[0].network("Test"))
    with pytest.raises(ValueError, match="key"):
        questions.heard(taken)
    with pytest.raises(ValueError, match="answers what this site hasn't asked"):
        questions.heard({f"{mine}.000003": taken[f"{mine}.000000"]})


def test_who_was_away_lacks_answers_and_goes_on(cells: Bundle, tmp_path):
    sites = hospitals()
    wanted = cells.classifiers["vit"](sites[0].pixels).detach()
    site = sites[0] = replace(sites[0], labels=wanted.argmax(1), folder=tmp_path)
    list(hold_rounds(Coordinator(plan(least=1, rounds=3, batch=2)), sites, away={1: ["Amsel"]}))
    logits = site.network("Test")["logits"]
    assert (~logits.isnan().any(1)).tolist() == [False] * 4 + [True]  # the first two's came while it was away
    assert torch.allclose(logits[4], wanted[4], atol=1e-2)
    assert json.loads((tmp_path / ANSWERS).read_text()) == {"asked": 3, "answered": 1, "right": 1}
    assert not sites[1].network("Test")["logits"].isnan().any()


def test_a_hospital_is_answered_whatever_others_are_called(cells: Bundle):
    sites = [replace(site, name=name) for site, name in zip(hospitals(), ("M", "M/N"))]
    list(hold_rounds(Coordinator(plan()), sites))
    assert not any(site.network("Test")["logits"].isnan().any() for site in sites)


def test_who_sends_no_ciphertexts_gets_no_answer_and_the_others_do(cells: Bundle):
    sites, coordinator = hospitals(), Coordinator(plan(rounds=1, least=1))
    order = coordinator.order({"Amsel": 5, "Birke": 3})
    answers = {site.name: site.answer(order, {}, 0) for site in sites}
    broken = {name: torch.zeros_like(value) for name, value in answers["Amsel"].state.items()}
    held = coordinator.close(order, answers | {"Amsel": replace(answers["Amsel"], state=broken)}, {}, 0.0)
    assert set(held.took_part) == {"Birke"} and "no fresh ciphertexts" in held.absent["Amsel"]
    list(hold_rounds(coordinator, sites))
    asked = [site.network("Test")["logits"] for site in sites]
    assert asked[0].isnan().all() and not asked[1].isnan().any()
    again = Coordinator(plan(least=2))
    with pytest.raises(FederationError, match="got 1 answers, and needs at least 2. Amsel: What it sent"):
        again.close(order, answers | {"Amsel": replace(answers["Amsel"], state=broken)}, {}, 0.0)


def test_what_cannot_be_asked_is_one_sentence(cells: Bundle):
    with pytest.raises(ValueError, match="has a bundle if it asks about encrypted tokens, and only then"):
        plan(bundle="")
    with pytest.raises(ValueError, match="A purifier has no BatchNorm, head or class token"):
        plan(trains="purifier")
    head = {"weight": torch.zeros(2, TOKEN), "bias": torch.zeros(2)}
    with pytest.raises(ValueError, match="nothing but zeros"):
        answered(head, {})
    order = Coordinator(plan(least=1)).order({"Amsel": 5})
    large = Site("Amsel", torch.zeros(5, 3, 48, 48), torch.zeros(5))
    with pytest.raises(ValueError, match="Amsel's scans are 3 × 48 × 48, and tiny-cells takes 3 × 32 × 32"):
        large.answer(order, {}, 0)
    other = Coordinator(plan(least=1, classes=3))
    with pytest.raises(ValueError, match="has 3 channels, 32 pixels a side and 8 classes here, not 3, 32 and 3"):
        hospitals()[0].answer(other.order({"Amsel": 5}), {}, 0)
    with pytest.raises(ValueError, match=r"There is no bundle named 'x' here\.$"):
        plan(bundle="x").encoder()
    refusing = hospitals(policy=Policy(strategies=("fedavg",)))[0]
    with pytest.raises(ValueError, match="token-ckks"):
        refusing.answer(order, {}, 0)


def test_a_bundle_without_class_tokens_says_so(cells: Bundle, monkeypatch):
    monkeypatch.setattr("core.federation.tokens.token_classifiers", lambda bundle: ())
    with pytest.raises(ValueError, match="has no network with a class token"):
        hospitals()[0].answer(Coordinator(plan(least=1)).order({"Amsel": 5}), {}, 0)


def test_no_scan_no_question(cells: Bundle):
    questions, sent = Questions.begun(len(CLASSES)).ask(np.empty((0, TOKEN)), 6)
    assert not sent and len(questions.logits) == 0
    assert questions.report(torch.zeros(0)) == {"asked": 0, "answered": 0, "right": 0}
