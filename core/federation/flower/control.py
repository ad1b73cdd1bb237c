"""What a server is told from outside: whose sites it may let in, and that a run begins."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import httpx
from flwr.cli.build import build_fab_from_files
from flwr.cli.cli_client_interceptor import CliClientHttpInterceptor
from flwr.common.serde import fab_to_proto
from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest, StartRunRequest
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import public_key_to_bytes

from core.federation.coordinator import FederationError
from core.federation.flower.keys import read_public_key


def begin_run(address: str, certificates: Path, sites: Mapping[str, Path], app: Mapping[str, bytes]) -> int:
    """Register the sites that aren't yet, and begin a run; return its number.

    Parameters
    ----------
    address : str
        host:port of the SuperLink.
    certificates : Path
        Of the authority that vouches for it.
    sites : mapping of str to Path
        Site → its public key.
    app : mapping of str to bytes
        Path → content of the run's app.

    Raises
    ------
    FederationError
        The server refuses.
    ValueError
        A file is no public key.
    """
    client = ControlHttpClient.from_server_address(
        server_address=address,
        insecure=False,
        root_certificates=certificates.read_bytes(),
        interceptors=[CliClientHttpInterceptor(), RuntimeVersionHttpInterceptor(component_name="flwr CLI")],
    )
    try:
        known = {node.public_key for node in client.ListNodes(ListNodesRequest()).nodes_info}
        for name, path in sites.items():
            key = public_key_to_bytes(read_public_key(path))
            if key not in known:
                client.RegisterNode(RegisterNodeRequest(public_key=key, name=name))
        content, _ = build_fab_from_files(dict(app))
        fab = Fab(hashlib.sha256(content).hexdigest(), content, {})
        return client.StartRun(StartRunRequest(fab=fab_to_proto(fab))).run_id
    except httpx.HTTPError as error:
        raise FederationError(f"The server takes no run: {error}.") from error
    finally:
        client.close()
