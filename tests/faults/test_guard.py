from itertools import combinations, product

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.faults.bits import flip_bit
from core.faults.guard import Guard, located_flips, parity_words
from core.faults.guard_cost import measure
from core.faults.parts import float_tensors
from core.faults.sites import private_copy
from core.models.experts import resnet_mixture, shared_once
from core.models.resnet import NarrowResNet18


class Few(nn.Module):
    """Three by two weights, laid out column by column, and one running statistic."""

    def __init__(self):
        super().__init__()
        weight = torch.tensor([[1.0, -0.5, 0.25], [0.0, 3.0, -1e-3]])
        self.weight = nn.Parameter(weight.t().contiguous().t())
        self.register_buffer("mean", torch.tensor(0.125))
        self.register_buffer("batches", torch.tensor(7))


def bits(network):
    return {name: tensor.detach().clone().view(torch.int32) for name, tensor in float_tensors(network).items()}


def unchanged(network, before):
    return all(torch.equal(bits(network)[name], value) for name, value in before.items())


@pytest.fixture
def saved(tmp_path):
    """A ResNet as bundles have them: fp16 on disk, widened in memory, channels last."""
    network = NarrowResNet18(1, 2, width=4)
    path = tmp_path / "network.safetensors"
    generator = torch.Generator().manual_seed(0)
    state = {
        key: torch.randn(value.shape, generator=generator).half() if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }
    save_file(state, path)
    network.load_state_dict(state)
    return network.to(memory_format=torch.channels_last).eval(), path


def test_parity_words_are_those_of_the_definition():
    assert parity_words(np.array([5, 3, 6, 1], dtype=np.int32)).tolist() == [5 ^ 3 ^ 6 ^ 1, 3 ^ 1, 6 ^ 1]
    assert parity_words(np.array([9], dtype=np.int32)).tolist() == [9]


@pytest.mark.parametrize("count", [2, 1024, 1025, 3000, 2**21 + 5])
def test_parity_words_of_long_vectors_equal_the_slow_sum(count):
    words = np.random.default_rng(0).integers(-(2**31), 2**31, count, dtype=np.int32)
    index = np.arange(count)
    slow = [np.bitwise_xor.reduce(words)]
    slow += [np.bitwise_xor.reduce(words[(index >> bit) & 1 == 1]) for bit in range((count - 1).bit_length())]
    assert parity_words(words).tolist() == slow


def test_every_single_flip_is_seen_and_put_right():
    network = Few()
    guard, before = Guard(network), bits(network)
    assert guard.check(network) == ()
    for name, tensor in float_tensors(network).items():
        for index, bit in product(range(tensor.numel()), range(32)):
            flip_bit(tensor, index, bit)
            assert guard.check(network) == (name,)
            assert guard.repair(network).outcomes == {name: "corrected"}
            assert unchanged(network, before)


def test_random_flips_in_a_resnet_are_put_right(saved):
    network, _ = saved
    guard, before, tensors = Guard(network), bits(network), float_tensors(network)
    names, rng = list(tensors), np.random.default_rng(0)
    assert any("running_var" in name for name in names)
    for name in rng.choice(names, 100):
        flip_bit(tensors[name], int(rng.integers(tensors[name].numel())), int(rng.integers(32)))
        assert guard.repair(network).outcomes == {name: "corrected"}
    assert unchanged(network, before)


def test_a_word_that_lost_many_bits_is_put_right():
    network = Few()
    guard, before = Guard(network), bits(network)
    with torch.no_grad():
        network.weight[1, 2] = float("nan")
    assert guard.repair(network).outcomes == {"weight": "corrected"}
    assert unchanged(network, before)


def test_two_flips_in_one_lane_are_reloaded(saved):
    network, path = saved
    guard, without_file, before = Guard(network, path), Guard(network), bits(network)
    name = "network.layer1.0.conv1.weight"
    for index in (3, 77):
        flip_bit(float_tensors(network)[name], index, 30)
    damage = bits(network)
    report = without_file.repair(network)
    assert report.outcomes == {name: "beyond repair"} and not report.whole
    assert unchanged(network, damage)
    report = guard.repair(network)
    assert report.outcomes == {name: "reloaded"} and report.whole
    assert unchanged(network, before) and guard.check(network) == ()


def test_what_the_experts_of_a_mixture_share_is_reloaded(tmp_path):
    network = resnet_mixture(1, 2, count=2, width=4)
    network.experts[1].load_state_dict(network.experts[0].state_dict())
    once = shared_once({name: value.clone() for name, value in network.state_dict().items()})
    save_file(once, tmp_path / "mixture.safetensors")
    guard, before = Guard(network, tmp_path / "mixture.safetensors"), bits(network)
    for index in (3, 77):
        flip_bit(network.experts[1].network.layer1[0].conv1.weight, index, 30)
    assert guard.repair(network).outcomes == {"experts.1.network.layer1.0.conv1.weight": "reloaded"}
    assert unchanged(network, before)


def test_what_was_rounded_is_rounded_when_it_is_reloaded(saved):
    network, path = saved
    network = private_copy(network, rounded=True)
    before = bits(network)
    for rounded, outcome in ((False, "beyond repair"), (True, "reloaded")):
        guard = Guard(private_copy(network), path, rounded=rounded)
        damage = private_copy(network)
        for index in (0, 1):
            flip_bit(damage.network.conv1.weight, index, 14, "bfloat16")
        assert guard.repair(damage).outcomes == {"network.conv1.weight": outcome}
        assert unchanged(damage, before) == rounded


def test_every_three_flips_in_one_lane_are_seen_and_never_mistaken_for_one(tmp_path):
    network = nn.Linear(4, 2, bias=False)
    save_file({"weight": network.weight.detach().clone()}, tmp_path / "exact.safetensors")
    guard, before = Guard(network, tmp_path / "exact.safetensors"), bits(network)
    for indices in combinations(range(8), 3):
        for index in indices:
            flip_bit(network.weight, index, 23)
        assert guard.check(network) == ("weight",)
        assert guard.repair(network).outcomes == {"weight": "reloaded"}
        assert unchanged(network, before)


@pytest.mark.slow
def test_every_set_of_up_to_three_flips_is_seen():
    network = nn.Linear(2, 2, bias=False)
    guard = Guard(network)
    places = list(product(range(4), (0, 15, 30, 31)))
    for count in (1, 2, 3):
        for flips in combinations(places, count):
            for index, bit in flips:
                flip_bit(network.weight, index, bit)
            assert guard.check(network)
            for index, bit in flips:
                flip_bit(network.weight, index, bit)
    assert not guard.check(network)


def test_located_flips_names_nobody_where_a_lane_holds_two():
    words = np.zeros(6, dtype=np.int32)
    sound = parity_words(words)
    words[[2, 5]] = 1 << 4, 1 << 9
    assert located_flips(parity_words(words) ^ sound, 6) == [(2, 4), (5, 9)]
    words[4] = 1 << 9
    assert located_flips(parity_words(words) ^ sound, 6) == []


def test_a_file_that_differs_repairs_nothing(saved, tmp_path):
    network, _ = saved
    other = tmp_path / "other.safetensors"
    save_file({key: (value + 1).contiguous() for key, value in network.state_dict().items()}, other)
    (tmp_path / "torn.safetensors").write_bytes(b"no weights")
    for path in (other, tmp_path / "torn.safetensors", tmp_path / "missing.safetensors"):
        guard = Guard(network, path)
        for index in (0, 1):
            flip_bit(network.network.fc.bias, index, 3)
        assert guard.repair(network).outcomes == {"network.fc.bias": "beyond repair"}
        for index in (0, 1):
            flip_bit(network.network.fc.bias, index, 3)


def test_a_flip_in_the_code_itself_changes_no_weight():
    network = Few()
    before = bits(network)
    for word in range(4):
        guard = Guard(network)
        guard._codes["weight"].parities[word] ^= 1 << 7
        assert guard.check(network) == ("weight",)
        report = guard.repair(network)
        assert report.outcomes == {"weight": "code renewed"} and report.whole
        assert unchanged(network, before) and guard.check(network) == ()


def test_a_copy_may_lie_otherwise_in_memory(saved):
    network, _ = saved
    guard = Guard(network)
    copy = NarrowResNet18(1, 2, width=4)
    copy.load_state_dict(network.state_dict())
    copy = copy.to(memory_format=torch.contiguous_format)
    assert guard.check(copy) == ()
    flip_bit(copy.network.conv1.weight, 5, 30)
    assert guard.repair(copy).outcomes == {"network.conv1.weight": "corrected"}
    assert torch.equal(copy.network.conv1.weight, network.network.conv1.weight)


def test_bfloat16_weights_are_guarded():
    network = nn.Linear(5, 3).to(torch.bfloat16)
    guard, before = Guard(network), network.weight.detach().clone()
    flip_bit(network.weight, 7, 15, "bfloat16")
    assert guard.repair(network).outcomes == {"weight": "corrected"}
    assert torch.equal(network.weight, before)


def test_partial_checks_come_round():
    network = Few()
    guard = Guard(network)
    flip_bit(network.mean, 0, 30)
    checks = [guard.check_next(network, budget_ms=0) for _ in range(3)]
    assert [checked.damaged for checked in checks] == [(), ("mean",), ()]
    assert {(checked.looked_at, checked.of) for checked in checks} == {(1, 2)}
    assert guard.check_next(network, budget_ms=1000).looked_at == 2


def test_another_network_is_refused():
    for first, second in ((Few(), nn.Linear(2, 2)), (nn.Linear(5, 2), nn.Linear(6, 2))):
        with pytest.raises(ValueError, match="other tensors"):
            Guard(first).repair(second)


def test_cost_leaves_the_network_as_it_was(saved):
    network, path = saved
    guard, before = Guard(network, path), bits(network)
    cost = measure(guard, network, torch.zeros(1, 1, 32, 32))
    assert unchanged(network, before)
    assert cost.bytes == guard.bytes < cost.weight_bytes == sum(value.nbytes for value in before.values())
    assert cost.check_ms > 0 and cost.repair_ms > 0 and cost.ranges_ms < 1 and cost.patrol_scans >= 1
