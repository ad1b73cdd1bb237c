from dataclasses import replace
from itertools import islice

import pytest
import torch
from safetensors.torch import save_file

from core.faults import (
    CampaignSettings,
    Fault,
    Trial,
    campaign_summary,
    measure_faults,
    network_digest,
    run_campaign,
)
from core.faults.draws import draw_faults
from core.faults.ranges import learn_ranges
from tests.faults.chains import Layered, Signs, halves, images, mixture


def campaign(settings, network=None, **more):
    network = network or Layered()
    pixels = images()
    return list(run_campaign(network, pixels, network(pixels).argmax(1), settings, **more))


def without_time(trials):
    return [replace(trial, seconds=0.0) for trial in trials]


def test_trials_solved_by_hand():
    pixels, labels = halves()
    trial = measure_faults(Signs(), pixels, labels, [Fault("sum.bias", 0, 31)])  # −2 → 2: the sums are never negative
    assert (trial.accuracy, trial.label_changes, trial.non_finite, trial.refused) == (0.5, 0.5, 0.0, 0.0)
    trial = measure_faults(Signs(), pixels, labels, [Fault("head.weight", 0, 30)])  # 1 → infinity
    assert (trial.accuracy, trial.label_changes, trial.non_finite) == (0.0, 1.0, 1.0)
    trial = measure_faults(Signs(), pixels, labels, [Fault("sum.weight", 0, 30)])  # 0 · ∞ is NaN
    assert (trial.accuracy, trial.non_finite) == (0.0, 1.0)


def test_accuracy_is_of_the_labels_given_and_changes_of_the_networks_answers():
    pixels, labels = halves()
    trial = measure_faults(Signs(), pixels, 1 - labels, [Fault("sum.bias", 0, 31)])
    assert (trial.accuracy, trial.label_changes) == (0.5, 0.5)
    trial = measure_faults(Signs(), pixels, 1 - labels, [])
    assert (trial.accuracy, trial.label_changes) == (0.0, 0.0)


@pytest.mark.parametrize("kind", ["weight", "activation"])
@pytest.mark.parametrize("form", ["float32", "bfloat16"])
def test_the_network_and_the_copy_are_as_before(kind, form):
    network = Layered()
    before = network_digest(network)
    settings = CampaignSettings(flips=4, trials=8, kind=kind, form=form)
    first = without_time(campaign(settings, network))
    # Were the copy left damaged, a trial would depend on those before it.
    alone = [without_time(campaign(settings, network, start=index))[0] for index in (0, 3, 7)]
    assert alone == [first[index] for index in (0, 3, 7)]
    assert network_digest(network) == before


def test_a_campaign_closed_early_is_gone_on_with():
    network, pixels = Layered(), images()
    labels, settings = network(pixels).argmax(1), CampaignSettings(flips=3, trials=6)
    before = network_digest(network)
    trials = run_campaign(network, pixels, labels, settings)
    begun = list(islice(trials, 2))
    trials.close()
    rest = list(run_campaign(network, pixels, labels, settings, start=2))
    assert without_time(begun + rest) == without_time(campaign(settings, network))
    assert network_digest(network) == before


def test_seeds_differ():
    faults = [draw_faults({"a": 1000}, CampaignSettings(flips=4, seed=seed), 0) for seed in (0, 1)]
    assert faults[0] != faults[1]


def test_flips_of_a_trial_are_all_different_and_reach_every_bit():
    faults = draw_faults({"a": 2, "b": 1}, CampaignSettings(flips=96), 0)
    assert {(fault.tensor, fault.index, fault.bit) for fault in faults} == {
        (name, index, bit) for name, index in (("a", 0), ("a", 1), ("b", 0)) for bit in range(32)
    }


def test_elements_are_drawn_in_proportion_to_the_size_of_their_tensor():
    faults = draw_faults({"small": 1000, "large": 3000}, CampaignSettings(flips=4000), 0)
    assert 0.72 < sum(fault.tensor == "large" for fault in faults) / 4000 < 0.78
    assert 0.22 < sum(fault.bit >= 24 for fault in faults) / 4000 < 0.28


@pytest.mark.parametrize(
    "place, tensors",
    [
        ("norm", {"norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"}),
        ("mix", {"mixer", "positions"}),
        ("positions", {"positions"}),
    ],
)
def test_faults_stay_where_they_are_asked_for(place, tensors):
    trials = campaign(CampaignSettings(flips=12, trials=2, tensor=place, bit=3))
    struck = [fault for trial in trials for fault in trial.faults]
    assert {fault.tensor for fault in struck} <= tensors and {fault.bit for fault in struck} == {3}


def test_activation_faults_are_drawn_at_the_exits_of_stages():
    trials = campaign(CampaignSettings(flips=20, trials=3, kind="activation"), mixture())
    struck = {fault.tensor for trial in trials for fault in trial.faults}
    assert struck <= {"gate"} | {f"experts.{k}.{stage}" for k in (0, 1) for stage in ("look", "mix", "head")}
    assert {"experts.0.mix", "experts.1.look"} <= struck


def test_bfloat16_campaigns_start_from_a_rounded_network():
    pixels, labels = halves()
    network = Signs()
    with torch.no_grad():
        network.sum.bias.fill_(-2 - 2.0**-10)  # −2 in bfloat16
    settings = CampaignSettings(trials=1, form="bfloat16", tensor="sum.bias", bit=15)
    trial = next(run_campaign(network, pixels, labels, settings))
    assert (trial.accuracy, trial.label_changes) == (0.5, 0.5)


@pytest.mark.parametrize("network", [Layered(), mixture()], ids=["chain", "mixture"])
def test_with_repair_nothing_changes(network):
    settings = CampaignSettings(flips=1, trials=12, bit=30)
    trials = campaign(settings, network, guard="repair")
    assert all(trial.alarm and list(trial.repairs.values()) == ["corrected"] for trial in trials)
    assert all((trial.accuracy, trial.label_changes, trial.refused) == (1.0, 0.0, 0.0) for trial in trials)
    assert any(trial.label_changes for trial in campaign(settings, network))


def test_with_detection_no_scan_gets_a_label():
    trials = campaign(CampaignSettings(flips=2, trials=6), guard="detect")
    assert all(trial.alarm and trial.refused == 1.0 and trial.accuracy is None for trial in trials)
    assert not any(trial.label_changes or trial.non_finite for trial in trials)
    assert campaign_summary(trials)["accuracy"] is None


def test_what_is_beyond_repair_gets_no_label():
    trials = campaign(CampaignSettings(flips=32, trials=3, tensor="norm.bias", bit=None), guard="repair")
    hopeless = [trial for trial in trials if "beyond repair" in trial.repairs.values()]
    assert hopeless and all(trial.refused == 1.0 for trial in hopeless)


@pytest.mark.parametrize("form", ["float32", "bfloat16"])
def test_what_the_code_cannot_correct_is_reloaded_in_either_format(form, tmp_path):
    """Two flips of one bit in one tensor; the file is in fp16, which holds more digits than bfloat16."""
    network = Layered().half().float()
    save_file({name: value.half() for name, value in network.state_dict().items()}, tmp_path / "network.safetensors")
    settings = CampaignSettings(flips=2, trials=4, form=form, tensor="mixer", bit=14)
    trials = campaign(settings, network, guard="repair", weights=tmp_path / "network.safetensors")
    assert all(trial.repairs == {"mixer": "reloaded"} and trial.refused == 0 for trial in trials)
    assert campaign_summary(trials)["repaired"] == 1.0


def test_activations_out_of_range_are_refused_or_clipped():
    network, pixels = Layered(), images()
    labels, ranges = network(pixels).argmax(1), learn_ranges(network, pixels)
    struck = [Fault("look", 0, 30, kind="activation")]  # below 1 before, hence near 10^38 after
    given = (network, pixels, labels, struck)
    detected = measure_faults(*given, guard="detect", ranges=ranges)
    assert detected.alarm and detected.refused == 1.0
    clipped = measure_faults(*given, guard="repair", ranges=ranges)
    assert clipped.alarm and clipped.refused == 0 and clipped.non_finite == 0
    calm = measure_faults(network, pixels, labels, [], guard="detect", ranges=ranges)
    assert not calm.alarm and calm.refused == 0


def test_a_summary_solved_by_hand():
    def trial(index, accuracy, **more):
        return Trial(index, (), accuracy, 0.25 * index, 0.0, 1.5, **more)

    trials = [trial(0, 1.0), trial(1, 0.5, repairs={"a": "corrected"}, alarm=True), trial(2, None, refused=1.0)]
    summary = campaign_summary(trials)
    assert summary["accuracy"] == 0.75 and summary["worst"] == 0.5 and summary["seconds"] == 4.5
    assert summary["interval"] == (0.5, 1.0)
    assert summary["label_changes"] == pytest.approx(0.25) and summary["refused"] == pytest.approx(1 / 3)
    assert summary["alarms"] == pytest.approx(1 / 3) and summary["repaired"] == 1.0 and summary["trials"] == 3


@pytest.mark.parametrize(
    "wrong, reason",
    [
        ({"trials": 0}, "at least 1 of trials, not 0"),
        ({"flips": 0}, "at least 1 of flips, not 0"),
        ({"bit": 40}, "no bit 40"),
        ({"form": "float8"}, "no number format"),
        ({"kind": "gradient"}, "no faults of the kind"),
        ({"tensor": "layer9"}, "no layer named 'layer9' in this network; name a tensor, or one of: look, mix, head"),
        ({"tensor": "norm.bias", "flips": 129}, "only 128 such bits in norm.bias, so 129"),
        ({"tensor": "norm.bias", "flips": 5, "bit": 1}, "only 4 such bits"),
        ({"kind": "activation", "tensor": "mixer"}, "No activation is named 'mixer'"),
    ],
)
def test_settings_that_do_not_fit_are_a_sentence(wrong, reason):
    with pytest.raises(ValueError, match=f"{reason}.*\\.$"):
        campaign(CampaignSettings(**wrong))


def test_an_unknown_guard_is_a_sentence():
    with pytest.raises(ValueError, match="no guard named 'on'; choose one of: off, detect, repair"):
        campaign(CampaignSettings(), guard="on")
