"""Rounds over a grid that carries messages to sites in this process, by a clock that stands still while they work."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.supercore.task_identity import TaskIdentity

from core.federation.coordinator import Coordinator, FederationError
from core.federation.flower import server
from core.federation.flower.client import client_app
from core.federation.flower.keys import known_partners, voucher
from core.federation.flower.messages import read_answer, read_order
from core.federation.flower.server import GONE, LATE, RoundHolder
from core.federation.flower.superlink import TASK, coordinate
from core.federation.in_process import hold_rounds
from core.federation.policy import Policy
from core.federation.report import read_report
from tests.federation.hospitals import NAMES, hospitals, plan

EARLY, AFTER = "2000-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Grid:
    """Sites behind a grid; what one does in a round is answer, 'work' for ever, 'go', come 'back' anew, or 'break'."""

    def __init__(self, sites, clock):
        keys = {site.name: ec.generate_private_key(ec.SECP384R1()) for site in sites}
        partners = [key.public_key() for key in keys.values()]
        self.apps = {place: client_app(site, keys[site.name], partners) for place, site in enumerate(sites, 1)}
        self.names = {place: site.name for place, site in enumerate(sites, 1)}
        self.behaviour, self.since, self.away = {}, dict.fromkeys(self.apps, EARLY), {}
        self.clock, self.replies, self.sent = clock, {}, 0

    def get_nodes(self):
        here = [node for node in self.apps if self.clock.now >= self.away.get(node, 0)]
        return [SimpleNamespace(node_id=n, name=self.names[n], last_activated_at=self.since[n]) for n in here]

    def push_messages(self, messages):
        return [self._push(message) for message in messages]

    def _push(self, message):
        self.sent += 1
        key, node = str(self.sent), message.metadata.dst_node_id
        message.metadata.__dict__["_message_id"] = key
        asked, _ = read_order(message.content)
        step = (
            self.behaviour.get((self.names[node], asked.number)) if message.metadata.message_type == "train" else None
        )
        if step == "go":
            self.away[node] = self.clock.now + 30
            del self.behaviour[self.names[node], asked.number]
        elif step == "back":
            self.since[node] = AFTER
        elif step == "break":
            self.replies[key] = Message(Error(ErrorCode.CLIENT_APP_CRASHED, "It crashed."), reply_to=message)
        elif step != "work":
            self.replies[key] = self.apps[node](message, None)
        return key

    def pull_messages(self, keys):
        return [self.replies.pop(key) for key in keys if key in self.replies]


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(server, "time", clock)
    for name in ("_run_id", "_task_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)
    return clock


def holder(clock, sites=None, behaviour=(), **more):
    coordinator = Coordinator(plan(**more))
    grid = Grid(sites or hospitals(), clock)
    grid.behaviour = dict(behaviour)
    return RoundHolder(grid, coordinator, 3)


def test_rounds_over_a_grid_are_those_in_one_process(clock):
    held, sites = holder(clock), hospitals()
    alone = Coordinator(plan())
    list(hold_rounds(alone, sites))
    while not held.coordinator.finished:
        held.hold()
    assert all(torch.equal(value, held.coordinator.shared[name]) for name, value in alone.shared.items())
    assert [list(each.took_part) for each in held.coordinator.rounds] == [list(NAMES)] * 4


def test_a_slow_site_is_named_and_waited_for_as_long_as_patience_lasts(clock):
    held = holder(clock, behaviour={("Birke", 1): "work"}, patience=100.0)
    assert [held.hold().absent for _ in range(3)] == [{}, {"Birke": LATE}, {}]
    assert held.coordinator.rounds[1].seconds == pytest.approx(100, abs=1)
    assert "Birke" in held.coordinator.rounds[2].took_part


@pytest.mark.parametrize("step", ["go", "back"])
def test_a_site_that_goes_is_named_and_takes_part_when_it_is_back(clock, step):
    held = holder(clock, behaviour={("Clara", 1): step})
    held.hold()
    assert held.hold().absent == {"Clara": GONE}
    held.grid.since[3] = EARLY
    clock.sleep(60)
    assert "Clara" in held.hold().took_part


def test_a_round_with_too_few_asks_those_again_who_come_back(clock):
    sites, trained = hospitals(NAMES[:2]), []
    for site in sites:
        site.begun = lambda key, name=site.name: trained.append((name, key))
    held = holder(clock, sites, {("Birke", 0): "go"})
    held.expected = 2
    assert list(held.hold().took_part) == ["Amsel", "Birke"]
    assert sorted(trained) == [("Amsel", "Test/experts/0"), ("Birke", "Test/experts/0")]


def test_a_round_with_too_few_fails_and_says_who_and_why(clock):
    held = holder(clock, hospitals(policy=Policy(strategies=("fedbn",))))
    with pytest.raises(FederationError, match="got 0 answers, and needs at least 2. Amsel: This site takes no part in"):
        held.hold()
    with pytest.raises(FederationError, match="2 sites are there, and a round needs at least 3"):
        short = holder(clock, hospitals(NAMES[:2]), least=3, patience=50.0)
        short.hold()


def test_an_answer_that_breaks_is_named(clock):
    held = holder(clock, behaviour={("Amsel", 0): "break"})
    assert held.hold().absent == {"Amsel": "It crashed."}


def test_the_first_round_does_without_those_who_never_come(clock):
    held = holder(clock, hospitals(NAMES[:2]), patience=30.0)
    assert list(held.hold().took_part) == ["Amsel", "Birke"]


def test_a_site_counts_only_partners_who_signed_for_this_federation():
    keys = [ec.generate_private_key(ec.SECP384R1()) for _ in range(4)]
    known = [key.public_key() for key in keys[:3]]
    signed = [voucher(keys[0], "Test"), voucher(keys[1], "Test"), voucher(keys[2], "Other"), voucher(keys[3], "Test")]
    assert known_partners(known, [*signed, "", "é", signed[1]], "Test", keys[0].public_key()) == 1
    assert known_partners([], signed, "Test", keys[0].public_key()) == 0


def test_a_server_that_invents_partners_is_refused(clock):
    sites = hospitals(policy=Policy(least_partners=2))
    held = holder(clock, sites)
    assert list(held.hold().took_part) == list(NAMES)
    held._enrolled = {node: server._Enrolled(each.name, each.count, "none") for node, each in held._enrolled.items()}
    with pytest.raises(FederationError, match="at least 2 others that it knows, not 0"):
        held.hold()


def test_what_went_wrong_at_a_site_stays_there(clock):
    sites = hospitals()

    def begun(key):
        raise RuntimeError("Patient 4711")

    sites[0].begun = begun
    held = holder(clock, sites)
    absent = held.hold().absent
    assert list(absent) == ["Amsel"] and "4711" not in absent["Amsel"] and "own log" in absent["Amsel"]


@pytest.mark.parametrize("record", [RecordDict(), RecordDict({"config": ConfigRecord({"count": "many"})})])
def test_other_messages_say_so(record):
    for read in (read_order, read_answer):
        with pytest.raises(ValueError, match="no message of a federation"):
            read(record)


def test_who_is_killed_in_the_first_round_has_said_what_the_federation_is_called(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("core.federation.flower.tasks.run_server_app", killed)
    task = {"plan": asdict(plan()), "out": str(tmp_path / "out"), "start": "", "run": 1}
    task |= {"address": "", "certificates": "", "expected": 3}
    (tmp_path / TASK).write_text(json.dumps(task))
    (tmp_path / "secret").touch()
    with pytest.raises(KeyboardInterrupt):
        coordinate(tmp_path)
    assert read_report(tmp_path / "out")["plan"]["name"] == "Test"
