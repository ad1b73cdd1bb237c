"""What every recipe shares: data, augmentation, a resumable run with an average of the weights, and the card."""

import argparse
import json
import math
import platform
import shlex
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from core import compute
from core.bundles import file_sha256
from core.evaluation.datasets import Dataset, load_dataset
from training.assemble import BUNDLE, TASKS, half

EMA_DECAY = 0.999
WARM_UP = 0.05
SAVE_SECONDS = 120
WATCH_STEPS = 250


def arguments(description: str, **defaults: Any) -> argparse.ArgumentParser:
    """The options that all recipes take, with the defaults of one."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help=".npz with image, label, group, split")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, card and checkpoint")
    parser.add_argument("--init", type=Path, help="safetensors to start from instead of random weights")
    parser.add_argument("--steps", type=int, default=defaults["steps"], help="optimiser steps in all")
    parser.add_argument("--batch", type=int, default=defaults["batch"])
    parser.add_argument("--lr", type=float, default=defaults["lr"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="stop and save after so long; run again to go on"
    )
    return parser


def load_splits(path: Path, bundle: str = BUNDLE["name"]) -> tuple[Dataset, Dataset]:
    """Training and validation scans of a data set, as the networks of a bundle take them."""
    task = TASKS[bundle]
    classes, codes = tuple(task["classes"]), tuple(task.get("codes", ()))
    data = load_dataset(path, classes, task["input"]["resolution"], task["input"]["channels"], codes)
    return data.split("train"), data.split("val")


def augmented(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Flips, rotation by up to 15°, gamma and gain jitter of (B, C, H, W) pixels in [0, 1]."""
    angle = _uniform(pixels, 1, -15, 15, generator)
    mirror = torch.where(_uniform(pixels, 1, 0, 1, generator) < 0.5, -1.0, 1.0)
    turned = _turned(pixels, angle, mirror, "zeros")
    gamma, gain = _uniform(pixels, 1, 0.7, 1.4, generator), _uniform(pixels, 1, 0.85, 1.15, generator)
    return (gain * turned.clamp_min(1e-6) ** gamma).clamp(0, 1)


def augmented_cells(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Flips, rotation by any angle, and mild jitter of gamma and of each colour's gain; a cell has no upper side.

    Half of them take quarter turns only, which keep every pixel: interpolation blurs granules, and a network that had
    seen nothing but blurred cells took a sharp granulocyte for a basophil.
    """
    angle, whole = _uniform(pixels, 1, -180, 180, generator), _uniform(pixels, 1, 0, 1, generator) < 0.5
    mirror = torch.where(_uniform(pixels, 1, 0, 1, generator) < 0.5, -1.0, 1.0)
    turned = _turned(pixels, torch.where(whole, (angle / 90).round() * 90, angle), mirror, "reflection")
    gamma = _uniform(pixels, 1, 0.85, 1.18, generator)
    gain = _uniform(pixels, pixels.shape[1], 0.95, 1.05, generator)
    return (gain * turned.clamp_min(1e-6) ** gamma).clamp(0, 1)


def augmented_tiles(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Flips, turns, shifts by up to 16 pixels, and jitter of the stains of tissue, which has no upper side.

    Half of them take quarter turns and whole pixels only, as cells do; the others any angle, and a zoom by up to 1.25.
    The stains jitter in optical density (Ruifrok & Johnston 2001), where their amounts add up: a power a colour.
    """
    angle, whole = _uniform(pixels, 1, -180, 180, generator), _uniform(pixels, 1, 0, 1, generator) < 0.5
    mirror = torch.where(_uniform(pixels, 1, 0, 1, generator) < 0.5, -1.0, 1.0)
    zoom = _uniform(pixels, 1, -1, 1, generator)
    zoom = torch.where(whole, 1.0, 1.25**zoom)
    shift = _uniform(pixels, 2, -16, 16, generator).round().flatten(1) * 2 / pixels.shape[-1]
    turned = _turned(pixels, torch.where(whole, (angle / 90).round() * 90, angle), mirror, "reflection", zoom, shift)
    density = _uniform(pixels, 1, 0.75, 1.33, generator) * _uniform(pixels, pixels.shape[1], 0.85, 1.18, generator)
    return turned.clamp_min(1e-6) ** density


AUGMENTATIONS = {"brain-mri": augmented, "blood-cells": augmented_cells, "lung-histology": augmented_tiles}


def _uniform(pixels: Tensor, channels: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """(B, channels, 1, 1), for B images and where they are."""
    drawn = torch.rand(len(pixels) * channels, generator=generator) * (high - low) + low
    return drawn.view(len(pixels), channels, 1, 1).to(pixels.device)


@torch.autocast("cpu", enabled=False)
@torch.autocast("cuda", enabled=False)  # a sampling grid in bfloat16 would be an eighth of a pixel off
def _turned(
    pixels: Tensor,
    degrees: Tensor,
    mirror: Tensor,
    padding: str,
    zoom: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """Each image turned by its angle, and mirrored where `mirror` is -1; what lies outside is as `padding` says.

    `zoom` makes (B, 1, 1, 1) times larger, and `shift` (B, 2) moves by so many half sides.
    """
    angle, mirror = degrees.flatten().deg2rad(), mirror.flatten()
    rows = torch.stack([mirror * angle.cos(), -angle.sin(), mirror * angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    if zoom is not None:
        rows = rows / zoom.view(-1, 1, 1)
    where = torch.zeros_like(rows[:, 0]) if shift is None else shift
    grid = functional.affine_grid(torch.cat([rows, where.unsqueeze(-1)], 2), list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, padding_mode=padding, align_corners=False).clamp(0, 1)


def random_batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless shuffled batches of indices into `count` images."""
    while True:
        order = torch.randperm(count, generator=generator)
        yield from order.split(size) if count < size else order[: count - count % size].split(size)


def seeded(build: Callable[[], nn.Module], seed: str) -> nn.Module:
    """A network whose first weights hang on `seed` alone; PyTorch's own numbers go on as if nothing had been drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(zlib.crc32(seed.encode()))
        return build()


class Run:
    """A training run that can be cut off and taken up again.

    Parameters
    ----------
    network : Module
        Trained in place; `average` holds the exponential moving average of its weights.
    options : Namespace
        As `arguments` parses them.
    decay : float
        How much of the averaged weights a step keeps.
    fit : callable
        (network, weights of --init) → what the network can load.
    """

    def __init__(
        self,
        network: nn.Module,
        options: argparse.Namespace,
        decay: float = EMA_DECAY,
        fit: Callable[[nn.Module, dict[str, Tensor]], dict[str, Tensor]] | None = None,
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
        self.step, self.seconds, self.started, self.ended = 0, 0.0, time.perf_counter(), None
        options.out.mkdir(parents=True, exist_ok=True)
        self.checkpoint = options.out / "checkpoint.safetensors"
        if self.checkpoint.is_file():
            self._resume()
        self.generator = torch.Generator().manual_seed(options.seed + self.step)

    def train(
        self,
        loss: Callable[[nn.Module, torch.Generator], Tensor],
        watch: Callable[[nn.Module], str] | None = None,
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
                print(
                    f"step {self.step}/{self.options.steps} loss {value.item():.5f} {self.minutes:.1f} min",
                    flush=True,
                )
            if watch and self.step % WATCH_STEPS == 0:
                print(f"step {self.step}/{self.options.steps} {watch(self.averaged())}", flush=True)
        self.ended = time.perf_counter()
        self._save()

    @property
    def finished(self) -> bool:
        """Whether all steps have been taken."""
        return self.step >= self.options.steps

    def averaged(self) -> nn.Module:
        """The averaged network, ready to be measured."""
        return self.average.module.eval()

    def finish(self, name: str, metrics: dict[str, Any]) -> None:
        """Write the averaged weights as fp16, and the card."""
        write_result(self.averaged(), name, self.options, metrics, steps=self.step, minutes=self.minutes)

    @property
    def minutes(self) -> float:
        """What it has taken so far, over all its sittings."""
        return (self.seconds + (self.ended or time.perf_counter()) - self.started) / 60

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
        from safetensors import safe_open

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


def write_result(
    network: nn.Module, name: str, options: argparse.Namespace, metrics: dict[str, Any], *, steps: int, minutes: float
) -> None:
    """Write a network as fp16 into the recipe's folder, and the card beside it."""
    save_file(
        {key: half(value.cpu()) for key, value in network.state_dict().items()}, options.out / f"{name}.safetensors"
    )
    card = {
        "component": name,
        "command": command_line(),
        "data": options.data.name,
        "split": "trained on train, measured on val; no near-duplicate group is in both",
        "started_from": started_from(options.init),
        "seed": options.seed,
        "commit": _commit(),
        "steps": steps,
        "minutes": round(minutes, 1),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU ({platform.machine()})",
        "torch": torch.__version__,
        "metrics": metrics,
    }
    (options.out / f"{name}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(card, indent=1))


def command_line() -> str:
    """The command as typed, with files by their names: where they lay is nobody's business."""
    words = [Path(word).name if Path(word).is_file() else word for word in sys.argv[1:]]
    return shlex.join(["python", "-m", f"training.{Path(sys.argv[0]).stem}", *words])


def named_as(network: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in float32, under the names that `network` gives them (bare timm weights lack our wrapper's prefix)."""
    if set(weights) != set(network.state_dict()):
        weights = {f"network.{key}": value for key, value in weights.items()}
    return {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}


def started_from(init: Path | None) -> str:
    """What a card says of the weights that a run began with."""
    return f"{init.name}, SHA-256 {file_sha256(init)}" if init else "random weights"


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _commit() -> str:
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"
