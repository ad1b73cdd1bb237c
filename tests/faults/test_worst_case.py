import pytest
import torch

from core.faults import flip_bit, measure_faults, network_digest, worst_case_steps
from core.faults.worst_case import LARGEST_LOSS, _loss_gradients, _margins
from tests.faults.chains import Layered, Signs, halves, images, mixture


def answers(network, pixels):
    with torch.no_grad():
        return network(pixels).argmax(1)


def test_the_worst_bit_leaves_no_finite_answer():
    step = next(worst_case_steps(Signs(), *halves()))
    assert (step.fault.bit, step.accuracy, step.loss, step.done) == (30, 0.0, LARGEST_LOSS, True)


def test_the_worst_silent_bit_solved_by_hand():
    """No single silent flip spoils both classes; a bias of −2 · 2^64 spoils one by far more than 100 nats."""
    (step,) = worst_case_steps(Signs(), *halves(), budget=3, silent=True)
    assert step.fault.tensor == "sum.bias" and step.accuracy == 0.5 and step.done
    assert step.loss == pytest.approx(LARGEST_LOSS / 2)


@pytest.mark.parametrize("network", [Layered(), mixture()], ids=["chain", "mixture"])
@pytest.mark.parametrize("silent", [False, True])
def test_each_round_does_what_it_says_and_more_than_the_one_before(network, silent):
    pixels, before = images(24), network_digest(network)
    labels = answers(network, pixels)
    faults, last = [], 1.0
    for step in worst_case_steps(network, pixels, labels, budget=3, silent=silent):
        faults.append(step.fault)
        trial = measure_faults(network, pixels, labels, faults)
        assert trial.accuracy == pytest.approx(step.accuracy) and step.accuracy <= last
        assert trial.non_finite == pytest.approx(step.non_finite) and not (silent and trial.non_finite)
        last = step.accuracy
    assert step.done and last < 0.7 and network_digest(network) == before


def test_no_single_flip_is_silently_worse_than_the_one_found():
    network, pixels = Layered(), images()
    labels = answers(network, pixels)
    step = next(worst_case_steps(network, pixels, labels, silent=True, tensor="head.bias"))
    worst = 1.0
    for index in range(3):
        for bit in range(32):
            flip_bit(network.head.bias, index, bit)
            logits = network(pixels)
            flip_bit(network.head.bias, index, bit)
            if logits.isfinite().all():
                worst = min(worst, (logits.argmax(1) == labels).float().mean().item())
    assert step.fault.tensor == "head.bias" and step.accuracy == pytest.approx(worst)


def test_the_same_seed_finds_the_same_bits():
    network, pixels = Layered(), images(24)
    labels = answers(network, pixels)
    first, second = (list(worst_case_steps(network, pixels, labels, budget=2, silent=True)) for _ in range(2))
    assert first == second


def test_bfloat16_bits_are_searched_too():
    network, pixels = Layered(), images()
    step = next(worst_case_steps(network, pixels, answers(network, pixels), form="bfloat16"))
    assert step.fault.form == "bfloat16" and step.fault.bit < 16


def test_gradients_are_the_differences_of_the_margins_statistics_of_batchnorm_included():
    network, pixels = Layered().double(), images().double()
    labels = answers(network, pixels)
    gradients = _loss_gradients(network, pixels, labels)
    for name in ("norm.running_mean", "norm.running_var", "norm.weight", "mixer", "positions"):
        tensor, sums = dict(network.state_dict())[name].view(-1), []
        for shift in (1e-6, -2e-6):
            tensor[0] += shift
            sums.append(_margins(network(pixels), labels).sum())
        tensor[0] += 1e-6
        assert gradients[name].view(-1)[0].item() == pytest.approx((sums[0] - sums[1]).item() / 2e-6, rel=1e-4), name
    assert not any(tensor.requires_grad for tensor in network.parameters())


@pytest.mark.parametrize(
    "wrong, reason",
    [
        ({"budget": 0}, "at least 1 flip, not 0"),
        ({"tensor": "layer9"}, "no layer named 'layer9'"),
        ({"form": "float8"}, "no number format"),
    ],
)
def test_what_cannot_be_searched_is_a_sentence(wrong, reason):
    with pytest.raises(ValueError, match=f"{reason}.*\\.$"):
        next(worst_case_steps(Signs(), *halves(), **wrong))
