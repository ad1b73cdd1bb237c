"""A site's process: Flower's SuperNode, and beside it what answers the messages that it gets."""

import logging
import secrets
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.federation.flower import check_installed
from core.federation.flower.processes import free_port, quiet_flower
from core.federation.site import Site
from core.storage import write_secret

HEARTBEAT = 10
"""Seconds, the fewest that Flower allows: a site that has gone is missed after two of them, and may come back then."""


@dataclass(frozen=True)
class Connection:
    """How a site reaches the server, and how each knows the other.

    Attributes
    ----------
    server : str
        host:port.
    certificates : Path
        Of the authority that vouches for the server, in PEM.
    key : Path
        The site's private key, whose public one the server has registered.
    partners : sequence of Path
        Public keys of the sites that it knows.
    wait : callable
        Returns once the server is there; called when everything else is.
    """

    server: str
    certificates: Path
    key: Path
    partners: Sequence[Path] = ()
    wait: Callable[[], object] = lambda: None


def run_site(site: Site, connection: Connection) -> None:
    """Take part in a server's federations until the process is told to end.

    Raises
    ------
    ValueError
        Flower is missing, or a file is none of those that it should be; one sentence.
    """
    check_installed()
    if not connection.certificates.is_file():
        raise ValueError(f"There is no certificate {connection.certificates}; get it from whoever runs the server.")
    with tempfile.TemporaryDirectory(prefix="purescan-site-") as folder:
        quiet_flower(Path(folder))
        _serve(site, connection, Path(folder))


def _serve(site: Site, connection: Connection, folder: Path) -> None:
    # Here and not above: `quiet_flower` comes first.
    from flwr.supercore import heartbeat
    from flwr.supernode import fleet_http_connection
    from flwr.supernode.cli import flower_supernode

    from core.federation.flower.client import client_app
    from core.federation.flower.keys import read_private_key, read_public_key
    from core.federation.flower.tasks import answer_messages

    app = client_app(site, read_private_key(connection.key), [read_public_key(path) for path in connection.partners])
    secret, port = secrets.token_bytes(32), free_port()
    write_secret(folder / "secret", secret)
    for module in (heartbeat, fleet_http_connection):
        setattr(module, "HEARTBEAT_DEFAULT_INTERVAL", HEARTBEAT)  # noqa: B010  # to mypy it isn't the module's
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger("core.federation").addHandler(handler)
    own = f"127.0.0.1:{port}"
    threading.Thread(target=answer_messages, args=(own, secret, app), daemon=True).start()
    options = {
        "--superlink": connection.server,
        "--root-certificates": str(connection.certificates),
        "--auth-supernode-private-key": str(connection.key),
        "--isolation": "process",
        "--superexec-auth-secret-file": str(folder / "secret"),
        "--port": str(port),
    }
    sys.argv = ["flower-supernode", *(word for option in options.items() for word in option)]
    connection.wait()
    flower_supernode()
