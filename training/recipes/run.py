"""A training run that can be cut off and taken up again, with an average of the weights."""

import argparse
import math
import time
from collections.abc import Callable
from typing import Any, Generic, cast

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core import compute
from training.recipes.cards import write_result
from training.recipes.weights import Network, named_as

EMA_DECAY = 0.999
WARM_UP = 0.05
SAVE_SECONDS = 120
WATCH_STEPS = 250


class Run(Generic[Network]):
    """A training run that can be cut off and taken up again.

    Parameters
    ----------
    network : Module
        Trained in place; `average` holds the exponential moving average of its weights.
    options : Namespace
        As `training.options.recipe_options` parses them.
    decay : float
        How much of the averaged weights a step keeps.
    fit : callable
        (network, weights of --init) → what the network can load.
    """

    def __init__(
        self,
        network: Network,
        options: argparse.Namespace,
        decay: float = EMA_DECAY,
        fit: Callable[[Network, dict[str, Tensor]], dict[str, Tensor]] | None = None,
    ):
        self.options = options
        place = compute.device()
        if options.init:
            network.load_state_dict((fit or named_as)(network, load_file(options.init)))
        self.network = network.to(place).to(memory_format=torch.channels_last).train()
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay), use_buffers=True
        )
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=options.lr, weight_decay=0.05, fused=True)
        self.step, self.seconds, self.started = 0, 0.0, time.perf_counter()
        self.ended: float | None = None
        options.out.mkdir(parents=True, exist_ok=True)
        self.checkpoint = options.out / "checkpoint.safetensors"
        if self.checkpoint.is_file():
            self._resume()
        self.generator = torch.Generator().manual_seed(options.seed + self.step)

    def train(
        self,
        loss: Callable[[Network, torch.Generator], Tensor],
        watch: Callable[[Network], str] | None = None,
    ) -> None:
        """Take the steps that are left, or as many as the minutes allow.

        `loss` draws its own batch; `watch` says in a few words how the averaged network is doing.
        """
        deadline = self.started + 60 * self.options.minutes
        saved = time.perf_counter()
        while self.step < self.options.steps and time.perf_counter() < deadline:
            for group in self.optimizer.param_groups:
                group["lr"] = self.options.lr * self._schedule()
            with torch.autocast(compute.device().type, torch.bfloat16, compute.fast_dtype() == torch.bfloat16):
                value = loss(self.network, self.generator)
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            self.average.update_parameters(self.network)
            self.step += 1
            if time.perf_counter() > saved + SAVE_SECONDS:
                self._save()
                saved = time.perf_counter()
            if self.step % 50 == 0:
                self._tell(f"loss {value.item():.5f} {self.minutes:.1f} min")
            if watch and self.step % WATCH_STEPS == 0:
                self._tell(watch(self.averaged()))
        self.ended = time.perf_counter()
        self._save()

    @property
    def finished(self) -> bool:
        """Whether all steps have been taken."""
        return self.step >= self.options.steps

    def averaged(self) -> Network:
        """Return the averaged network, ready to be measured."""
        return cast(Network, self.average.module.eval())

    def finish(self, name: str, metrics: dict[str, Any]) -> None:
        """Write the averaged weights as fp16, and the card."""
        write_result(self.averaged(), name, self.options, metrics, steps=self.step, minutes=self.minutes)

    @property
    def minutes(self) -> float:
        """What it has taken so far, over all its sittings."""
        return (self.seconds + (self.ended or time.perf_counter()) - self.started) / 60

    def _tell(self, news: str) -> None:
        print(f"step {self.step}/{self.options.steps} {news}", flush=True)

    def _schedule(self) -> float:
        done = self.step / self.options.steps
        return min(1.0, done / WARM_UP + 1e-3) * (0.5 * (1 + math.cos(math.pi * done)) * 0.99 + 0.01)

    def _save(self) -> None:
        state = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        state |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        state = {key: value.detach().cpu().clone().contiguous() for key, value in state.items()}
        save_file(state, self.checkpoint, {"step": str(self.step), "seconds": str(60 * self.minutes)})

    def _resume(self) -> None:
        with safe_open(self.checkpoint, "pt") as file:
            self.step, self.seconds = int(file.metadata()["step"]), float(file.metadata()["seconds"])
        state = load_file(self.checkpoint)
        self.network.load_state_dict(_below(state, "network."))
        self.average.load_state_dict(_below(state, "average."))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(state, "optimizer.").items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
