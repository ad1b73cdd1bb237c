"""The app, run in this process without a browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from pages.shared.runtime import engine
from pages.shared.session import Session
from pages.shared.visit import Visit

ROOT = Path(__file__).resolve().parents[2]
_INIT = PagesManager.__init__


def _without_legacy_pages(self: PagesManager, *args: object, **kwargs: object) -> None:
    """AppTest forgets in every run that this is no legacy multipage app; a server is told once, in `pages`."""
    _INIT(self, *args, **kwargs)  # type: ignore[arg-type]
    PagesManager.uses_pages_directory = False


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], AppTest]]:
    """Give one more visit that has closed the notice, on Home, with the library loaded; in the end all of them leave.

    What still runs for one of them would take the next test's time.
    """
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(PagesManager, "__init__", _without_legacy_pages)
    engine().warm_up()
    assert engine().ready.wait(120)

    sessions: list[Session] = []

    def begin() -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        sessions.append(Session(notice_seen=True, visit=Visit(greeted=True)))
        test.session_state["session"] = sessions[-1]
        return test.run()

    yield begin
    for session in sessions:
        for state in session.states.values():
            state.stop()


@pytest.fixture
def app(visit: Callable[[], AppTest]) -> AppTest:
    """One such visit."""
    return visit()


@pytest.fixture
def mr_file() -> bytes:
    """A real MR slice that comes with pydicom."""
    return Path(get_testdata_file("MR_small.dcm", download=False)).read_bytes()


@pytest.fixture
def choose() -> Callable[[AppTest, str], AppTest]:
    """Pick a sample in the sidebar."""
    return lambda app, key: app.selectbox(key="sample").select(key).run()
