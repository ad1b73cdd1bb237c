"""The server's part of a federation: what it sends, what it makes of the answers, and who took part in which round."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from core.federation.averaging import State, weighted_average
from core.federation.encrypted import added
from core.federation.plan import COLLECT, RESULT, Order, Plan
from core.federation.privacy.account import Record
from core.federation.robust import robust
from core.federation.site import Answer
from core.federation.strategies import NOTHING, statistics_names
from core.federation.tokens import answered
from core.storage import save_whole

MOST_ENCRYPTED = 8
NETWORK = "network.safetensors"
"""What came of a federation, where its server holds a whole network: that of all, or the mixture."""


class FederationError(ValueError):
    """One sentence: why a federation can't go on."""


@dataclass(frozen=True)
class Round:
    """What came of a round.

    Attributes
    ----------
    phase, number
        As in `Order`.
    took_part : dict of str to int
        Hospitals whose answers count, and their images.
    absent : dict of str to str
        Hospitals that were asked and whose answers don't count, and why.
    seconds : float
        From asking to combining.
    bytes_down, bytes_up : int
        Sent to one hospital, and by all of them together.
    privacy : dict of str to dict
        Hospitals that train privately → what each says of that, see `core.federation.privacy.account`.
    """

    phase: str
    number: int
    took_part: Mapping[str, int]
    absent: Mapping[str, str]
    seconds: float
    bytes_down: int
    bytes_up: int
    privacy: Mapping[str, Record] = field(default_factory=dict)


@dataclass
class Coordinator:
    """A federation as it stands; it saves itself after every round, and takes up where it was cut off.

    Attributes
    ----------
    plan : Plan
        What was agreed.
    start : mapping of str to Tensor
        The weights that every hospital begins with; drawn from the plan's seed where there are none.
    folder : Path or None
        Where it saves itself; None keeps it in memory.
    undecided : frozenset of str
        Entries of BatchNorm's statistics that too few sent for the strategy's rule; in `shared` they are as they were.
    """

    plan: Plan
    start: State = field(default_factory=dict)
    folder: Path | None = None
    done: int = 0
    summed: float = 0.0
    shared: dict[str, Tensor] = field(default_factory=dict)
    experts: dict[str, State] = field(default_factory=dict)
    undecided: frozenset[str] = frozenset()
    rounds: list[Round] = field(default_factory=list)

    def __post_init__(self):
        self._orders = self.plan.orders()
        self.shared = {} if self.plan.how.asks else self._first()
        if self._path and self._path.is_file():
            self._resume(self._path)

    @property
    def finished(self) -> bool:
        """Whether every round has been held."""
        return self.done == len(self._orders)

    def order(self, counts: Mapping[str, int]) -> Order:
        """What the hospitals are asked next.

        Parameters
        ----------
        counts : mapping of str to int
            The hospitals that shall take part → their images.

        Raises
        ------
        FederationError
            Too few of them, or more than a sum of ciphertexts holds.
        """
        if len(counts) < self.plan.least:
            raise FederationError(f"A round needs at least {self.plan.least} sites, and there are {len(counts)}.")
        if self.plan.how.encrypted and len(counts) > MOST_ENCRYPTED:
            raise FederationError(f"A sum of ciphertexts holds at most {MOST_ENCRYPTED} sites, not {len(counts)}.")
        return replace(
            self._orders[self.done],
            experts=tuple(sorted(self.experts)),
            partners=tuple(sorted(counts)),
            images=sum(counts.values()),
            summed=self.summed,
        )

    def content(self) -> dict[str, Tensor]:
        """What goes to every hospital with the order: what is shared, and beside a gate all hospitals' networks.

        Statistics of which nothing could be made don't: each hospital goes on with its own.
        """
        content = {name: value for name, value in self.shared.items() if name not in self.undecided}
        for place, name in enumerate(sorted(self.experts)):
            content |= {f"experts.{place}.{key}": value for key, value in self.experts[name].items()}
        return content

    def close(self, order: Order, answers: Mapping[str, Answer], absent: Mapping[str, str], seconds: float) -> Round:
        """Combine a round's answers, and save.

        Parameters
        ----------
        order : Order
            As it was sent.
        answers : mapping of str to Answer
            Of those who took part; combined in the order of their names, so that it doesn't matter who was first.
        absent : mapping of str to str
            The others who were asked → why they took no part.
        seconds : float
            That the round took.

        Raises
        ------
        FederationError
            Too few answers that can be read, or such that don't fit together.
        """
        self._check_enough(order, answers, absent)
        answers = {name: answers[name] for name in sorted(answers)}
        down = _size(self.content())
        if order.phase == COLLECT:
            self.experts = {name: answer.state for name, answer in answers.items()}
            gate = self.plan.gate(len(answers))
            self.shared = {f"gate.{name}": value for name, value in self.plan.first_state(gate).items()}
        elif order.phase != RESULT:
            try:
                absent = {**absent, **self._combine(order, answers, absent)}
            except ValueError as error:
                raise FederationError(str(error)) from error
            answers = {name: answer for name, answer in answers.items() if name not in absent}
        up = sum(_size(answer.state) for answer in answers.values())
        counts = {name: answer.count for name, answer in answers.items()}
        spent = {name: dict(answer.privacy) for name, answer in answers.items() if answer.privacy}
        away = dict(sorted(absent.items()))
        self.rounds.append(Round(order.phase, order.number, counts, away, seconds, down, up, spent))
        self.done += 1
        self._save()
        return self.rounds[-1]

    def report(self) -> dict:
        """What happened, for a file."""
        return {"plan": asdict(self.plan), "finished": self.finished, "rounds": [asdict(each) for each in self.rounds]}

    def _first(self) -> dict[str, Tensor]:
        return dict(self.start) or self.plan.first_network()

    def _check_enough(self, order: Order, answers: Collection[str], absent: Mapping[str, str]) -> None:
        if len(answers) < self.plan.least:
            why = "".join(f" {name}: {reason}" for name, reason in sorted(absent.items()))
            raise FederationError(
                f"Round {order.number + 1} got {len(answers)} answers, and needs at least {self.plan.least}.{why}"
            )

    def _combine(self, order: Order, answers: Mapping[str, Answer], absent: Mapping[str, str]) -> dict[str, str]:
        """Who answered with ciphertexts that are none → that; their answers aren't in what is shared."""
        if self.plan.how.asks or self.plan.how.encrypted:
            states = {name: answer.state for name, answer in answers.items()}
            shared, refused = answered(self._first(), states) if self.plan.how.asks else added(states, self._first())
            counts = {name: answer.count for name, answer in answers.items() if name not in refused}
            self._check_enough(order, counts, {**absent, **refused})
            self.shared, self.summed = shared, sum(counts.values()) / order.images
            return refused
        given = list(answers.values())
        found = combined(self.plan, given)
        self.shared = {**self.shared, **found}
        sent: set[str] = set().union(*(answer.state for answer in given))
        self.undecided = (self.undecided | sent & statistics_names(self.plan.network())) - set(found)
        return {}

    @property
    def _path(self) -> Path | None:
        return self.folder / "federation.safetensors" if self.folder else None

    def _save(self) -> None:
        if self._path is None:
            return
        entries = {f"shared/{name}": value for name, value in self.shared.items()}
        for name, state in self.experts.items():
            # Copies: in one process the sites' networks hold the same tensors for what they share.
            entries |= {f"expert/{name}/{key}": value.clone() for key, value in state.items()}
        facts = {"plan": asdict(self.plan), "summed": self.summed, "rounds": [asdict(each) for each in self.rounds]}
        facts |= {"undecided": sorted(self.undecided)}
        if self.finished and self._readable:
            self._save_network(self._path.parent / NETWORK)
        save_whole(entries, self._path, {"federation": json.dumps(facts)})

    @property
    def _readable(self) -> bool:
        """Whether a network came of it that the server holds whole."""
        how = self.plan.how
        return how.gated or not (how.encrypted or how.asks or how.keeps != NOTHING)

    def _save_network(self, path: Path) -> None:
        # Statistics that stayed undecided are as the network had them, without which it would be none.
        network = self.content() if self.plan.how.gated else self.shared
        save_whole({name: value.clone() for name, value in network.items()}, path, {"strategy": self.plan.strategy})

    def _resume(self, path: Path) -> None:
        try:
            with safe_open(path, "pt") as file:
                facts = json.loads(file.metadata()["federation"])
                entries = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, TypeError) as error:
            raise FederationError(f"{path} is damaged; take another folder to begin anew.") from error
        if Plan(**facts["plan"]) != self.plan:
            raise FederationError(
                f"{path.parent} holds a federation of another plan; take that plan, or another folder."
            )
        self.summed, self.rounds = facts["summed"], [Round(**each) for each in facts["rounds"]]
        self.done, self.shared, self.undecided = len(self.rounds), {}, frozenset(facts.get("undecided", ()))
        for key, value in entries.items():
            part, name = key.split("/", 1)
            if part == "shared":
                self.shared[name] = value
            else:
                owner, entry = name.rsplit("/", 1)
                self.experts.setdefault(owner, {})[entry] = value  # type: ignore[index]


def read_start(plan: Plan, path: Path) -> dict[str, Tensor]:
    """Weights to begin with, from a safetensors file; FederationError where they are none of the plan's network."""
    network = plan.network()
    try:
        state = {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}
        network.load_state_dict(state)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise FederationError(
            f"{path} holds no weights of the plan's network; check --width, or leave --init out."
        ) from error
    return state


def combined(plan: Plan, answers: Sequence[Answer]) -> dict[str, Tensor]:
    """What a plan's strategy makes of the hospitals' states.

    What only some of them send is made of those by the same rule, but under Krum, which takes whole states, by the
    median. No rule but the mean makes anything of what fewer than 2 · dishonest + 1 send: liars could be the most of
    them.
    """
    everybody, rule = tuple(range(len(answers))), plan.how.rule

    def made(rule: str, senders: Sequence[int], names: Sequence[str]) -> dict[str, Tensor]:
        states = [{name: answers[place].state[name] for name in names} for place in senders]
        counts = [answers[place].count for place in senders]
        return weighted_average(states, counts) if rule == "mean" else robust(rule, states, counts, plan.dishonest)

    sent = _sent(answers)
    found = made(rule, everybody, sent.pop(everybody, []))
    for senders, names in sent.items():
        if rule == "mean" or len(senders) > 2 * plan.dishonest:
            found |= made("median" if rule == "krum" else rule, senders, names)
    return found


def _sent(answers: Sequence[Answer]) -> dict[tuple[int, ...], list[str]]:
    """Places of those who send an entry → the names of all entries that these and no others send."""
    names: dict[tuple[int, ...], list[str]] = {}
    for name in sorted(set().union(*(answer.state for answer in answers))):
        senders = tuple(place for place, answer in enumerate(answers) if name in answer.state)
        names.setdefault(senders, []).append(name)
    return names


def _size(state: State) -> int:
    return sum(value.numel() * value.element_size() for value in state.values())
