"""The federated training of a mixture, round by round: experts with personal weights, plain FedAvg, then a gate."""

import argparse
import json
import math
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core import compute
from core.federation.averaging import ClientSettings, Update, client_update, next_states, personal_names
from core.federation.hospitals import Hospital, site_look
from core.federation.losses import expert_loss, gate_loss
from core.models.experts import Gate, MixtureOfExperts
from core.models.resnet import NarrowResNet18
from core.storage import save_whole
from training.recipes.augmentation import augmented_scans
from training.recipes.weights import half, named_as, seeded
from training.tasks import BRAIN_MRI

HEAD = "network.fc"
GATE_LR = 0.5
PHASES = ("experts", "fedavg", "gate")


class Federation:
    """All phases of the training, round by round; it saves after each, and takes up where it was cut off.

    Parameters
    ----------
    options : Namespace
        As `training.recipes.medfedpure.parsed` makes them.
    hospitals : sequence of Hospital
        One expert each; with --invented-scanners each shows its scans in its own look.
    """

    def __init__(self, options: argparse.Namespace, hospitals: Sequence[Hospital]):
        self.options, self.hospitals = options, hospitals
        self.looks = [hospital if options.invented_scanners else None for hospital in hospitals]
        self.seconds, self.started = 0.0, time.perf_counter()
        self.ended: float | None = None
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
        """Return the mixture, ready to be measured."""
        return self._network("gate").eval()

    def networks(self) -> dict[str, nn.Module]:
        """Return the mixture, its experts, plain FedAvg, and what all of them began with, ready to be measured."""
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
        """Return one hospital's part of a round."""
        done = self.held[phase]
        progress = done / self.rounds[phase]
        peak = GATE_LR if phase == "gate" else self.options.lr
        settings = ClientSettings(self.length, self.options.batch, peak * (0.5 * (1 + math.cos(math.pi * progress))))
        looks = (None, *filter(None, self.looks)) if phase == "gate" else (self.looks[place],)
        generator = drawn(self.options.seed, PHASES.index(phase), done, place)
        network, loss = self._network(phase, place), gate_loss if phase == "gate" else expert_loss
        update = client_update(network, pixels, labels, settings, generator, partial(shown, looks=looks), loss)
        gate = {name.removeprefix("gate."): value for name, value in update.state.items() if name.startswith("gate.")}
        return Update(gate, update.count) if phase == "gate" else update

    def _network(self, phase: str, place: int = 0) -> nn.Module:
        """Return what a hospital trains in a phase, with the weights that its next round begins with."""
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
        return NarrowResNet18(BRAIN_MRI["input"]["channels"], len(BRAIN_MRI["classes"]), options.width, options.shrink)

    def _gate(self) -> Gate:
        return Gate(BRAIN_MRI["input"]["channels"], len(self.hospitals))

    def _begun(self) -> dict[str, list[dict[str, Tensor]]]:
        """Return the same weights for every hospital, phase by phase: FedAvg averages networks that began alike."""
        gate = seeded(self._gate, f"gate {self.options.seed}").state_dict()
        states = dict(zip(PHASES, (self._start(), self._start(), gate)))
        return {phase: [dict(state) for _ in self.hospitals] for phase, state in states.items()}

    def _start(self) -> dict[str, Tensor]:
        """Return the weights that every expert begins with."""
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
        save_whole(state, self.checkpoint, {"rounds": json.dumps(self.held), "seconds": str(60 * self.minutes)})

    def _resume(self) -> None:
        with safe_open(self.checkpoint, "pt") as file:
            self.held = json.loads(file.metadata()["rounds"])
            self.seconds = float(file.metadata()["seconds"])
        for key, value in load_file(self.checkpoint).items():
            phase, place, name = key.split("/", 2)
            self.states[phase][int(place)][name] = value


def shown(versions: Tensor, generator: torch.Generator, looks: Sequence[Hospital | None]) -> Tensor:
    """Return (B, V, C, H, W) versions as (B, C, H, W): augmented, about half purified, the rest in one look each.

    A look of None leaves a scan as the collection has it.
    """
    count, place = len(versions), versions.device
    version = torch.randint(versions.shape[1], (count,), generator=generator).to(place)
    look = torch.randint(len(looks), (count,), generator=generator).to(place)
    pixels = augmented_scans(versions[torch.arange(count, device=place), version], generator)
    for index, hospital in enumerate(looks):
        chosen = (version == 0) & (look == index)
        if hospital is not None and chosen.any():
            pixels[chosen] = site_look(pixels[chosen], hospital, generator)
    return pixels.contiguous(memory_format=torch.channels_last)


def drawn(*numbers: int) -> torch.Generator:
    """Return a generator for each seed, phase, round and hospital: a resumed run goes on as it would have."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))
