"""The four configurations on tokens made by hand, and what a round sends."""

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from core.federation.averaging import ClientSettings
from core.federation.communication import communication
from core.federation.configurations import (
    CONFIGURATIONS,
    MEASURES,
    Examples,
    TrainingSettings,
    compare_steps,
    measure,
    plain_mean,
    train_together,
    zero_head,
)
from core.federation.hospitals import make_hospitals
from core.statistics import bootstrap_interval

ONE_STEP = TrainingSettings(1, ClientSettings(steps=1, batch=8, lr=1.0, momentum=0.0, weight_decay=0.0))
QUICK = TrainingSettings(3, ClientSettings(steps=4, batch=16, lr=0.05))


def token_set(count=90, seed=0, spread=0.3):
    """Three classes around three corners of a cube of 6 dimensions, two tokens a group."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) // 2 % 3
    tokens = np.eye(6)[labels] + spread * random.standard_normal((count, 6))
    return Examples(torch.from_numpy(tokens).float(), labels, [str(index // 2) for index in range(count)])


def asked(head, tokens):
    return head(tokens).numpy()


def compared(train, test, aggregate=plain_mean, predict=asked, settings=QUICK):
    hospitals = make_hospitals(train.labels, train.groups)
    results = list(compare_steps(zero_head(6, 3), train, test, hospitals, aggregate, predict, settings=settings))
    assert tuple(result.configuration for result in results) == CONFIGURATIONS
    return {result.configuration: result for result in results}


def test_a_round_over_two_hospitals_by_hand():
    """From zeros p = ½, so x (y − p): 3 images x = 1 of class 1 → ½; 1 image x = 2 of class 0 → −1; (3 · ½ − 1) / 4."""
    train = Examples(torch.tensor([[1.0], [1.0], [1.0], [2.0]]), np.array([1, 1, 1, 0]), list("abcd"))
    head = train_together(zero_head(1, 2), train, [(0, 1, 2), (3,)], 0, ONE_STEP)
    assert head.weight.flatten().tolist() == pytest.approx([-0.125, 0.125])
    assert head.bias.tolist() == pytest.approx([-0.25, 0.25])


def test_the_server_gets_one_vector_a_hospital_whose_mean_is_the_weighted_change():
    seen = []
    train = Examples(torch.tensor([[1.0], [1.0], [1.0], [2.0]]), np.array([1, 1, 1, 0]), list("abcd"))
    train_together(
        zero_head(1, 2),
        train,
        [(0, 1, 2), (3,)],
        0,
        ONE_STEP,
        lambda vectors: seen.append(vectors) or plain_mean(vectors),
    )
    (first, second) = seen[0]
    assert first.dtype == np.float64
    assert first.tolist() == pytest.approx([-0.75, 0.75, -0.75, 0.75])  # 2 · ¾ · ½
    assert second.tolist() == pytest.approx([0.5, -0.5, 0.25, -0.25])  # 2 · ¼ · 1 and 2 · ¼ · ½


def test_what_the_server_answers_is_what_the_hospitals_go_on_with():
    train = token_set(12)
    head = train_together(
        zero_head(6, 3), train, [range(12)], 0, TrainingSettings(2, ONE_STEP.client), lambda vectors: np.ones(21)
    )
    assert torch.equal(head.weight, torch.full((3, 6), 2.0))


def test_all_four_learn_tokens_that_are_easily_told_apart():
    for result in compared(token_set(), token_set(seed=1)).values():
        assert result.logits.shape == (90, 3)
        assert tuple(result.measures) == MEASURES
        assert all(measured.value > 0.9 for measured in result.measures.values())


def test_encrypted_gradients_go_the_way_of_plain_ones_as_far_as_the_sum_is_exact():
    train, test = token_set(), token_set(seed=1)
    exact = compared(train, test)
    assert np.array_equal(exact["encrypted gradients"].logits, exact["federated, plain"].logits)
    close = compared(train, test, aggregate=lambda vectors: plain_mean(vectors) + 1e-5)
    difference = np.abs(close["encrypted gradients"].logits - exact["federated, plain"].logits).max()
    assert 0 < difference < 1e-3
    assert not np.array_equal(exact["central"].logits, exact["federated, plain"].logits)


def test_the_encrypted_token_is_answered_by_the_central_head():
    train, test = token_set(), token_set(seed=1)
    turned = compared(train, test, predict=lambda head, tokens: -asked(head, tokens))
    assert np.array_equal(turned["encrypted token"].logits, -turned["central"].logits)


def test_training_is_seeded_and_leaves_the_global_generator_alone():
    train, before = token_set(), torch.get_rng_state()
    heads = [train_together(zero_head(6, 3), train, [range(90)], seed, QUICK) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(heads[0].weight, heads[1].weight)
    assert not torch.equal(heads[0].weight, heads[2].weight)


def test_measures_by_hand():
    """True 0 0 0 1, answered 0 0 1 1: F1 4/5 and 2/3, precision 1 and 1/2, recall 2/3 and 1."""
    measures = measure(np.eye(2)[[0, 0, 1, 1]], np.array([0, 0, 0, 1]), list("abcd"))
    values = [measures[name].value for name in MEASURES]
    assert values == pytest.approx([3 / 4, 11 / 15, 3 / 4, 5 / 6])


def test_measures_are_those_of_scikit_learn_and_intervals_those_of_the_house():
    random = np.random.default_rng(0)
    labels, answers = random.integers(0, 3, 80), random.integers(0, 4, 80)
    groups = [str(index // 3) for index in range(80)]
    measures = measure(np.eye(5)[answers], labels, groups)  # class 3 is only answered, class 4 never seen
    precision, recall, f1, _ = precision_recall_fscore_support(labels, answers, average="macro", zero_division=0)
    assert [measures[name].value for name in ("precision", "recall", "f1")] == pytest.approx([precision, recall, f1])
    assert measures["accuracy"][1:] == pytest.approx(bootstrap_interval(labels == answers, groups))
    assert all(measured.low < measured.value < measured.high for measured in measures.values())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="2 labels and 3 groups"):
        Examples(torch.zeros((3, 4)), np.zeros(2, int), list("abc"))
    with pytest.raises(ValueError, match="at least one round"):
        TrainingSettings(rounds=0)


def test_a_round_of_10000_parameters_in_ciphertexts_of_4096_numbers():
    sent = communication(10_000, 4096, 1000)
    assert (sent.gradients_plain, sent.gradients_encrypted, sent.token_encrypted) == (40_000, 3000, 1000)
    assert sent.saving == 3
    assert communication(10_000, 4096, 1000, images=6).saving == 0.5
    assert communication(8192, 4096, 1000, token_bytes=500).saving == 4
    with pytest.raises(ValueError, match="at least 1"):
        communication(10_000, 0, 1000)
