"""Whether `make run` can serve on a port: python tests/port.py 8501 ends with one sentence where it can't."""

import socket
import sys


def trouble(port: str) -> str | None:
    """Say in one sentence why the app can't listen on this port; None where it can."""
    if port not in map(str, range(1, 65536)):
        return "PORT must be a number from 1 to 65535, as in: make run PORT=8600"
    try:
        socket.create_server(("127.0.0.1", int(port))).close()
    except PermissionError:
        return f"Port {port} is kept for the system: take one from 1024 on, as in: make run PORT=8600"
    except OSError:
        return f"Port {port} is not free: stop what uses it, or take another: make run PORT=8600"
    return None


if __name__ == "__main__":
    sys.exit(trouble(sys.argv[1]))
