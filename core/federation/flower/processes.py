"""What every process of a federation does at its start: it ends with its parent, and Flower keeps to one folder."""

import os
import socket
import sys
import threading
from pathlib import Path


def quiet_flower(home: Path) -> None:
    """Before flwr is imported: its own files go to `home`, and nothing is told to anybody outside."""
    os.environ |= {"FLWR_HOME": str(home), "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}


def end_with_parent() -> None:
    """End this process when its standard input ends: the parent holds the other end, and lets go however it ends."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def free_port() -> int:
    """A port on loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
