"""What a hospital remembers of a federation, so that it goes on where it was ended and trains nothing twice."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.federation.averaging import State
from core.storage import save_whole


@dataclass(frozen=True)
class Memory:
    """The last round that a hospital took part in: which, its own network after it, what it sent, of how many images.

    images: `Order.images` that an encrypted answer's share is of; 0 where a file doesn't say, which fits no order.
    """

    key: str = ""
    place: tuple[int, int] = (-1, -1)
    own: State = field(default_factory=dict)
    sent: State = field(default_factory=dict)
    images: int = 0

    def write(self, path: Path) -> None:
        """Keep it in a file."""
        own = {f"own/{name}": value.clone() for name, value in self.own.items()}
        sent = {f"sent/{name}": value for name, value in self.sent.items()}
        facts = {"key": self.key, "place": json.dumps(self.place), "images": str(self.images)}
        save_whole(own | sent, path, facts)


def read_memory(path: Path) -> Memory:
    """What `Memory.write` kept; ValueError, one sentence, where the file is damaged."""
    try:
        with safe_open(path, "pt") as file:
            facts, entries = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path.name} is damaged; remove it, and this site begins the federation anew.") from error
    parts: dict[str, dict[str, Tensor]] = {"own": {}, "sent": {}}
    for key, value in entries.items():
        part, name = key.split("/", 1)
        parts[part][name] = value
    first, second = json.loads(facts["place"])
    return Memory(facts["key"], (first, second), **parts, images=int(facts.get("images", 0)))
