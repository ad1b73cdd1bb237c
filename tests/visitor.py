"""A visitor without a browser: he talks to the app over its WebSocket, as the page's own JavaScript does."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlparse

import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs, UploadedFileInfo
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

WAIT_SECONDS = 120.0
POLL_SECONDS = 0.1
TEXTS = ("heading", "markdown", "button", "file_uploader")


class Visitor:
    """One session of the app at `url`: what stands on his page, and what he does there."""

    def __init__(self, url: str) -> None:
        self._url, self._http = url, requests.Session()
        self._http.get(f"{url}/_stcore/health", timeout=WAIT_SECONDS).raise_for_status()
        self._socket = connect(f"ws://{urlparse(url).netloc}/_stcore/stream", max_size=None, max_queue=None)
        self._elements: dict[tuple[int, ...], Element] = {}
        self._widgets: dict[str, WidgetState] = {}
        self._repeats: dict[str, list[float]] = {}  # of a fragment: every so many seconds, and when next
        self._file_urls: list[FileURLs] = []
        self._page = self._session = ""
        self._finished = 0
        self._rerun()

    def close(self) -> None:
        """Leave."""
        self._socket.close()
        self._http.close()

    @property
    def text(self) -> str:
        """The headings and paragraphs of the page, and the labels of what one can press or fill in."""
        kinds = {place: element.WhichOneof("type") for place, element in self._elements.items()}
        parts = [getattr(self._elements[place], kind) for place, kind in kinds.items() if kind in TEXTS]
        return "\n".join(getattr(part, "body", "") or getattr(part, "label", "") for part in parts)

    def click(self, label: str) -> None:
        """Press the button of this label once it is there."""
        self._rerun(WidgetState(id=self._widget("button", label), trigger_value=True))

    def upload(self, path: Path, label: str) -> None:
        """Give a file to the uploader of this label once it is there."""
        uploader = self._widget("file_uploader", label)
        request = {"request_id": path.name, "file_names": [path.name], "session_id": self._session}
        self._send(BackMsg(file_urls_request=request))
        self.wait(lambda: bool(self._file_urls))
        urls, data = self._file_urls.pop(), path.read_bytes()
        token = {"X-Xsrftoken": self._http.cookies.get("_streamlit_xsrf") or ""}
        answer = self._http.put(self._url + urls.upload_url, files={"file": (path.name, data)}, headers=token)
        answer.raise_for_status()
        state = WidgetState(id=uploader)
        info = UploadedFileInfo(name=path.name, size=len(data), file_id=urls.file_id, file_urls=urls)
        state.file_uploader_state_value.uploaded_file_info.append(info)
        self._widgets[uploader] = state
        self._rerun()

    def look_again(self) -> float:
        """Let the page be drawn again; return after how many seconds all of it had come."""
        start, before = time.monotonic(), self._finished
        self._rerun()
        self.wait(lambda: self._finished > before)
        return time.monotonic() - start

    def wait(self, until: Callable[[], bool]) -> None:
        """Take what the app sends until this holds; what repeats on the page is asked for when it is due."""
        end = time.monotonic() + WAIT_SECONDS
        while not until():
            if time.monotonic() > end:
                raise TimeoutError(f"It is not on the page: {self.text[:2000]}")
            with contextlib.suppress(TimeoutError):
                self._take(ForwardMsg.FromString(self._socket.recv(timeout=POLL_SECONDS)))
            self._repeat()

    def _widget(self, kind: str, label: str) -> str:
        found: list[str] = []

        def seen() -> bool:
            widgets = [getattr(one, kind) for one in self._elements.values() if one.HasField(kind)]
            found.extend(widget.id for widget in widgets if widget.label == label)
            return bool(found)

        self.wait(seen)
        return found[0]

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._page = message.new_session.page_script_hash
            self._session = message.new_session.initialize.session_id or self._session
            if not message.metadata.run.fragment_ids:
                self._elements.clear()
                self._repeats.clear()
        elif kind == "delta" and message.delta.HasField("new_element"):
            self._elements[tuple(message.metadata.delta_path)] = message.delta.new_element
        elif kind == "script_finished":
            self._finished += 1
        elif kind == "auto_rerun":
            every = message.auto_rerun.interval
            self._repeats[message.auto_rerun.fragment_id] = [every, time.monotonic() + every]
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._repeats.pop(fragment, None)
        elif kind == "file_urls_response":
            self._file_urls.extend(message.file_urls_response.file_urls)

    def _repeat(self) -> None:
        for fragment, (every, due) in list(self._repeats.items()):
            if time.monotonic() >= due:
                self._repeats[fragment] = [every, time.monotonic() + every]
                self._rerun(fragment=fragment)

    def _rerun(self, pressed: WidgetState | None = None, fragment: str = "") -> None:
        message = BackMsg()
        state = message.rerun_script
        state.page_script_hash, state.fragment_id, state.is_auto_rerun = self._page, fragment, bool(fragment)
        state.widget_states.widgets.extend([*self._widgets.values(), *([pressed] if pressed else [])])
        self._send(message)

    def _send(self, message: BackMsg) -> None:
        self._socket.send(message.SerializeToString())
