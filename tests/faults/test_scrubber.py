import torch

from core.bundles import load_bundle
from core.faults import Finding, Sentry, flip_bit, network_digest
from core.faults.parts import float_tensors


def test_a_patrol_goes_round_all_networks_and_finds_nothing_in_sound_ones(bundle):
    sentry = Sentry(bundle)
    networks = [*bundle.classifiers.values(), bundle.mae, bundle.diffusion.unet]
    assert sentry.tensors == sum(len(float_tensors(network)) for network in networks)
    legs = 0
    while not sentry.rounds:
        sentry.walk(budget_ms=20)
        legs += 1
    assert legs >= len(networks) and not sentry.findings


def test_a_flip_in_a_serving_network_is_found_and_put_right(cells):
    sentry, network = Sentry(cells), cells.classifiers[cells.default_classifier]
    before, name = (
        network_digest(network),
        max(float_tensors(network), key=lambda key: float_tensors(network)[key].numel()),
    )
    flip_bit(float_tensors(network)[name], torch.tensor([1]), torch.tensor([30]))
    assert network_digest(network) != before
    while sentry.rounds < 1:
        sentry.walk(budget_ms=0)  # one tensor a leg
    assert sentry.findings == [Finding(cells.default_classifier, name, "corrected")]
    assert network_digest(network) == before


def test_what_the_code_cannot_correct_comes_from_the_file(cells):
    sentry, network = Sentry(cells), cells.classifiers[cells.default_classifier]
    tensor = next(tensor for tensor in float_tensors(network).values() if tensor.numel() > 8)
    before = network_digest(network)
    tensor.zero_()
    sentry.walk(budget_ms=1000)
    assert [finding.outcome for finding in sentry.findings] == ["reloaded"]
    assert (
        network_digest(network)
        == before
        == network_digest(load_bundle(cells.name).classifiers[cells.default_classifier])
    )
