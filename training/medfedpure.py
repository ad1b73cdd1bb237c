"""Train MedFedPure's mixture as hospitals would: experts by federated averaging with personal weights, then a gate.

    python -m training.medfedpure --data br35h.npz --out build/medfedpure --purify brain-mri \\
        --init weights/brain-mri/resnet18.safetensors

The hospitals are invented (`core.federation.hospitals`). Each trains its expert on its own scans as its own scanner
shows them, and only what isn't personal is averaged; plain FedAvg does the same with everything averaged, to compare
with. Then the gate is trained on top of the frozen experts, by plain FedAvg again: no scan leaves its hospital, but
every hospital knows the others' published scanner profiles, and shows its own scans as each of them. --steps and
--gate-steps count the optimiser steps of one hospital. Run it again to go on after --minutes.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from core import compute
from core.bundles import load_bundle
from core.evaluation.datasets import Dataset
from core.federation.averaging import ClientSettings, Update, client_update, next_states, personal_names
from core.federation.hospitals import Hospital, make_hospitals, site_look
from core.models.diffusion import Diffusion
from core.models.experts import Gate, MixtureOfExperts
from core.models.resnet import HALF_WIDTH, NarrowResNet18
from training.assemble import BUNDLE, half
from training.classifier import purified_copy
from training.common import arguments, augmented, load_splits, named_as, seeded, write_result
from training.pooled import pooled_figures

HEAD = "network.fc"
ENTROPY = 0.01
GATE_LR = 0.5
PHASES = ("experts", "fedavg", "gate")
SHARED = "It shares its convolutions with the other sites; its own scans:"
REMARKS = (
    "BatchNorm and the head are personal; the rest is averaged.",
    "The starting weights, where --init names any, were trained on all training scans together.",
    "The gate's learning rate and entropy were chosen on 100 of the validation scans that the figures are measured on.",
    "The gate learned from each scan in every hospital's look, plain FedAvg from its own hospital's alone.",
)


def main() -> None:
    options = parsed()
    train, val = load_splits(options.data)
    diffusion = load_bundle(options.purify).diffusion if options.purify else None
    hospitals = make_hospitals(train.labels.tolist(), train.groups, alpha=options.alpha, seed=options.seed)
    run = Federation(options, hospitals)
    run.train([site_data(train, hospital, diffusion, options.seed) for hospital in hospitals])
    if not run.finished:
        return print("The federation is not finished; run the same command again to go on.")
    sites = sites_record(hospitals, train)
    write_form(sites, options)
    run.write_baselines()
    facts = {"remarks": REMARKS, "hospitals": sites, "rounds": run.rounds}
    metrics = facts | pooled_figures(run.networks(), hospitals, val, diffusion, options.seed)
    write_result(run.averaged(), "medfedpure", options, metrics, steps=run.step, minutes=run.minutes)


def parsed() -> argparse.Namespace:
    """The options; --steps, --batch and --lr are those of each hospital."""
    parser = arguments(__doc__, steps=360, batch=32, lr=0.01)
    parser.add_argument("--rounds", type=int, default=12, help="federated rounds over which --steps are spread")
    parser.add_argument("--gate-steps", type=int, default=180, help="the gate's, in rounds of the same length")
    parser.add_argument("--alpha", type=float, default=0.5, help="the smaller, the more the hospitals' classes differ")
    parser.add_argument(
        "--shrink", type=int, default=1, help="2 looks at half the resolution, in a quarter of the time"
    )
    parser.add_argument("--width", type=int, default=HALF_WIDTH, help="channels of each expert's first stage")
    parser.add_argument("--purify", metavar="BUNDLE", help="half of the scans went through this bundle's purifier")
    return parser.parse_args()


def site_data(train: Dataset, hospital: Hospital, diffusion: Diffusion | None, seed: int) -> tuple[Tensor, Tensor]:
    """A hospital's scans (N, V, C, H, W) and labels (N,): V = 1, or 2 with a copy as a purifier would hand it on.

    The first version is without the site's look, which is drawn anew for each batch; the purified one has it.
    """
    own, place = train.subset(np.array(hospital.indices)), compute.device()
    pixels, labels = own.pixels.to(place), own.labels.to(place)
    if diffusion is None:
        return pixels[:, None], labels
    generator = torch.Generator().manual_seed(seed)
    seen = site_look(pixels, hospital, generator)
    copies = torch.cat([purified_copy(batch, diffusion, generator) for batch in seen.split(4)])
    return torch.stack([pixels, copies], 1), labels


def shown(versions: Tensor, generator: torch.Generator, looks: Sequence[Hospital | None]) -> Tensor:
    """(B, V, C, H, W) of `site_data` → (B, C, H, W): augmented, about half purified, the rest in one of the looks each.

    A look of None leaves a scan as the collection has it.
    """
    count, place = len(versions), versions.device
    version = torch.randint(versions.shape[1], (count,), generator=generator).to(place)
    look = torch.randint(len(looks), (count,), generator=generator).to(place)
    pixels = augmented(versions[torch.arange(count, device=place), version], generator)
    for index, hospital in enumerate(looks):
        chosen = (version == 0) & (look == index)
        if hospital is not None and chosen.any():
            pixels[chosen] = site_look(pixels[chosen], hospital, generator)
    return pixels.contiguous(memory_format=torch.channels_last)


def expert_loss(network: nn.Module, pixels: Tensor, labels: Tensor) -> Tensor:
    """() cross-entropy with smoothed labels."""
    with _autocast():
        logits = network(pixels)
    return functional.cross_entropy(logits.float(), labels, label_smoothing=0.05)


def gate_loss(network: MixtureOfExperts, pixels: Tensor, labels: Tensor) -> Tensor:
    """() the mixture's cross-entropy, less a share of its gate's mean entropy, so that no expert falls silent.

    Labels aren't smoothed: smoothing rewards an even mixture, and then the gate says little.
    """
    with _autocast():
        weights, _, combined = network.opinions(pixels)
    entropy = -(weights.float() * weights.float().clamp_min(1e-8).log()).sum(1).mean()
    return functional.cross_entropy(combined.float(), labels) - ENTROPY * entropy


class Federation:
    """All phases of the training, round by round; it saves after each, and takes up where it was cut off.

    Parameters
    ----------
    options : Namespace
        As `parsed` makes them.
    hospitals : sequence of Hospital
        One expert each.
    """

    def __init__(self, options: argparse.Namespace, hospitals: Sequence[Hospital]):
        self.options, self.hospitals = options, hospitals
        self.seconds, self.started, self.ended = 0.0, time.perf_counter(), None
        self.length = max(1, options.steps // options.rounds)
        self.rounds = dict(zip(PHASES, (options.rounds, options.rounds, math.ceil(options.gate_steps / self.length))))
        self.held = dict.fromkeys(PHASES, 0)
        self.states = self._begun()
        options.out.mkdir(parents=True, exist_ok=True)
        self.checkpoint = options.out / "checkpoint.safetensors"
        if self.checkpoint.is_file():
            self._resume()

    @property
    def step(self) -> int:
        """Optimiser steps of one hospital so far, in all phases."""
        return self.length * sum(self.held.values())

    @property
    def minutes(self) -> float:
        """What it has taken so far, over all its sittings."""
        return (self.seconds + (self.ended or time.perf_counter()) - self.started) / 60

    @property
    def finished(self) -> bool:
        """Whether every round has been held."""
        return all(self.held[phase] >= self.rounds[phase] for phase in PHASES)

    def train(self, data: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Hold the rounds that are left, or as many as the minutes allow, on the hospitals' own scans and labels."""
        deadline = self.started + 60 * self.options.minutes
        for phase in PHASES:
            while self.held[phase] < self.rounds[phase] and time.perf_counter() < deadline:
                self._round(phase, data)
                self.held[phase] += 1
                self._save()
                print(f"{phase} {self.held[phase]}/{self.rounds[phase]} {self.minutes:.1f} min", flush=True)
        self.ended = time.perf_counter()

    def averaged(self) -> nn.Module:
        """The mixture, ready to be measured."""
        return self._network("gate").eval()

    def networks(self) -> dict[str, nn.Module]:
        """The mixture, each of its experts, plain FedAvg, and what all of them began with, ready to be measured."""
        mixture = self.averaged()
        experts = {hospital.name: expert for hospital, expert in zip(self.hospitals, mixture.experts)}
        fedavg, start = (self._filled(state).eval() for state in (self.states["fedavg"][0], self._start()))
        return {"mixture": mixture, **experts, "plain FedAvg": fedavg, "starting weights": start}

    def write_baselines(self) -> None:
        """Write what the mixture is compared with, as fp16: each expert alone, and plain FedAvg."""
        for name, network in self.networks().items():
            if name not in ("mixture", "starting weights"):
                weights = {key: half(value.cpu()) for key, value in network.state_dict().items()}
                save_file(weights, self.options.out / f"{name.lower().replace(' ', '-')}.safetensors")

    def _round(self, phase: str, data: Sequence[tuple[Tensor, Tensor]]) -> None:
        updates = [self._update(phase, place, *own) for place, own in enumerate(data)]
        self.states[phase] = next_states(updates, personal_names(self._expert(), HEAD) if phase == "experts" else ())

    def _update(self, phase: str, place: int, pixels: Tensor, labels: Tensor) -> Update:
        """One hospital's part of a round."""
        done = self.held[phase]
        progress = done / self.rounds[phase]
        peak = GATE_LR if phase == "gate" else self.options.lr
        settings = ClientSettings(self.length, self.options.batch, peak * (0.5 * (1 + math.cos(math.pi * progress))))
        looks = (None, *self.hospitals) if phase == "gate" else (self.hospitals[place],)
        generator = drawn(self.options.seed, PHASES.index(phase), done, place)
        network, loss = self._network(phase, place), gate_loss if phase == "gate" else expert_loss
        update = client_update(network, pixels, labels, settings, generator, partial(shown, looks=looks), loss)
        gate = {name.removeprefix("gate."): value for name, value in update.state.items() if name.startswith("gate.")}
        return Update(gate, update.count) if phase == "gate" else update

    def _network(self, phase: str, place: int = 0) -> nn.Module:
        """What a hospital trains in a phase, with the weights that its next round begins with."""
        if phase != "gate":
            return self._filled(self.states[phase][place])
        experts = [self._filled(state).requires_grad_(False) for state in self.states["experts"]]
        gate = self._gate()
        gate.load_state_dict(self.states["gate"][place])
        return MixtureOfExperts(experts, gate.to(compute.device()))

    def _filled(self, state: dict[str, Tensor]) -> NarrowResNet18:
        network = self._expert()
        network.load_state_dict(state)
        return network.to(compute.device()).to(memory_format=torch.channels_last)

    def _expert(self) -> NarrowResNet18:
        options = self.options
        return NarrowResNet18(BUNDLE["input"]["channels"], len(BUNDLE["classes"]), options.width, options.shrink)

    def _gate(self) -> Gate:
        return Gate(BUNDLE["input"]["channels"], len(self.hospitals))

    def _begun(self) -> dict[str, list[dict[str, Tensor]]]:
        """The same weights for every hospital, phase by phase: FedAvg averages networks that began alike."""
        gate = seeded(self._gate, f"gate {self.options.seed}").state_dict()
        states = dict(zip(PHASES, (self._start(), self._start(), gate)))
        return {phase: [dict(state) for _ in self.hospitals] for phase, state in states.items()}

    def _start(self) -> dict[str, Tensor]:
        """The weights that every expert begins with."""
        expert = seeded(self._expert, f"expert {self.options.seed}")
        if self.options.init:
            expert.load_state_dict(named_as(expert, load_file(self.options.init)))
        return expert.state_dict()

    def _save(self) -> None:
        state = {
            f"{phase}/{place}/{name}": value.detach().cpu().clone().contiguous()
            for phase, states in self.states.items()
            for place, own in enumerate(states)
            for name, value in own.items()
        }
        save_file(state, self.checkpoint, {"rounds": json.dumps(self.held), "seconds": str(60 * self.minutes)})

    def _resume(self) -> None:
        with safe_open(self.checkpoint, "pt") as file:
            self.held = json.loads(file.metadata()["rounds"])
            self.seconds = float(file.metadata()["seconds"])
        for key, value in load_file(self.checkpoint).items():
            phase, place, name = key.split("/", 2)
            self.states[phase][int(place)][name] = value


def sites_record(hospitals: Sequence[Hospital], train: Dataset) -> list[dict[str, Any]]:
    """What the card says of the hospitals: their profiles, and how many images of each class they have."""
    records = []
    for hospital in hospitals:
        counts = np.bincount(train.labels[list(hospital.indices)], minlength=len(BUNDLE["classes"])).tolist()
        record = asdict(hospital) | {"images": dict(zip(BUNDLE["classes"], counts))}
        records.append({name: value for name, value in record.items() if name != "indices"})
    return records


def write_form(sites: Sequence[dict[str, Any]], options: argparse.Namespace) -> None:
    """How the mixture is built and who sits in it, beside its weights."""
    experts = []
    for site in sites:
        images = ", ".join(f"{count} {name}" for name, count in site["images"].items())
        experts.append({"name": site["name"], "training": f"Invented site. {site['description']} {SHARED} {images}."})
    entry = {
        "architecture": "resnet18-mixture",
        "config": {"count": len(sites), "width": options.width, "shrink": options.shrink},
        "experts": experts,
    }
    (options.out / "medfedpure.form.json").write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")


def drawn(*numbers: int) -> torch.Generator:
    """A generator for each seed, phase, round and hospital: a resumed run goes on as it would have."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))


def _autocast() -> torch.autocast:
    return torch.autocast(compute.device().type, torch.bfloat16, compute.fast_dtype() == torch.bfloat16)


if __name__ == "__main__":
    main()
