"""The coordinator as Flower's ServerApp: it asks the sites round by round, and says who took part in which."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from flwr.app import ConfigRecord, Context, Message, MessageType
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid, ServerApp

from core.federation.coordinator import Coordinator, FederationError, Round
from core.federation.flower.messages import CONFIG, order_record, read_answer, read_refusal
from core.federation.plan import EXPERTS, Order
from core.federation.site import Answer

POLL = 0.5
ENROLMENT = 30.0
"""Seconds that the others wait for a site to enrol; one that is still at work for an earlier message comes later."""

GONE = "It went away during the round."
LATE = "It was still at work when the round closed."


@dataclass(frozen=True)
class _Enrolled:
    name: str
    count: int
    voucher: str


@dataclass
class RoundHolder:
    """Holds a federation's rounds over Flower's grid.

    Attributes
    ----------
    grid : Grid
        What carries the messages.
    coordinator : Coordinator
        Which plan, and where it stands.
    expected : int
        Sites that the first round waits for.
    """

    grid: Grid
    coordinator: Coordinator
    expected: int
    _enrolled: dict[int, _Enrolled] = field(default_factory=dict)
    _refused: dict[str, str] = field(default_factory=dict)

    def hold(self) -> Round:
        """Hold the next round: ask until everybody who is there has answered, or the plan's patience ends.

        Raises
        ------
        FederationError
            Too few sites, or too few answers.
        """
        plan = self.coordinator.plan
        needed = plan.least if self.coordinator.done else self.expected
        nodes = self._gather(needed, time.monotonic() + plan.patience)
        start, order = time.monotonic(), self._order(nodes)
        deadline = start + plan.patience
        answers: dict[str, Answer] = {}
        absent = self._ask(order, nodes, answers, deadline)
        # Too few: those who went are asked again when they are back. Those who refused aren't.
        while len(answers) < plan.least and GONE in absent.values() and time.monotonic() < deadline:
            back = {node: each for node, each in self._online().items() if absent.get(each.name) == GONE}
            absent |= self._ask(order, back, answers, deadline)
            absent = {name: why for name, why in absent.items() if name not in answers}
            time.sleep(POLL)
        return self.coordinator.close(order, answers, absent, time.monotonic() - start)

    def _order(self, nodes: dict[int, _Enrolled]) -> Order:
        order = self.coordinator.order({each.name: each.count for each in nodes.values()})
        return replace(order, vouchers=tuple(each.voucher for each in nodes.values()))

    def _gather(self, needed: int, deadline: float) -> dict[int, _Enrolled]:
        """Enrol whoever is connected, until so many are or the patience ends; node → site."""
        while True:
            found = self._online()
            if len(found) >= needed:
                return found
            if time.monotonic() > deadline:
                if len(found) >= self.coordinator.plan.least:
                    return found
                why = "".join(f" {name}: {reason}" for name, reason in sorted(self._refused.items()))
                raise FederationError(f"{len(found)} sites are there, and a round needs at least {needed}.{why}")
            time.sleep(POLL)

    def _online(self) -> dict[int, _Enrolled]:
        """Who is connected, once enrolled; node → site."""
        online = [node.node_id for node in self.grid.get_nodes()]
        self._enrol([node for node in online if node not in self._enrolled])
        return {node: self._enrolled[node] for node in online if node in self._enrolled}

    def _enrol(self, nodes: Collection[int]) -> None:
        names = {node.node_id: node.name or f"site {node.node_id}" for node in self.grid.get_nodes()}
        record = order_record(Order(self.coordinator.plan, EXPERTS, 0), {})
        sent = [Message(record, dst_node_id=node, message_type=MessageType.QUERY) for node in nodes]
        for node, reply in self._replies(sent, time.monotonic() + ENROLMENT).items():
            config = reply.content.get(CONFIG) if isinstance(reply, Message) else None
            if isinstance(config, ConfigRecord) and {"count", "voucher"} <= set(config):
                count: Any = config["count"]
                self._enrolled[node] = _Enrolled(names[node], int(count), str(config["voucher"]))
            elif isinstance(reply, Message):
                self._refused[names[node]] = read_refusal(reply.content) or "Its answer was none."

    def _ask(
        self, order: Order, nodes: dict[int, _Enrolled], answers: dict[str, Answer], deadline: float
    ) -> dict[str, str]:
        """Put the answers of these nodes to the others; return who gave none, and why."""
        record, absent = order_record(order, self.coordinator.content()), {}
        names = {node: each.name for node, each in nodes.items()}
        sent = [Message(record, dst_node_id=node, message_type=MessageType.TRAIN) for node in names]
        for node, reply in self._replies(sent, deadline).items():
            if not isinstance(reply, Message):
                absent[names[node]] = reply
            elif why := read_refusal(reply.content):
                absent[names[node]] = why
            else:
                try:
                    answers[names[node]] = read_answer(reply.content)
                except ValueError as error:
                    absent[names[node]] = str(error)
        return absent

    def _replies(self, messages: list[Message], deadline: float) -> dict[int, Message | str]:
        """Send, and wait for what comes: node → its reply, or why there is none."""
        if not messages:
            return {}
        asked, found = datetime.now(UTC), {}
        waiting = dict(zip(self.grid.push_messages(messages), [each.metadata.dst_node_id for each in messages]))
        while waiting and time.monotonic() < deadline:
            for reply in self.grid.pull_messages(list(waiting)):
                node = waiting.pop(reply.metadata.reply_to_message_id, None)
                if node is not None:
                    found[node] = _why(reply) if reply.has_error() else reply
            gone = self._gone(set(waiting.values()), asked)
            found |= dict.fromkeys(gone, GONE)
            waiting = {message: node for message, node in waiting.items() if node not in gone}
            if waiting:
                time.sleep(POLL)
        return found | dict.fromkeys(waiting.values(), LATE)

    def _gone(self, nodes: Collection[int], asked: datetime) -> set[int]:
        """Those that are no longer connected, or that began anew since and have lost what they were asked."""
        there = {node.node_id: node.last_activated_at for node in self.grid.get_nodes()}
        return {node for node in nodes if node not in there or datetime.fromisoformat(there[node]) > asked}


def server_app(coordinator: Coordinator, expected: int, told: Callable[[Round], None]) -> ServerApp:
    """Flower's app of the coordinator; `told` hears of every round that has been held."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        holder = RoundHolder(grid, coordinator, expected)
        while not coordinator.finished:
            told(holder.hold())

    return app


def _why(reply: Message) -> str:
    gone = reply.error.code in (ErrorCode.NODE_UNAVAILABLE, ErrorCode.MESSAGE_UNAVAILABLE)
    return GONE if gone else reply.error.reason or "Its answer didn't come through."
