"""A study of several series, volumes or files: what is offered, what is opened, and what is let go."""

import gc
from collections.abc import Callable
from weakref import ref

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.defence.series import SliceVerdict
from core.scans import limits
from pages.examine.series import SeriesState
from pages.examine.study import details
from pages.shared.uploads.studies import StudyState, list_study, study_state
from tests.reading import session, texts
from tests.scans.builders import dicom, picture, zipped

AXES = [1, 0, 0, 0, 1, 0]


def files(series: int, count: int, grey: int = 100, **tags: object) -> dict[str, bytes]:
    """Axial slices of a series, each of one grey value."""
    return {
        f"{series}-{number}.dcm": dicom(
            np.full((8, 8), grey + number, np.int16),
            SeriesInstanceUID=f"1.2.{series}",
            ImagePositionPatient=[0, 0, 3 * number],
            ImageOrientationPatient=AXES,
            PixelSpacing=[1, 1],
            WindowCenter=150,
            WindowWidth=100,
            **tags,
        )
        for number in range(count)
    }


def study() -> bytes:
    """Three slices, four of a localizer, and a text."""
    scout = files(2, 4, 200, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    return zipped(files(1, 3) | scout | {"README.txt": b"hello there"})


def bring(app: AppTest, brought: dict[str, bytes]) -> AppTest:
    """Drop files on the sidebar together."""
    app.sidebar.file_uploader[0].set_value([(name, content, "") for name, content in brought.items()])
    return app.run()


@pytest.fixture
def opened(app: AppTest) -> AppTest:
    app.switch_page("pages/examine/page.py").run()
    return bring(app, {"study.zip": study()})


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button if button.label.startswith("Open series")]


def test_series_are_offered_and_another_is_opened(opened: AppTest) -> None:
    page = texts(opened)
    assert not opened.exception and not opened.error
    assert session(opened).scan.frame_count == 3 and labels(opened) == ["Open series 2"]
    assert "2 series in this study" in page and "Axial localizer, 4 slices" in page and "Series 1 of 2" in page
    assert "1 other file was left out." in page and page.count("left out") == 1
    first = session(opened).choices()
    opened.button(key="series-1").click().run()
    assert session(opened).scan.frame_count == 4 and labels(opened) == ["Open series 1"]
    assert session(opened).choices()[0] != first[0]
    assert session(opened).examination.frame_index == 2 and "Series 2 of 2" in texts(opened)
    opened.switch_page("pages/purify/page.py").run()
    assert not opened.exception and session(opened).scan.series_index == 1


def test_a_series_that_cannot_be_opened_costs_nothing(opened: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    before = session(opened).scan
    state = study_state(session(opened))
    assert state and list_study(state) is state.series
    monkeypatch.setattr(limits, "MAX_UPLOAD_BYTES", 10)
    opened.button(key="series-1").click().run()
    assert len(opened.error) == 1 and "stays open" in opened.error[0].value
    assert session(opened).scan is before and labels(opened) == ["Open series 2"]


def test_series_that_cannot_be_listed_are_counted(opened: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    state = study_state(session(opened))
    assert state
    state.series = None
    with monkeypatch.context() as narrow:
        narrow.setattr(limits, "MAX_UPLOAD_BYTES", 10)
        opened.run()
    opened.run()
    assert not opened.exception and not opened.error and not labels(opened)
    assert "2 series are here. What they are could not be found out." in texts(opened)


def test_an_attacked_copy_keeps_the_study(opened: AppTest) -> None:
    visitor = session(opened)
    copy = visitor.scan
    visitor.take_attacked(type(copy)(**{**vars(copy), "sha256": "0" * 64, "series_count": 1}))
    opened.run()
    assert not opened.exception and labels(opened) == ["Open series 2"]


def test_the_study_goes_with_its_scan(opened: AppTest, choose: Callable[[AppTest, str], AppTest]) -> None:
    state = session(opened).state_of(StudyState)
    assert state
    held, state = ref(state.study), None
    choose(opened, "mr-small")
    assert session(opened).state_of(StudyState) is None and not labels(opened)
    gc.collect()
    assert held() is None


def test_volumes_are_offered(app: AppTest) -> None:
    twice = files(1, 3, 100, EchoTime=10) | {
        f"late-{name}": data for name, data in files(1, 3, 50, EchoTime=90).items()
    }
    app.switch_page("pages/examine/page.py").run()
    bring(app, {"echoes.zip": zipped(twice)})
    first = session(app).scan
    assert (first.frame_count, first.volume_count) == (3, 2) and "Volume 1 of 2" in texts(app)
    app.selectbox(key="volume").select(1).run()
    second = session(app).scan
    assert not app.exception and second.volume == 1 and second.values[0, 0, 0] == 50
    assert app.selectbox(key="volume").value == 1


def test_files_dropped_together_are_a_study(app: AppTest) -> None:
    app.switch_page("pages/examine/page.py").run()
    bring(app, files(1, 3) | {"notes.txt": b"hello there"})
    assert not app.error and session(app).scan.frame_count == 3
    assert session(app).scan.name == "1-0.dcm and 3 more" and "1 other file was left out." in texts(app)
    # What is dropped next takes their place, and leaves nothing in the uploader.
    assert not app.sidebar.file_uploader[0].value
    bring(app, {"one.png": picture(np.arange(64, dtype=np.uint8).reshape(8, 8))})
    assert session(app).scan.name == "one.png"


def test_files_that_are_too_much_together_are_refused(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    app.switch_page("pages/examine/page.py").run()
    brought = files(1, 3)
    monkeypatch.setattr(limits, "MAX_UPLOAD_BYTES", sum(map(len, brought.values())) - 1)
    bring(app, brought)
    assert len(app.error) == 1 and "1\\-0" in app.error[0].value and session(app).scan is None


def test_the_last_choice_wins(app: AppTest) -> None:
    app.switch_page("pages/examine/page.py").run()
    session(app).wanted = "mr-small"
    bring(app, {"late.zip": study()})
    assert session(app).scan.name == "late.zip" and session(app).wanted is None


def test_the_reader_is_shown_the_way_to_the_slice_with_most_to_say(opened: AppTest) -> None:
    visitor = session(opened)
    state = visitor.state_of(SeriesState)
    assert state and visitor.frame == 1
    labels = ("tumour", "no tumour", "no tumour")
    verdicts = {frame: SliceVerdict(frame, label, 0.9, examined=True) for frame, label in enumerate(labels)}
    visitor.keep(SeriesState(choices=state.choices, verdicts=verdicts))
    opened.run()
    assert "Tumour on slice 1 of 3" in texts(opened) and "It has most to say: slice 1, tumour." in texts(opened)
    assert visitor.frame == 1  # nobody is taken there
    opened.button(key="go-to-slice").click().run()
    assert visitor.frame == 0 and visitor.examination and visitor.examination.frame_index == 0
    assert "most to say" not in texts(opened)


def test_a_series_is_told_as_far_as_it_is_known() -> None:
    from core.scans import list_series

    scout, *_ = reversed(list_series(study(), "study.zip"))
    assert details(scout) == "sequence not stated · 1 × 1 × 3 mm"
