"""What a hospital does in a federation: it checks what it is asked, trains on its own scans, remembers its answer."""

import hashlib
import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core import compute
from core.federation.averaging import State, client_update
from core.federation.encrypted import SumKey, is_encrypted
from core.federation.losses import LOSSES, gate_loss, prepared
from core.federation.memory import Memory, read_memory
from core.federation.plan import ASK, CLASSIFIER, COLLECT, EXPERTS, GATE, HEAD, RESULT, Order
from core.federation.policy import Policy, check_order, guarded, hidden_names
from core.federation.privacy import Privacy
from core.federation.privacy.account import Account, Record
from core.federation.privacy.training import private_update, sampling_rate
from core.federation.strategies import gate_of, held_near, kept_names
from core.federation.tokens import Questions
from core.models.vit import TOKEN, class_tokens
from core.storage import save_text

PHASES = (EXPERTS, COLLECT, GATE, ASK, RESULT)
ACCOUNT, ANSWERS = "privacy.json", "answers.json"


@dataclass(frozen=True)
class Answer:
    """What a hospital sends back in a round.

    Attributes
    ----------
    state : mapping of str to Tensor
        What is shared of its network, or ciphertexts of it as bytes.
    count : int
        Its number of images, n_k.
    seconds : float
        That it took.
    again : bool
        Whether it had answered this before, and trained nothing now.
    privacy : mapping of str to float
        What the report says of its privacy after the round, as `Account.record`; empty where it keeps no account.
    """

    state: State
    count: int
    seconds: float = 0.0
    again: bool = False
    privacy: Record = field(default_factory=dict)


@dataclass
class Site:
    """A hospital, with its scans and all that never leaves it.

    Attributes
    ----------
    name : str
        As its partners know it.
    pixels, labels : Tensor
        (N, C, H, W) in [0, 1] and (N,), its own.
    policy : Policy
        What it allows.
    folder : Path or None
        Where it remembers a federation, so that it goes on after it was ended, and what it has spent of its privacy;
        None keeps both in memory.
    key : SumKey or None
        The key that the hospitals share and the server hasn't, for encrypted strategies.
    begun : callable
        Told the key of a round when training begins.
    """

    name: str
    pixels: Tensor
    labels: Tensor
    policy: Policy = field(default_factory=Policy)
    folder: Path | None = None
    key: SumKey | None = None
    begun: Callable[[str], None] = lambda key: None
    _memory: dict[str, Memory] = field(default_factory=dict)
    _kept_account: Account | None = None

    def answer(self, order: Order, shared: State, known_partners: int) -> Answer:
        """Do a hospital's part of a round.

        Parameters
        ----------
        order : Order
            What the server asks.
        shared : mapping of str to Tensor
            What the round begins with, as the coordinator sends it.
        known_partners : int
            As for `check_order`.

        Raises
        ------
        PolicyError
            The hospital's policy forbids it.
        ValueError
            The server asks for what is over, or sends what doesn't fit.
        """
        check_order(self.policy, order, known_partners)
        memory = self._remembered(order.plan.name)
        if memory.key == order.key:
            memory = self._weighed(order, shared, memory)
            return Answer(memory.sent, len(self.labels), again=True, privacy=self._spent(order.key))
        if memory.place >= (PHASES.index(order.phase), order.number):
            raise ValueError(f"{self.name} has gone on to {memory.key} of this federation, and trains nothing twice.")
        if self.policy.privacy and order.phase in (EXPERTS, GATE):
            self._check_privacy(self.policy.privacy, order)
        start = time.perf_counter()
        self.begun(order.key)
        own, sent = self._parts[order.phase](order, shared, memory)
        memory = Memory(order.key, (PHASES.index(order.phase), order.number), own, sent, order.images)
        self._remember(order.plan.name, memory)
        seconds = time.perf_counter() - start
        return Answer(sent, len(self.labels), seconds, privacy=self._spent(order.key))

    def network(self, federation: str) -> State:
        """What the hospital holds of a federation: its own network, or once it is over the network or the mixture.

        The mixture's gate is the one that the hospital trained last, on its own scans; who trained none has the mean.
        """
        return self._remembered(federation).own

    @property
    def _parts(self) -> dict[str, Callable[[Order, State, Memory], tuple[State, State]]]:
        """Phase → what the hospital does in it; gives its own network afterwards, and what it sends."""
        return {EXPERTS: self._train, COLLECT: self._give, GATE: self._train_gate, ASK: self._ask, RESULT: self._take}

    def _give(self, order: Order, shared: State, memory: Memory) -> tuple[State, State]:
        own = self._merged(order, order.plan.network(), shared, memory)
        return own, own

    def _ask(self, order: Order, shared: State, memory: Memory) -> tuple[State, State]:
        """Ask about the scans whose turn it is; what came along answers those of the round before."""
        plan, first = order.plan, order.number * order.plan.batch
        encoder, pixels = plan.encoder(), self.pixels[first : first + plan.batch].to(compute.device())
        if pixels.shape[1:] != (plan.channels, plan.size, plan.size):
            own, taken = " × ".join(map(str, pixels.shape[1:])), f"{plan.channels} × {plan.size} × {plan.size}"
            raise ValueError(f"{self.name}'s scans are {own}, and {plan.bundle} takes {taken}.")
        tokens = class_tokens(encoder, pixels) if len(pixels) else np.empty((0, TOKEN))
        questions, sent = self._questions(order, shared, memory).ask(tokens, first)
        return vars(questions), sent

    def _questions(self, order: Order, shared: State, memory: Memory) -> Questions:
        known = Questions(**memory.own) if memory.own else Questions.begun(order.plan.classes)
        return known.heard(shared)

    def _take(self, order: Order, shared: State, memory: Memory) -> tuple[State, State]:
        if order.plan.how.asks:
            questions = self._questions(order, shared, memory)
            if self.folder:
                save_text(json.dumps(questions.report(self.labels)), self.folder / ANSWERS)
            return vars(questions), {}
        if not order.experts:
            return self._merged(order, order.plan.network(), shared, memory), {}
        mixture = {**shared, **gate_of(memory.own)}
        _fill(order.plan.mixture(len(order.experts)), mixture, "The mixture")
        return mixture, {}

    def _train(self, order: Order, shared: State, memory: Memory) -> tuple[State, State]:
        network = order.plan.network()
        before = self._merged(order, network, shared, memory)
        network.load_state_dict(before)
        network.to(compute.device())
        loss = self._loss(LOSSES[order.plan.trains])
        loss = held_near(loss, network, order.plan.strength) if order.plan.how.pulls else loss
        own = self._trained(order, network, loss)
        return own, self._sent(order, network, own, before)

    def _sent(self, order: Order, network: nn.Module, own: State, before: State) -> State:
        """What leaves of the hospital's own network after training."""
        kept = kept_names(order.plan.how, network, HEAD)
        sent = guarded(self.policy, network, _without(own, kept), before, np.random.default_rng())
        if not order.plan.how.encrypted:
            return sent
        return self._sum_key().encrypted(sent, len(self.labels) / order.images)

    def _weighed(self, order: Order, shared: State, memory: Memory) -> Memory:
        """The answer given before; encrypted anew where its share is one of other hospitals than are asked now."""
        if not (order.plan.how.encrypted and order.phase == EXPERTS) or memory.images == order.images:
            return memory
        network = order.plan.network()
        before = self._merged(order, network, shared, memory)
        sent = self._sent(order, network, memory.own, before)
        memory = replace(memory, sent=sent, images=order.images)
        self._remember(order.plan.name, memory)
        return memory

    def _train_gate(self, order: Order, shared: State, memory: Memory) -> tuple[State, State]:
        mixture = order.plan.mixture(len(order.experts)).to(compute.device())
        _fill(mixture, shared, "What the gate weighs")
        after = self._trained(order, mixture, self._loss(gate_loss))
        gate = gate_of(after)
        return {**memory.own, **gate}, guarded(self.policy, mixture, gate, shared, np.random.default_rng())

    def _loss(self, loss: Callable) -> Callable:
        """Gradients scan by scan, which private training needs, are none that autocast can form."""
        return partial(loss, exact=True) if self.policy.privacy else loss

    def _trained(self, order: Order, network: nn.Module, loss: Callable) -> dict[str, Tensor]:
        place = compute.device()
        pixels, labels = self.pixels.to(place), self.labels.to(place)
        if privacy := self.policy.privacy:
            random = np.random.default_rng()  # without a seed: the system's entropy, which no server can draw again
            update = private_update(network, pixels, labels, order.settings, privacy, random, loss)
            rate = sampling_rate(order.settings.batch, len(labels))
            self._account.spend(order.key, privacy, rate, order.settings.steps)
        else:
            generator, prepare = self._plain_generator(order), partial(prepared, network)
            update = client_update(network, pixels, labels, order.settings, generator, prepare, loss)
        if not all(value.isfinite().all() for value in update.state.values()):
            raise ValueError(f"{self.name}'s training came to numbers without end; a smaller --lr may help.")
        return {name: value.cpu().contiguous() for name, value in update.state.items()}

    def _plain_generator(self, order: Order) -> torch.Generator:
        """What draws a round's batches where nothing hangs on it that nobody can draw them again."""
        numbers = (order.plan.seed, PHASES.index(order.phase), order.number, zlib.crc32(self.name.encode()))
        seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
        return torch.Generator().manual_seed(seed)

    def _check_privacy(self, privacy: Privacy, order: Order) -> None:
        if order.plan.trains != CLASSIFIER:
            raise ValueError(f"{self.name} trains privately, which is there for classifiers alone.")
        settings, count = order.settings, len(self.labels)
        if privacy.delta >= 1 / count:
            raise ValueError(
                f"A site of {count} scans needs a delta below 1 / {count}; its policy has {privacy.delta:g}."
            )
        self._account.check(privacy, sampling_rate(settings.batch, count), settings.steps)

    def _spent(self, key: str) -> Record:
        return self._account.record(key, self.policy.privacy) if self.policy.privacy else {}

    @property
    def _account(self) -> Account:
        if self._kept_account is None:
            self._kept_account = Account(self.folder / ACCOUNT if self.folder else None)
        return self._kept_account

    def _merged(self, order: Order, network: nn.Module, shared: State, memory: Memory) -> dict[str, Tensor]:
        """The state that the hospital begins a round with: its own entries where they stay, else what was sent."""
        if is_encrypted(shared):
            shared = self._sum_key().decrypted(shared, network.state_dict(), order.summed)
        kept = kept_names(order.plan.how, network, HEAD) | hidden_names(self.policy, network)
        merged = {**network.state_dict(), **memory.own, **_without(shared, kept if memory.own else frozenset())}
        _fill(network, merged, "What the server sent")
        return merged

    def _sum_key(self) -> SumKey:
        if self.key is None:
            raise ValueError(f"{self.name} has no key for encrypted sums; the sites agree on one beforehand.")
        return self.key

    def _remembered(self, federation: str) -> Memory:
        if federation not in self._memory:
            path = self._path(federation)
            self._memory = {federation: read_memory(path) if path and path.is_file() else Memory()}
        return self._memory[federation]

    def _remember(self, federation: str, memory: Memory) -> None:
        self._memory = {federation: memory}
        if path := self._path(federation):
            memory.write(path)

    def _path(self, federation: str) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / f"{hashlib.sha256(federation.encode()).hexdigest()[:16]}.safetensors"


def _without(state: State, names: frozenset[str]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name not in names}


def _fill(network: nn.Module, state: State, what: str) -> None:
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        raise ValueError(
            f"{what.capitalize()} doesn't fit the plan's network; use the same plan everywhere."
        ) from error
