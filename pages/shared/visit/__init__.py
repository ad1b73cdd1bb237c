"""A visit and its browser: what survives a reload, what stands in the address, and the view for a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


@dataclass
class Stage:
    """Where a class looks: where to write and where to draw.

    On a stage where something runs the next picture takes the place of the last.

    bar: where progress is shown, None where nothing runs; told: sentences so far; shown: whether there is a picture.
    """

    said: DeltaGenerator
    picture: DeltaGenerator
    bar: DeltaGenerator | None = None
    told: int = 0
    shown: bool = False


@dataclass
class Visit:
    """One load of the app in one tab.

    Attributes
    ----------
    secret : str
        What the tab remembers, and nobody else knows: who loads the page again with it gets the same scan.
    connection : str
        Streamlit's name for the connection.
    greeted : bool
        Whether the browser has said what it remembers, or was asked in vain.
    missed : str or None
        The page that Streamlit has wrongly said isn't there.
    left : tuple of str
        The page and its address where the visit stood that this one goes on with; empty where it goes on with none.
    arrived : bool
        Whether the address that the visit began with has been read.
    class_view : bool
        Whether the pages are shown to a class.
    asked : dict
        What the address asks for and is still to be done: the ``section`` and ``step`` of the page, the ``slice`` and
        ``window`` of the scan that is being opened, whether that is to be ``attacked``, which ``attack`` and what to
        ``purify`` with is set up, and what the page alone knows.
    page, pages
        The name of the page that is open, and of all.
    section, step : str
        What of the page that is open belongs in its address; empty where it is what the page begins with.
    words : dict
        What else of it does, word by word; what is empty is left out.
    problem : str or None
        One sentence about what the address asks for and what isn't here.
    written : str
        What the address was last made.
    toured : str
        For which step of a tour the controls were last set.
    stage : Stage or None
        Where the page that is open shows a class what matters.
    """

    secret: str = field(default_factory=lambda: token_urlsafe(32), repr=False)
    connection: str = ""
    greeted: bool = False
    missed: str | None = None
    left: tuple[str, str] = ("", "")
    arrived: bool = False
    class_view: bool = False
    asked: dict[str, str] = field(default_factory=dict)
    page: str = ""
    pages: tuple[str, ...] = ()
    section: str = ""
    step: str = ""
    words: dict[str, str] = field(default_factory=dict)
    problem: str | None = None
    written: str = ""
    toured: str = ""
    stage: Stage | None = field(default=None, repr=False)

    def is_left_at(self, words: Mapping[str, str]) -> bool:
        """Whether these words are the address that the same tab had before: the page is loaded again."""
        page, written = self.left
        return page == self.page != "" and dict(parse_qsl(written)) == dict(words)

    def switch_class_view(self) -> None:
        """Into the view for a class, or out of it."""
        self.class_view = not self.class_view
