"""What the viewer may ask for, as a browser sends whatever its visitor wants it to; and the slices of a volume."""

import gc
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from streamlit import runtime
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.testing.v1 import AppTest

from core import Scan, Window, load_scan
from core.scans.viewing import viewer_window
from core.scans.windowing import Lut
from pages.examine.picture import _wished
from pages.examine.series import SeriesState
from pages.shared.examinations import attack
from pages.shared.regions import keep_drawn, region_here, region_state
from pages.shared.runtime import engine
from pages.shared.session import Session
from pages.shared.uploads import REFUSED
from pages.shared.viewer import Wish, prepare_viewer, wish_of
from pages.shared.viewer.comparison import compared
from pages.shared.viewer.drawn import Drawn, drawn_of
from pages.shared.words import weight_text
from tests.reading import opened, texts

Choose = Callable[[AppTest, str], AppTest]


@pytest.fixture(scope="module")
def volume(sample_files: list[Path]) -> Scan:
    return replace(load_scan(sample_files[0]), values=np.zeros((5, 4, 4), np.int16), exact=False)


@pytest.mark.parametrize(
    "answer, wish",
    [
        ({"slice": 4, "window": None}, Wish(4, None)),
        ({"slice": 0, "window": {"low": -5, "high": 7.5}}, Wish(0, (-5.0, 7.5))),
        ({"slice": 0, "window": {"low": 0, "high": 1, "bent": True}}, Wish(0, (0.0, 1.0), True)),
        ({"slice": 0, "window": {"low": 0, "high": 1, "bent": "?"}}, Wish(0, (0.0, 1.0))),
        ({"slice": 1, "window": {"low": 7, "high": 7}}, Wish(1, None)),
        ({"slice": 1, "window": {"low": float("nan"), "high": 7}}, Wish(1, None)),
        ({"slice": 1, "window": {"low": 0, "high": 1e300}}, Wish(1, None)),
        ({"slice": 1, "window": {"low": "0", "high": None}}, Wish(1, None)),
        ({"slice": 1, "window": [0, 1]}, Wish(1, None)),
        ({"slice": 5}, None),
        ({"slice": -1}, None),
        ({"slice": "1"}, None),
        ({"slice": True}, None),
        ({}, None),
        ([1], None),
        (None, None),
    ],
)
def test_only_what_makes_sense_is_taken(volume, answer, wish):
    assert wish_of(answer, volume) == wish


def test_a_file_of_a_fixed_window_keeps_it(volume):
    answer = {"slice": 2, "window": {"low": 0, "high": 1}}
    assert wish_of(answer, replace(volume, exact=True)) == Wish(2, None)


def test_a_preset_of_the_viewer_is_examined_as_it_is_shown(volume: Scan) -> None:
    straight, sigmoid = Window(2048, 4096, "Stored"), Window(300, 77.7, "Soft", "SIGMOID")
    scan = replace(volume, voi_lut=Lut(0, np.arange(4096), 12), windows=(straight, sigmoid))
    session, custom = Session(), Window(2048, 1000, "Custom", "LINEAR_EXACT")
    session.take(scan)
    for preset in scan.presets:  # the table and the first window have the same ends
        session.window, before = custom, session.window_settings
        shown = viewer_window(scan, preset, session.frame)
        said = {"low": shown["low"], "high": shown["high"], "bent": "table" in shown}
        _wished(session, scan, wish_of({"slice": 1, "window": said}, scan))
        assert (session.window, session.frame, session.window_settings) == (preset, 1, before + 1)
    _wished(session, scan, Wish(1, (100.0, 300.0)))
    assert session.window == Window(200, 200, "Custom", "LINEAR_EXACT")


def test_only_what_is_known_in_millimetres_is_measured_in_them(volume: Scan) -> None:
    for spacing, measured in (((1.0, 2.0, 1.0), True), ((1.0, 2.0, 1.0), False), (None, True)):
        scan = replace(volume, spacing=spacing, measured=measured)
        told = prepare_viewer(scan, 0, None).data["volume"]
        assert (told["spacing"], told["measured"]) == (spacing, spacing is not None and measured)
        pair = {name: np.zeros((1, 8, 8), np.float32) for name in "AB"}
        told = compared(pair, scan, (4, 4), None)["volume"]
        assert (told["spacing"] is not None) == told["measured"] == (spacing is not None and measured)
        assert told["shape"][1:] == ((8, 4) if spacing else (8, 8))  # square pixels


def test_two_volumes_that_differ_anywhere_have_addresses_of_their_own(volume: Scan, monkeypatch: pytest.MonkeyPatch):
    files = MediaFileManager(MemoryMediaFileStorage("/media"))
    monkeypatch.setattr(runtime, "exists", lambda: True)
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(media_file_mgr=files))
    addresses = []
    for value in (1, 2):
        values = np.zeros((6, 400, 400), np.int16)
        values[1, 200, 200] = value
        addresses.append(prepare_viewer(replace(volume, values=values), 0, None).data["volume"]["url"])
    assert addresses[0] != addresses[1]


BOX = [[1, 1], [3, 2]]


@pytest.mark.parametrize(
    "answer, drawn",
    [
        ({"slice": 4, "shape": "ellipse", "points": BOX}, Drawn(4, "ellipse", ((1.0, 1.0), (2.0, 3.0)))),
        ({"slice": 0, "shape": "polygon", "points": [*BOX, [-9, 99.5]]}, Drawn(0, "polygon", ((1, 1), (2, 3), (4, 0)))),
        ({"slice": 1, "shape": "none", "points": "?"}, Drawn(1, "none")),
        ({"slice": 5, "shape": "none"}, None),
        ({"slice": True, "shape": "none"}, None),
        ({"slice": 0, "shape": "star", "points": BOX}, None),
        ({"slice": 0, "shape": ["none"]}, None),
        ({"slice": 0, "shape": "ellipse", "points": [*BOX, [1, 1]]}, None),
        ({"slice": 0, "shape": "ellipse", "points": [[1, 1]]}, None),
        ({"slice": 0, "shape": "ellipse", "points": [[1, 1], [float("nan"), 1]]}, None),
        ({"slice": 0, "shape": "ellipse", "points": [[1, 1], [True, 1]]}, None),
        ({"slice": 0, "shape": "ellipse", "points": [[1, 1], "ab"]}, None),
        ({"slice": 0, "shape": "ellipse", "points": [[1, 1], [10**400, 1]]}, None),
        ({"slice": 0, "shape": "polygon", "points": BOX * 1000}, None),
        ({"slice": 0, "shape": "polygon"}, None),
        ([1], None),
        (None, None),
    ],
)
def test_only_a_region_that_makes_sense_is_taken(volume, answer, drawn):
    assert drawn_of(answer, volume, 1) == drawn


def test_where_rows_are_left_out_of_the_picture_a_region_lies_where_it_was_drawn(volume):
    answer = {"slice": 0, "shape": "ellipse", "points": [[0, 0.5], [1, 2]]}
    assert drawn_of(answer, volume, 2) == Drawn(0, "ellipse", ((1.0, 0.0), (4.0, 2.0)))


def test_a_slice_has_one_region_and_an_attack_moves_none(volume):
    large = replace(volume, values=np.zeros((3, 256, 256), np.int16), sha256="large")
    session = Session()
    session.take(large)
    keep_drawn(session, large, Drawn(1, "ellipse", ((40.0, 40.0), (80.0, 100.0))))
    keep_drawn(session, large, Drawn(0, "polygon", ((0.0, 0.0), (9.0, 9.0))))
    state = region_state(session)
    assert list(state.regions) == [1] and state.problem and "three corners" in state.problem
    before = region_here(session)
    assert before is not None and before.frame == session.frame == 1
    keep_drawn(session, volume, Drawn(1, "none"))  # of another scan: too late
    assert region_here(session) is before and not region_state(session).choices == (volume.sha256,)

    session.take_attacked(replace(volume, values=np.zeros((1, 128, 128), np.uint16), sha256="copy"))
    carried = region_here(session)
    assert carried is not None and np.argwhere(carried.mask).min(0).tolist() == [20, 20]
    keep_drawn(session, session.scan, Drawn(0, "none"))
    assert region_here(session) is None and region_here(session) is None
    session.take(large)
    assert region_here(session) is None


def test_what_purification_did_in_a_region_stands_on_the_page(app: AppTest, choose: Choose) -> None:
    choose(app, "tumour-02")
    session = app.session_state["session"]
    assert "region of interest" not in texts(app).lower().replace("**", "") and "Outline a region" in texts(app)
    keep_drawn(session, session.scan, Drawn(0, "ellipse", ((68.0, 68.0), (92.0, 90.0))))
    app.run()
    assert "In the region of interest" in texts(app) and "Nothing was purified" in texts(app)
    share = next(iter(region_state(session).shares.values()))
    assert share is not None and f"**{weight_text(share.size)}** of the body" in texts(app)
    assert f"**{weight_text(share.inside)}** of what the answer rests on lies inside" in texts(app)
    assert "Outline a region" not in texts(app)
    attack(session)
    app.run()
    words = texts(app)
    assert "Purification left" in words and "Measured against the clean original" in words
    assert any(word in words for word in ("Preserved", "Blurred", "Invented", "Lost"))
    next(button for button in app.button if button.label == "Take the model’s own region").click().run()
    region = region_here(app.session_state["session"])
    assert region is not None and region.source == "attribution" and "says nothing" in texts(app)
    assert not app.exception


def test_a_scan_that_was_replaced_is_let_go(app: AppTest, choose: Choose) -> None:
    opened = []
    for number in range(1, 5):
        choose(app, f"tumour-0{number}")
        opened.append(weakref.ref(app.session_state["session"].scan))
        app.run()
    gc.collect()
    held = [scan().name for scan in opened if scan() is not None]
    assert "tumour-04.dcm" in held and len(held) <= 2, held


def ended(state: SeriesState) -> None:
    """Watch until all is done: what nobody asks for is left."""
    deadline = time.monotonic() + 120
    while state.running:
        assert time.monotonic() < deadline
        state.begun.wait(1)


@pytest.mark.slow
def test_every_slice_is_examined_in_the_background(app: AppTest, choose: Choose) -> None:
    choose(app, "emri-small")
    state = app.session_state["session"].state_of(SeriesState)
    ended(state)
    app.run()
    assert len(state.examined) == 10 and "**All 10 slices:**" in texts(app)
    app.number_input(key="seed").set_value(5).run()
    again = app.session_state["session"].state_of(SeriesState)
    assert again is not state and again.running
    again.stop()
    ended(again)
    app.run()
    known = len(again.examined)
    engine().worker.submit(int).result(60)  # its turn comes after all that was waiting
    assert again.begun.done and again.begun.stopped and len(again.examined) == known < 10
    assert "Stopped" in texts(app) or any("Stopped" in info.value for info in app.info)
    next(button for button in app.button if button.label == "Examine the other slices").click().run()
    ended(again)
    assert len(again.examined) == 10


def test_an_outline_from_a_file_becomes_the_region(app: AppTest) -> None:
    values = np.zeros((24, 24, 3), np.int16)
    values[4:20, 4:20] = 500
    mask = np.zeros(values.shape, np.uint8)
    mask[8:14, 8:12, 1], mask[8:9, 8:9, 2] = 1, 3
    place = np.diag([-8.0, -8.0, 5.0, 1.0])
    scan, outline, other = (nib.Nifti1Image(own, place) for own in (values, mask, mask[1:]))
    app.sidebar.file_uploader[0].upload("scan.nii", scan.to_bytes(), "application/octet-stream").run()
    session = app.session_state["session"]
    own = f"outline-{session.scan.key}"
    app.file_uploader(key=own).upload("*other*.nii", other.to_bytes(), "application/octet-stream").run()
    assert "'*other*.nii' lies on other pixels than this scan" in texts(app) and region_here(session) is None
    app.file_uploader(key=own).upload("mask.nii", outline.to_bytes(), "application/octet-stream").run()
    region = region_here(session)
    assert region is not None and region.source == "file" and region.mask.sum() == 24
    assert "lies on other pixels" not in texts(app)
    app.selectbox(key=own.replace("outline-", "outline-of-")).select(1).run()
    assert list(region_state(session).regions) == [2] and "but on slice 3" in texts(app)
    opened(opened(app, "home"), "examine")
    assert app.selectbox(key=own.replace("outline-", "outline-of-")).value == 1, "as another page was drawn meanwhile"
    for chosen, shown in ((None, 2), (0, 1)):
        app.selectbox(key=own.replace("outline-", "outline-of-")).set_value(chosen).run()
        assert list(region_state(session).regions) == [shown]
    moved = nib.Nifti1Image(np.roll(mask, 1, axis=0), place).to_bytes()
    app.file_uploader(key=own).upload("moved.nii", moved, "application/octet-stream").run()
    assert list(region_state(session).regions) == [1]
    assert app.selectbox(key=own.replace("outline-", "outline-of-")).value == 0
    app.file_uploader(key=own).upload("large.nii", b"", REFUSED).run()
    assert "MB: bring fewer" in texts(app) and list(region_state(session).regions) == [1]
    assert not app.exception
