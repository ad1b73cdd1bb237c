"""Files that are written whole or not at all, and those that are nobody else's."""

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def save_whole(state: Mapping[str, Tensor], path: Path, facts: Mapping[str, str]) -> None:
    """Write a safetensors file anew; who is cut off meanwhile leaves the old one and not half of the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    save_file(dict(state), fresh, dict(facts))
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)


def save_text(text: str, path: Path) -> None:
    """Write a text file anew; who is cut off meanwhile leaves the old one and not half of the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.part")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that nobody else on this machine may read, and that isn't there yet."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
