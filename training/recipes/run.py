"""A training run that can be cut off and taken up again bit for bit, with an average of the weights."""

import argparse
import copy
import json
import math
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Generic

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from core import compute
from core.storage import save_whole
from training.recipes.cards import sitting, started_from, write_result
from training.recipes.weights import Network, named_as

SAVE_SECONDS, SAVE_STEPS = 900, 200
TELL_STEPS, WATCH_STEPS = 50, 250
STOPPED = 143  # what a command answers that SIGTERM ended

# (network, step, the step's generator) → the parts of a batch's loss, each with its share of the batch.
Loss = Callable[[Network, int, torch.Generator], Iterator[tuple[float, Tensor]]]


class Run(Generic[Network]):
    """A training run that can be cut off and taken up again.

    A step's random numbers come from a generator seeded by the recipe's name, --seed and the step, so the step is the
    whole random state. SIGTERM saves at the end of the step under way.

    Parameters
    ----------
    name : str
        Of the recipe: what its random numbers hang on.
    network : Module
        Trained in place; `average` holds the exponential moving average of its weights, by name.
    options : Namespace
        As `training.options.recipe_options` parses them.
    fit : callable
        (network, weights of --init) → what the network can load.
    """

    def __init__(
        self,
        name: str,
        network: Network,
        options: argparse.Namespace,
        fit: Callable[[Network, dict[str, Tensor]], dict[str, Tensor]] | None = None,
    ):
        self.name, self.options = name, options
        if options.init:
            network.load_state_dict((fit or named_as)(network, load_file(options.init)))
        self.network = network.to(compute.device()).to(memory_format=torch.channels_last).train()
        self.average = {key: value.detach().clone() for key, value in network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=options.lr, weight_decay=options.weight_decay, fused=True
        )
        self.step, self.seconds, self.started = 0, 0.0, time.perf_counter()
        self.ended: float | None = None
        self.history = {"started_from": started_from(options.init), "sittings": []}
        self.stopping = False
        options.out.mkdir(parents=True, exist_ok=True)
        self.checkpoint = options.out / "checkpoint.safetensors"
        if self.checkpoint.is_file():
            self._resume()
        self.warm = self.history["started_from"] == started_from(None)

    def train(self, loss: Loss, watch: Callable[[Network], str] | None = None) -> None:
        """Take the steps that are left, or as many as the minutes allow.

        `loss` draws its own batch; `watch` says in a few words how the averaged network is doing.
        """
        deadline = self.started + 60 * self.options.minutes
        saved, began = time.perf_counter(), self.step
        before = catch_term(self._stop)
        while self.step < self.options.steps and time.perf_counter() < deadline and not self.stopping:
            value = self._take_step(loss)
            if self.step % SAVE_STEPS == 0 or time.perf_counter() > saved + SAVE_SECONDS:
                self._save(began)
                saved = time.perf_counter()
            if self.step % TELL_STEPS == 0:
                self._tell(f"loss {value:.5f} {self.minutes:.1f} min")
            if watch and self.step % WATCH_STEPS == 0:
                self._tell(watch(self.averaged()))
        self.ended = time.perf_counter()
        self._save(began)
        if before is not None:
            signal.signal(signal.SIGTERM, before)
        if self.stopping:
            self._tell("stopped; run the same command again to go on")
            raise SystemExit(STOPPED)

    @property
    def finished(self) -> bool:
        """Whether all steps have been taken."""
        return self.step >= self.options.steps

    def averaged(self) -> Network:
        """Return a network with the averaged weights, ready to be measured."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.average)
        return network.eval()

    def finish(self, name: str, metrics: dict[str, Any]) -> None:
        """Write the averaged weights as fp16, and the card."""
        facts = {"steps": self.step, "minutes": self.minutes, "history": self.history}
        write_result(self.averaged(), name, self.options, metrics, **facts)

    @property
    def minutes(self) -> float:
        """What it has taken so far, over all its sittings."""
        return (self.seconds + (self.ended or time.perf_counter()) - self.started) / 60

    def _take_step(self, loss: Loss) -> float:
        """Return the loss of one more step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.lr * learning_rate(self.step, self.options)
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for share, part in loss(self.network, self.step, self._generator()):
            (part * share).backward()
            total += part.item() * share
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), 1.0).item()
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise SystemExit(f"{self.name}: the loss is {total} and its gradient {norm} at step {self.step}.")
        self.optimizer.step()
        self._follow()
        self.step += 1
        return total

    def _generator(self) -> torch.Generator:
        seed = f"{self.name} {self.options.seed} {self.step}"
        return torch.Generator().manual_seed(zlib.crc32(seed.encode()))

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the average follow the weights; random ones that a run began with are forgotten sooner."""
        decay = self.options.decay
        if self.warm:
            decay = min(decay, (1 + self.step) / (10 + self.step))
        for key, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value, 1 - decay)
            else:
                self.average[key].copy_(value)

    def _stop(self, *_: Any) -> None:
        self.stopping = True

    def _tell(self, news: str) -> None:
        print(f"step {self.step}/{self.options.steps} {news}", flush=True)

    def _save(self, began: int) -> None:
        """Write the checkpoint anew; `began` is the step with which this sitting began."""
        state = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        state |= {f"average.{k}": v for k, v in self.average.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        state = {key: value.detach().cpu().clone().contiguous() for key, value in state.items()}
        past = [one for one in self.history["sittings"] if one["steps"][1] <= began]
        self.history["sittings"] = past + [sitting(began, self.step)] * (self.step > began)
        facts = {"step": self.step, "seconds": 60 * self.minutes, "seed": self.options.seed, "history": self.history}
        save_whole(state, self.checkpoint, {key: json.dumps(value) for key, value in facts.items()})

    def _resume(self) -> None:
        with safe_open(self.checkpoint, "pt") as file:
            facts = {key: json.loads(value) for key, value in file.metadata().items()}
        if facts["seed"] != self.options.seed:
            raise SystemExit(f"{self.checkpoint} was made with --seed {facts['seed']}; take that, or another --out.")
        self.step, self.seconds, self.history = facts["step"], facts["seconds"], facts["history"]
        state = load_file(self.checkpoint)
        self.network.load_state_dict(_below(state, "network."))
        for key, value in _below(state, "average.").items():
            self.average[key].copy_(value)
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": self._moments(state)})

    def _moments(self, state: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
        """Return AdamW's state in a checkpoint, laid out in memory as the weights are: the fused step goes by that."""
        moments: dict[int, dict[str, Tensor]] = {}
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        for key, value in _below(state, "optimizer.").items():
            index, name = key.split(".", 1)
            like = weights[int(index)]
            moments.setdefault(int(index), {})[name] = (
                torch.empty_like(like).copy_(value).detach() if value.shape == like.shape else value
            )
        return moments


def learning_rate(step: int, options: argparse.Namespace) -> float:
    """Return the factor of the learning rate: it rises over the warm-up, then stays, or falls along a cosine to 1 %."""
    warm_up = options.warm_up or max(1, round(options.steps / 20))
    rise = min(1.0, (step + 1) / warm_up)
    if options.schedule == "constant":
        return rise
    done = min(1.0, max(0.0, (step - warm_up) / max(1, options.steps - warm_up)))
    return rise * (0.5 * (1 + math.cos(math.pi * done)) * 0.99 + 0.01)


def catch_term(handler: Callable[..., None]) -> Any:
    """Call `handler` on SIGTERM; return what was called before, None outside the main thread, where nothing can be."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, handler)


def parts(batch: int, options: argparse.Namespace) -> list[tuple[float, slice]]:
    """Return the parts of a batch that --part asks for, each with its share."""
    size = options.part or batch
    return [(len(range(batch)[i : i + size]) / batch, slice(i, i + size)) for i in range(0, batch, size)]


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
