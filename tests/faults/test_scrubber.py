from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from core.bundles import FAMILY, load_bundle
from core.faults import BundleScrubber, Finding, flip_bit, network_digest
from core.faults.parts import float_tensors
from core.models.acquisition import AcquisitionNetwork
from core.models.changes import changes_between, with_changes


@pytest.mark.slow
def test_all_networks_are_checked_in_turn_and_nothing_is_found_in_sound_ones(bundle):
    scrubber = BundleScrubber(bundle)
    family = [network for network in (getattr(bundle, part) for part in FAMILY) if network is not None]
    networks = [*bundle.classifiers.values(), bundle.mae, bundle.acquisition, bundle.diffusion.unet, *family]
    assert scrubber.tensors == sum(len(float_tensors(network)) for network in networks)
    checks = 0
    while not scrubber.rounds:
        scrubber.scrub(budget_ms=20)
        checks += 1
    assert checks >= len(networks) and not scrubber.findings


def test_a_flip_in_a_serving_network_is_found_and_put_right(cells):
    scrubber, network = BundleScrubber(cells), cells.classifiers[cells.default_classifier]
    before, name = (
        network_digest(network),
        max(float_tensors(network), key=lambda key: float_tensors(network)[key].numel()),
    )
    flip_bit(float_tensors(network)[name], torch.tensor([1]), torch.tensor([30]))
    assert network_digest(network) != before
    while scrubber.rounds < 1:
        scrubber.scrub(budget_ms=0)  # one tensor a call
    assert scrubber.findings == [Finding(cells.default_classifier, name, "corrected")]
    assert network_digest(network) == before


def test_the_networks_beside_classifiers_are_looked_after_too(tmp_path):
    network = AcquisitionNetwork().requires_grad_(False)
    parts = {"mae": network, "acquisition": network, "robust_mae": network, "mask_dit": None, "robust_mask_dit": None}
    facts = {name: {"file": f"{name}.safetensors"} for name in parts}
    made = SimpleNamespace(name="made", folder=tmp_path, classifiers={}, diffusion=None, facts=facts, **parts)
    scrubber = BundleScrubber(made)
    assert scrubber.tensors == 3 * len(float_tensors(network))
    flip_bit(next(iter(float_tensors(network).values())), torch.tensor([0]), torch.tensor([30]))
    while not scrubber.rounds:
        scrubber.scrub(budget_ms=1000)
    assert [found.outcome for found in scrubber.findings] == ["corrected"]  # they share their tensors here


def test_what_was_made_of_another_network_comes_from_both_files(tmp_path):
    base, network = torch.nn.Linear(8, 4), torch.nn.Linear(8, 4)
    network.load_state_dict(base.state_dict())
    network.weight.data += 0.01 * torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    kept = changes_between(base.state_dict(), network.state_dict())
    network.load_state_dict(with_changes(base.state_dict(), kept))
    save_file(dict(base.state_dict()), tmp_path / "mae.safetensors")
    save_file(kept, tmp_path / "robust_mae.safetensors")
    parts = {"mae": base, "acquisition": None, "robust_mae": network, "mask_dit": None, "robust_mask_dit": None}
    facts = {name: {"file": f"{name}.safetensors"} for name in parts}
    made = SimpleNamespace(name="made", folder=tmp_path, classifiers={}, diffusion=None, facts=facts, **parts)
    scrubber, before = BundleScrubber(made), network_digest(network)
    for tensor in network.state_dict().values():  # one that was changed, and one that wasn't
        tensor.zero_()
    while not scrubber.rounds:
        scrubber.scrub(budget_ms=1000)
    assert {found.tensor: found.outcome for found in scrubber.findings} == {"weight": "reloaded", "bias": "reloaded"}
    assert network_digest(network) == before


def test_what_the_code_cannot_correct_comes_from_the_file(cells):
    scrubber, network = BundleScrubber(cells), cells.classifiers[cells.default_classifier]
    tensor = next(tensor for tensor in float_tensors(network).values() if tensor.numel() > 8)
    before = network_digest(network)
    tensor.zero_()
    scrubber.scrub(budget_ms=1000)
    assert [finding.outcome for finding in scrubber.findings] == ["reloaded"]
    assert (
        network_digest(network)
        == before
        == network_digest(load_bundle(cells.name).classifiers[cells.default_classifier])
    )
