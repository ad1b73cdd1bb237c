"""Files on their way in: held in memory once, written nowhere, and no more of them than may be opened."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from starlette import formparsers
from streamlit import config
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.typing import UploadedFile

if TYPE_CHECKING:
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
    from streamlit.runtime.uploaded_file_manager import UploadedFileRec

    from core.scans import Study

REFUSED = "application/x-refused"
"""The type of a file that was refused on its way in; it has no content."""


class _MemoryFile(BytesIO):
    """Stands in for the server's temporary file, which goes to the disk, and of which a copy is read."""

    _rolled = False

    def __init__(self, max_size: int = 0) -> None:
        super().__init__()

    def read(self, size: int | None = -1) -> bytes:
        return self.getvalue() if size == -1 and self.tell() == 0 else super().read(size)


def keep_uploads_in_memory() -> None:
    """Have the server write no upload to the disk, which it does with all that is larger than a megabyte."""
    formparsers.SpooledTemporaryFile = _MemoryFile  # type: ignore[misc, assignment]  # no limit: Streamlit has its own


def refuse_large_sums(manager: MemoryUploadedFileManager) -> None:
    """Have the files of a visit let go as soon as they are more than one upload may be: Streamlit looks at each alone.

    Fifty files that are dropped together would else all be held before the page sees the first of them.
    """
    add = manager.add_file

    def add_file(session_id: str, file: UploadedFileRec) -> None:
        others = list(manager.file_storage.get(session_id, {}).values())
        held = sum(len(other.data) for other in others if other.file_id != file.file_id)
        if held + len(file.data) > most_megabytes() * 2**20:
            file = file._replace(data=b"", type=REFUSED)
        add(session_id=session_id, file=file)

    manager.add_file = add_file  # type: ignore[method-assign]


def most_megabytes() -> int:
    """How much one visitor may have uploaded at once."""
    return int(config.get_option("server.maxUploadSize"))


def refusal(files: Sequence[UploadedFile]) -> str | None:
    """One sentence, where some of the files were refused on their way in."""
    if all(file.type != REFUSED for file in files):
        return None
    return (
        f"With what you have uploaded elsewhere, these files are larger than {most_megabytes()} MB: bring fewer, or "
        "take others away first."
    )


def study_of(files: Sequence[UploadedFile]) -> Study:
    """The study that uploaded files make; they are let go, as it holds them now. ScanError where they are too much."""
    from core.scans import ScanError, Study

    try:
        if problem := refusal(files):
            raise ScanError(problem)
        return Study.of_files([(file.name, file.getvalue()) for file in files])
    finally:
        _let_go(files)


def _let_go(files: Sequence[UploadedFile]) -> None:
    """Free what Streamlit would hold: the server as long as the visit lasts, the widget until it is drawn again."""
    context = get_script_run_ctx()
    assert context is not None
    for file in files:
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)  # type: ignore[attr-defined]
        file.close()
