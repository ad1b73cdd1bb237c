"""Flower's tasks, answered by this program's own apps: what a federation ships as code is neither unpacked nor run.

A SuperLink and a SuperNode hand out tasks to whoever has their secret. Flower's own executor unpacks the app that came
with a run and imports it, so that whoever may start a run decides what every site executes. This one knows its own app.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from flwr.clientapp import ClientApp
from flwr.common.constant import SubStatus
from flwr.common.serde import context_from_proto, run_from_proto
from flwr.proto.runtime_pb2 import AcquireTaskRequest, PullTaskInputRequest, PushTaskOutputRequest
from flwr.serverapp import ServerApp
from flwr.supercore.constant import TaskType
from flwr.supercore.heartbeat import HeartbeatSender, make_task_heartbeat_fn_http
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.grid.http_grid import HttpGrid
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output

logger = logging.getLogger(__name__)
POLL = 0.3
ACQUIRE = frozenset({"/flwr.proto.Runtime/AcquireTask"})


def answer_messages(address: str, secret: bytes, app: ClientApp) -> None:
    """Answer every message that a SuperNode gets, for good; a failure of the transport ends the process.

    Parameters
    ----------
    address : str
        host:port of the SuperNode's own interface, on this machine.
    secret : bytes
        What the SuperNode was started with.
    app : ClientApp
        Answers all messages, of whatever run.
    """
    try:
        client = _client(address, None, SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods=ACQUIRE))
        while True:
            if token := _acquired(client, TaskType.CLIENT_APP):
                _answer(address, token, app)
            else:
                time.sleep(POLL)
    except BaseException:
        # A SuperNode waits for ever for a reply that doesn't come; a new process begins with nothing to wait for.
        logger.exception("This site can't answer.")
        os._exit(1)


def run_server_app(address: str, certificates: Path, secret: bytes, app: ServerApp, run_id: int) -> None:
    """Take one run's task from a SuperLink, and do it.

    Parameters
    ----------
    address : str
        host:port of the SuperLink.
    certificates : Path
        Of the authority that vouches for it.
    secret : bytes
        What the SuperLink was started with.
    app : ServerApp
        Does the task.
    run_id : int
        The run; tasks of other runs, which somebody else has started, are taken and left.
    """
    root = certificates.read_bytes()
    client = _client(address, root, SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods=ACQUIRE))
    while True:
        if not (token := _acquired(client, TaskType.SERVER_APP)):
            time.sleep(POLL)
            continue
        grid = HttpGrid(address, root_certificates=root, token=token)
        runtime = _client(address, root, RuntimeTokenHttpInterceptor(token))
        task = runtime.PullTaskInput(PullTaskInputRequest())
        if task.run.run_id == run_id:
            break
        runtime.PushTaskOutput(PushTaskOutputRequest(sub_status=SubStatus.FAILED, details="Not this program's run."))
    context = context_from_proto(task.context)
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = task.task_id, run_id, context.node_id
    grid.set_run(run_from_proto(task.run))
    outcome, details = SubStatus.FAILED, "The federation ended before its last round."
    with _heartbeats(runtime):
        try:
            app(grid, context)
            outcome, details = SubStatus.COMPLETED, ""
        except ValueError as error:
            details = str(error)
            raise
        finally:
            with suppress(httpx.HTTPError):
                runtime.PushTaskOutput(PushTaskOutputRequest(sub_status=outcome, details=details))
            grid.close()


def _answer(address: str, token: str, app: ClientApp) -> None:
    client = _client(address, None, RuntimeTokenHttpInterceptor(token))
    with _heartbeats(client):
        message, context, _, _ = pull_task_input(client)
        push_message(client, app(message, context), context)
        push_task_output(client, context, SubStatus.COMPLETED, "")
    client.close()


@contextmanager
def _heartbeats(client: RuntimeHttpClient) -> Iterator[None]:
    sender = HeartbeatSender(make_task_heartbeat_fn_http(client))
    sender.start()
    try:
        yield
    finally:
        if sender.is_running:
            sender.stop()


def _acquired(client: RuntimeHttpClient, kind: TaskType) -> str | None:
    try:
        response = client.AcquireTask(AcquireTaskRequest(supported_task_types=[kind]))
    except httpx.TransportError:
        # Whoever hands tasks out is still at its start, or at its end.
        return None
    return response.token if response.HasField("task") and response.token else None


def _client(address: str, root: bytes | None, interceptor: Any) -> RuntimeHttpClient:
    return RuntimeHttpClient.from_server_address(
        server_address=address,
        insecure=root is None,
        root_certificates=root,
        interceptors=[RuntimeVersionHttpInterceptor(component_name="flwr"), interceptor],
    )
