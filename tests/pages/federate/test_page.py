"""The Federate page over a made-up record: its sections, what it says of figures, and what where there are none."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.federation import record
from core.federation.flower.rehearsal import NAMES
from pages.federate import live
from pages.federate import state as state_module
from pages.federate.state import FederateState
from pages.federate.words import points
from pages.shared.errors import end_page
from tests.federation.made_record import ROUNDS, SITES, made_record, write_record
from tests.reading import opened, session, texts


@pytest.fixture
def recorded(monkeypatch, tmp_path):
    """Where the page looks for its record, with a made-up one."""
    path = tmp_path / "record.json"
    write_record(path)
    monkeypatch.setattr(record, "PATH", path)
    return path


def section(app, name):
    app.segmented_control(key="federate-section").set_value(name).run()
    assert not app.exception and not app.error
    return texts(app)


def alts(app):
    return [chart.proto.alt for chart in app.get("plotly_chart")]


def test_the_sites_show_their_data_and_no_scan_that_may_not_be_shown(app, recorded):
    said = texts(opened(app, "federate"))
    assert f"**{len(SITES)} sites** keep their **2,000 scans**" in said and "Birke" in said
    assert "Amsel has no scan of the class ‘no tumour’" in said and "no scan of it is shown" in said
    assert sum(len(image.proto.imgs) for image in app.image) == len(SITES) + 3 * (len(SITES) - 1)
    assert "python -m training.measure.federation" in said


def test_the_slider_shows_a_round_and_its_gate(app, recorded):
    opened(app, "federate")
    said = section(app, "Rounds")
    assert "better than Global (FedAvg): +4.0 points (+1.0 to +7.0)" in said
    assert "worse than Local only: −3.0 points (−5.0 to −1.0)" in said
    slider = app.slider(key="federate-round")
    assert (slider.min, slider.max, slider.value) == (1, ROUNDS, ROUNDS)
    app.slider(key="federate-round").set_value(1).run()
    said = texts(app)
    gates = [alt for alt in alts(app) if alt.startswith("Gate after round 1")]
    assert len(gates) == len(SITES) and "Amsel 100 %" in gates[0]
    assert not app.exception and "After round 1" in said and "Not shown: its licence is unknown." in said
    tables = [table.value for table in app.dataframe]
    now = tables[0].set_index("Scans of")
    assert now.loc["Birke", "Global (FedAvg)"] == "60.0 % (58.0–62.0)" and "one class alone" in now.iloc[0].tolist()
    assert tables[2].iloc[0]["Mixture over global"] == "no interval"


def test_a_difference_that_may_be_none_is_said_to_be_none(app, recorded):
    rounds = made_record()["parts"]["rounds"]
    for gains in rounds["gains"].values():
        gains["pooled"] = [0.01, -0.01, 0.03]
    write_record(recorded, rounds=rounds)
    opened(app, "federate")
    assert "not told apart from Local only: +1.0 points (−1.0 to +3.0)" in section(app, "Rounds")


def test_bytes_and_poison_are_told_from_the_record(app, recorded):
    opened(app, "federate")
    assert "**2 MB** a round in the clear, **3 MB** encrypted, 1.5 times as much" in section(app, "Bytes")
    said = section(app, "Poison")
    assert "Mean (FedAvg) **−30.0**, Median **−1.0**, Krum **−1.0**" in said and "Birke, has the most scans" in said
    assert "every change of a weight that it has learned, and BatchNorm’s statistics as they are" in said
    assert len(app.table[0].value) == 9 and "always ‘tumour’ is right in 66.7 %." in said


def test_a_rule_under_which_nothing_was_learned_had_nothing_to_lose(app, recorded):
    rows = [row | {"accuracy": [0.6, 0.5, 0.7]} for row in made_record()["parts"]["poison median"]["rows"]]
    write_record(recorded, **{"poison median": {"rows": rows}})
    opened(app, "federate")
    assert "Under Median the network has learned no more than that, and had little to lose." in section(app, "Poison")


def test_a_class_sees_one_sentence_and_one_chart_first(app, recorded):
    session(app).visit.class_view = True
    opened(app, "federate")
    said = section(app, "Rounds")
    assert said.index("Over all sites") < said.index("Personal mixture**: each site")


def test_without_a_record_the_command_is_named_and_a_damaged_one_is_one_sentence(app, recorded):
    recorded.unlink()
    said = texts(opened(app, "federate"))
    assert "No federation is recorded here." in said and record.COMMAND in said
    recorded.write_text("{")
    opened(app, "federate", errors=1)
    assert "damaged or not finished" in app.error[0].value


def test_points_have_a_sign_unless_they_are_none():
    assert [points(value) for value in (0.0123, -0.0123, 0.0001, -0.0001)] == ["+1.2", "−1.2", "0.0", "0.0"]


def wait_for(app, what, seconds=180):
    """Draw the page again until `what` holds; it watches as long."""
    state, end = session(app).state_of(FederateState), time.monotonic() + seconds
    while not what(state):
        assert state.running and time.monotonic() < end, state.job.error
        state.job.wait(0.2)
    return state


def processes_of(state):
    return list(state.rehearsal.running().values())


def alive(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def unwatched(monkeypatch):
    """The page draws once and follows nothing, so that the test presses what it wants while a federation runs."""
    monkeypatch.setattr("pages.shared.job_status.watch", lambda job, draw: draw() or end_page())


@pytest.mark.slow
def test_stop_leaves_no_process(app, recorded, unwatched):
    pytest.importorskip("flwr")
    opened(app, "federate")
    section(app, "Live")
    assert sum(len(image.proto.imgs) for image in app.image) == 3
    app.button(key="federate-start").click().run()
    state = wait_for(app, lambda state: len(state.rehearsal.running()) == 5)
    numbers = processes_of(state)
    assert all(map(alive, numbers))
    app.button(key="federate-stop").click().run()
    assert state.job.wait(30) and state.job.cut_short
    assert not any(map(alive, numbers))
    assert "Stopped after 0 rounds" in texts(app.run())


@pytest.mark.slow
def test_a_round_goes_on_without_a_node_that_was_ended(app, recorded, unwatched):
    pytest.importorskip("flwr")
    opened(app, "federate")
    section(app, "Live")
    app.button(key="federate-start").click().run()
    wait_for(app, lambda state: state.rounds)
    app.run()
    app.button(key="federate-kill-1").click().run()
    state = wait_for(app, lambda state: not state.running)
    assert not state.job.error and len(state.rounds) == 4 and "District hospital" in state.ended
    said = texts(app.run())
    assert "3 rounds" in said and "without District hospital" in said and "You ended: **District hospital**" in said
    assert not any(map(alive, processes_of(state)))


class Endless:
    """A federation that goes on until it is closed; of its sites only those that are `up` can be ended."""

    def __init__(self):
        self.plan, self.up = SimpleNamespace(rounds=3), set(NAMES)

    def steps(self):
        while True:
            time.sleep(0.05)
            yield None

    def running(self):
        return dict.fromkeys(NAMES, 0)

    def kill(self, name):
        there = name in self.up
        self.up.discard(name)
        return there


@pytest.fixture
def endless(monkeypatch):
    """No process is started."""
    monkeypatch.setattr("core.federation.flower.find_spec", lambda name: True)
    monkeypatch.setattr("core.federation.flower.rehearsal.Rehearsal", Endless)


def test_a_federation_that_the_page_no_longer_follows_is_stopped_and_others_have_their_turn(
    app, recorded, endless, monkeypatch
):
    checks = []
    monkeypatch.setattr(
        "pages.shared.job_status.st.fragment", lambda check, run_every: lambda: (check(), checks.append(check))
    )
    monkeypatch.setattr("pages.shared.job_status.watch", lambda job, draw: draw() or end_page())
    opened(app, "federate")
    section(app, "Live")
    app.button(key="federate-start").click().run()
    monkeypatch.setattr("pages.shared.job_status.st.rerun", lambda: None)
    checks[-1]()  # as where Streamlit's own Stop has ended the page's script
    job = session(app).state_of(FederateState).job
    assert job.wait(10) and job.cut_short and not state_module._TURN.locked()
    assert "Stopped after 0 rounds" in texts(app.run())


def test_a_site_is_ended_once_until_it_is_back_and_noticed_as_often_as_that(endless):
    state = FederateState(choices=())
    state.begin()
    first, second = NAMES[:2]
    for name in (first, first, second):
        state.kill(name)
    assert state.killed == [first, second]
    state.ended += [first]
    assert live.killed_so_far(state) == (
        f"You ended: **{first}, {second}**. Noticed, and started again: {first}. Not noticed yet: {second}."
    )
    state.rehearsal.up.add(first)
    state.kill(first)
    assert live.killed_so_far(state).endswith(f"**. Not noticed yet: {first}, {second}.")
    state.ended += [second, first]
    assert live.killed_so_far(state).endswith(f"**. Noticed, and started again: {first}, {second}.")
    state.stop()
    assert state.job.wait(10)


def test_without_flower_the_page_says_what_to_install(app, recorded, monkeypatch):
    monkeypatch.setattr("core.federation.flower.find_spec", lambda name: None)
    opened(app, "federate")
    assert "pip install -r requirements-federation.txt" in section(app, "Live")
    assert not [button for button in app.button if button.key == "federate-start"]
