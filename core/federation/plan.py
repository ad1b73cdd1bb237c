"""What a federation does, agreed before it begins: the network, the strategy, and what is done in a round."""

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from diffusers.models import UNet2DModel
from torch import nn

from core.federation.averaging import ClientSettings
from core.federation.strategies import NOTHING, Strategy, find_strategy
from core.federation.tokens import encoder_of
from core.models.experts import Gate, MixtureOfExperts
from core.models.mae import MaskedAutoencoder
from core.models.resnet import HALF_WIDTH, NarrowResNet18
from core.models.vit import TOKEN, TokenViT

PURIFIER, DETECTOR, CLASSIFIER = "purifier", "detector", "classifier"
TRAINED = (PURIFIER, DETECTOR, CLASSIFIER)
"""In the order of MedFedPure: a U-Net, a masked autoencoder, a ResNet-18."""
EXPERTS, COLLECT, GATE, ASK, RESULT = "experts", "collect", "gate", "ask", "result"
HEAD = "network.fc"
NAME_LIMIT = 60
LIMITS = {"rounds": 10_000, "steps": 100_000, "batch": 4096, "channels": 4, "classes": 1000, "width": 256, "shrink": 16}
LIMITS |= {"size": 512}
"""A server can't ask a hospital for a network that its memory doesn't hold."""
MOST_WIDE = 64  # of a purifier or a detector


@dataclass(frozen=True)
class Plan:
    """All that a coordinator and its hospitals have to agree on.

    Attributes
    ----------
    name : str
        Of this federation; what a hospital has answered in one is never taken for an answer in another.
    strategy : str
        One of `STRATEGIES`.
    rounds, gate_rounds : int
        Of the networks, and of the gate where the strategy trains one.
    steps, batch : int
        Optimiser steps of one hospital in a round, and images in each.
    lr, gate_lr : float
        Largest learning rate; it falls to 0 along half a cosine.
    strength : float
        FedProx's μ.
    least : int
        Hospitals that a round needs.
    dishonest : int
        How many the trimmed mean and Krum reckon with.
    patience : float
        Seconds that a round waits for hospitals which are connected.
    seed : int
        Of the first weights and the batches.
    channels, classes, width, shrink : int
        Of the network; a classifier is a `NarrowResNet18`. With a width of 32 purifier and detector are built as those
        of brain-mri, whose weights they can begin with.
    trains : str
        One of `TRAINED`.
    size : int
        Side of the images in pixels; only a purifier and a detector are made for one.
    bundle : str
        Whose encoder makes class tokens, and whose head answers them where there is no other; for 'token-ckks' alone.
    """

    name: str
    strategy: str = "fedavg"
    rounds: int = 5
    gate_rounds: int = 2
    steps: int = 30
    batch: int = 32
    lr: float = 0.01
    gate_lr: float = 0.5
    strength: float = 0.01
    least: int = 2
    dishonest: int = 1
    patience: float = 3600.0
    seed: int = 0
    channels: int = 1
    classes: int = 2
    width: int = HALF_WIDTH
    shrink: int = 1
    trains: str = CLASSIFIER
    size: int = 128
    bundle: str = ""

    def __post_init__(self):
        find_strategy(self.strategy)
        if self.trains not in TRAINED:
            raise ValueError(f"A federation trains one of {', '.join(TRAINED)}, not {self.trains!r}.")
        if not 0 < len(self.name) <= NAME_LIMIT:
            raise ValueError(f"A federation's name has 1 to {NAME_LIMIT} characters.")
        for name in ("gate_rounds", "least", *LIMITS):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of a federation must be at least 1, not {getattr(self, name)}.")
        for name, most in LIMITS.items():
            if getattr(self, name) > most:
                raise ValueError(f"{name} of a federation is at most {most}, not {getattr(self, name)}.")
        if self.dishonest < 0:
            raise ValueError(f"The dishonest sites of a federation are at least 0, not {self.dishonest}.")
        for name in ("lr", "gate_lr", "strength", "patience"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} of a federation must be a number from 0 up, not {getattr(self, name)}.")
        if self.how.asks != bool(self.bundle):
            raise ValueError("A federation has a bundle if it asks about encrypted tokens, and only then.")
        if self.trains != CLASSIFIER:
            self._check_image_network()

    def _check_image_network(self) -> None:
        """ValueError, one sentence, for what a purifier and a detector can't be."""
        if self.how.keeps != NOTHING or self.how.asks:
            raise ValueError(
                f"A {self.trains} has no BatchNorm, head or class token; take another strategy than {self.strategy}, "
                "such as fedavg."
            )
        if self.size % 16 or self.width % 2 or self.width > MOST_WIDE:
            raise ValueError(
                f"A {self.trains} needs images whose side is a multiple of 16, and an even width of at most "
                f"{MOST_WIDE}; not {self.size} and {self.width}."
            )

    @property
    def how(self) -> Strategy:
        """The strategy itself."""
        return find_strategy(self.strategy)

    def orders(self) -> list["Order"]:
        """Every round in turn; the last hands out what came of it."""
        orders = [Order(self, ASK if self.how.asks else EXPERTS, number) for number in range(self.rounds)]
        if self.how.gated:
            orders.append(Order(self, COLLECT, 0))
            orders += [Order(self, GATE, number) for number in range(self.gate_rounds)]
        return [*orders, Order(self, RESULT, 0)]

    def network(self) -> nn.Module:
        """What every hospital trains, or the head that answers tokens; its weights are to be filled in."""
        if self.how.asks:
            return nn.Linear(TOKEN, self.classes)
        if self.trains == PURIFIER:
            return UNet2DModel(
                sample_size=self.size,
                in_channels=self.channels,
                out_channels=self.channels,
                block_out_channels=[self.width * times for times in (1, 2, 3, 4)],
                down_block_types=["DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D"],
                up_block_types=["AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"],
                norm_num_groups=self.width // 2,
                num_class_embeds=self.classes + 1,  # the last stands for 'no class given'
            )
        if self.trains == DETECTOR:
            return MaskedAutoencoder(
                self.size, self.size // 16, self.channels, width=8 * self.width, decoder_width=6 * self.width
            )
        return NarrowResNet18(self.channels, self.classes, self.width, self.shrink)

    def encoder(self) -> TokenViT:
        """What makes class tokens, as it lies here; ValueError as of `encoder_of`."""
        return encoder_of(self.bundle, self.channels, self.size, self.classes)

    def gate(self, count: int) -> Gate:
        """What weighs `count` hospitals' networks."""
        return Gate(self.channels, count)

    def mixture(self, count: int) -> MixtureOfExperts:
        """All hospitals' networks under a gate."""
        return MixtureOfExperts([self.network().requires_grad_(False) for _ in range(count)], self.gate(count))

    def first_network(self) -> dict[str, torch.Tensor]:
        """The state that every hospital begins with where there is none; PyTorch's own numbers go on undisturbed."""
        if self.how.asks:
            return self.encoder().linear.state_dict()
        if self.trains == CLASSIFIER:
            return self.first_state(self.network())
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return self.network().state_dict()

    def first_state(self, network: nn.Module) -> dict[str, torch.Tensor]:
        """The state of a classifier or a gate that is drawn anew from the plan's seed."""
        generator = torch.Generator().manual_seed(self.seed)
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                fan = module.weight[0].numel()
                nn.init.normal_(module.weight, 0, math.sqrt(2 / fan), generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, Gate):
                nn.init.normal_(module.keys, generator=generator)
        return {name: value.clone() for name, value in network.state_dict().items()}


@dataclass(frozen=True)
class Order:
    """One round of a plan, as it is sent to a hospital.

    Attributes
    ----------
    plan : Plan
        What was agreed.
    phase : str
        EXPERTS trains the networks, COLLECT asks for them, GATE trains the gate over them; ASK is about encrypted
        tokens; RESULT hands everything out.
    number : int
        The round within its phase, from 0.
    experts : tuple of str
        Whose networks the gate weighs, in order.
    partners : tuple of str
        Which hospitals are asked to take part.
    vouchers : tuple of str
        What each of them signed to say so.
    images : int
        Of all partners together: a hospital's share of them weighs its encrypted update.
    summed : float
        Shares of those whose encrypted updates the sum that comes along is of; 0 where what comes isn't encrypted.
    """

    plan: Plan
    phase: str
    number: int
    experts: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    vouchers: tuple[str, ...] = ()
    images: int = 1
    summed: float = 0.0

    def __post_init__(self):
        if self.phase not in (EXPERTS, COLLECT, GATE, ASK, RESULT):
            raise ValueError(f"There is no phase named {self.phase!r} in a federation.")
        if self.images < 1 or not (math.isfinite(self.summed) and self.summed >= 0):
            raise ValueError("An order counts at least one image, and no less than nothing that was added up.")

    @property
    def key(self) -> str:
        """What tells this round from any other of any federation."""
        return f"{self.plan.name}/{self.phase}/{self.number}"

    @property
    def settings(self) -> ClientSettings:
        """What a hospital does in this round."""
        plan, gate = self.plan, self.phase == GATE
        done = self.number / (plan.gate_rounds if gate else plan.rounds)
        peak = plan.gate_lr if gate else plan.lr
        return ClientSettings(plan.steps, plan.batch, peak * 0.5 * (1 + math.cos(math.pi * done)))

    def to_json(self) -> str:
        """For the way to a hospital."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Order":
        """Read what a server sent; ValueError, one sentence, where it is no order."""
        try:
            entries = json.loads(text)
            lists = {name: tuple(map(str, entries.pop(name))) for name in ("experts", "partners", "vouchers")}
            plan = Plan(**_typed(Plan, entries.pop("plan")))
            return cls(plan=plan, **_typed(cls, entries), **lists)  # type: ignore[arg-type]
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(
                "What the server sent is no order of a federation; use the same version on both sides."
            ) from error


def _typed(kind: type, entries: dict[str, Any]) -> dict[str, Any]:
    """Entries as a dataclass of plain types declares them, so that no text comes where a number is meant."""
    types = {entry.name: entry.type for entry in fields(kind)}
    return {name: types[name](value) for name, value in entries.items()}  # type: ignore[operator]
