"""What a fine-tuned network changed of another, kept in eight bits a weight."""

import pytest
import torch

from core.models.changes import UNIT, changes_between, with_changes


def tensors(seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(64, 8, generator=generator).half() for name in ("first", "second", "third")}


def test_what_was_changed_comes_back_within_half_a_unit():
    base = tensors(0)
    made = base | {"second": base["second"].float() + 1e-3 * tensors(1)["second"].float()}
    kept = changes_between(base, made)
    assert set(kept) == {"second", "second" + UNIT} and kept["second"].dtype == torch.int8
    again = with_changes(base, kept)
    assert set(again) == set(base) and all(torch.equal(again[name], base[name].float()) for name in ("first", "third"))
    unit = kept["second" + UNIT].item()
    assert unit == pytest.approx((made["second"] - base["second"].float()).abs().max().item() / 127)
    assert 0 < (again["second"] - made["second"]).abs().max() <= unit / 2 * 1.001


def test_nothing_changed_is_nothing_kept():
    assert changes_between(tensors(0), tensors(0)) == {}
    again = with_changes(tensors(0), {})
    assert all(torch.equal(again[name], value.float()) for name, value in tensors(0).items())


def test_changes_of_another_network_are_refused():
    with pytest.raises(KeyError):
        with_changes({}, changes_between(tensors(0), tensors(1)))
