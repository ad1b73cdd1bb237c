"""The real server process: what it answers, what it refuses, and what it survives."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import tenseal
import tenseal.sealapi as seal

from core.encryption import Client, Server, ServiceError, encrypted_mean, encrypted_steps, open_visit
from core.encryption import server as front
from core.encryption.heads import head_digest
from core.encryption.parameters import PRESETS
from core.encryption.sealed import context_of, to_bytes
from core.encryption.timing import example_head, example_token
from core.encryption.wire import LIMITS, NONCE_HEADER, TAG_HEADER, pack, tag

ROOT = Path(__file__).resolve().parents[2]
LINEAR, FAST = PRESETS["linear"], PRESETS["polynomial-fast"]
SECRET = "carries a secret key, which a server must never have; nothing of it was kept"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def heads():
    random = np.random.default_rng(0)
    return {kind: example_head(kind, random) for kind in ("linear", "polynomial")}


@pytest.fixture
def visit(server, heads):
    with open_visit(LINEAR, heads["linear"], server) as visit:
        yield visit


def token() -> np.ndarray:
    return example_token(np.random.default_rng(7))


def raw(server: Server, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None):
    """Status and JSON (or bytes) of a request that no client of ours would make."""
    server.health()
    connection = HTTPConnection(urlsplit(server._address).netloc, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    is_json = response.headers["Content-Type"] == "application/json"
    return response.status, json.loads(answer) if is_json else answer


def refused(server: Server, *request) -> tuple[int, str]:
    """Status and sentence of a refusal."""
    status, answer = raw(server, *request)
    assert set(answer) == {"error"} and answer["error"].endswith(".") and "\n" not in answer["error"]
    return status, answer["error"]


def sealed(visit, path: str, body: bytes, key: bytes | None = None):
    """A request with its tag, by a session's token or another."""
    headers = {NONCE_HEADER: "n", TAG_HEADER: tag(key or visit.session._token, "request", path, "n", body)}
    return "POST", path, body, headers


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    """A bare connection."""
    parts = urlsplit(server._address)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        yield connection


@pytest.mark.parametrize(
    "kind, preset", [("linear", LINEAR), ("polynomial", FAST), ("polynomial", PRESETS["polynomial"])]
)
def test_encrypted_logits_are_the_plain_ones(server, heads, kind, preset):
    steps = list(encrypted_steps(token(), heads[kind], preset, server))
    assert [step.stage for step in steps] == ["keygen", "encrypt", "server", "decrypt"]
    found = steps[-1].prediction
    assert found.plain_logits == pytest.approx(heads[kind].logits(token()), abs=1e-12)
    assert found.max_error == np.abs(found.encrypted_logits - found.plain_logits).max() <= preset.precision
    assert found.label_encrypted == found.label_plain
    assert found.upload_kb == len(steps[2].sent) / 1000 <= (120 if kind == "linear" else 160)
    assert found.download_kb == len(steps[2].received) / 1000 and found.keys_kb == len(steps[0].sent) / 1000
    assert set(found.seconds) == {"keygen", "encrypt", "server", "decrypt"} and found.seconds["server"] > 0


def test_keys_that_are_there_are_not_made_again(server, heads, visit):
    steps = list(encrypted_steps(token(), heads["linear"], LINEAR, server, visit))
    assert steps[0].seconds == 0 and steps[0].bytes_up == 0 and steps[-1].prediction.keys_kb > 0


def test_a_preset_that_cant_carry_the_head_is_refused_before_anything_crosses(heads):
    nobody = Server("http://127.0.0.1:9")
    with pytest.raises(ValueError, match="multiplicative depth of 1"):
        next(encrypted_steps(token(), heads["polynomial"], LINEAR, nobody))


def test_a_context_with_a_secret_key_is_refused(server):
    generator = seal.KeyGenerator(context_of("polynomial-fast"))
    secret = to_bytes(generator.secret_key())
    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 4096, coeff_mod_bit_sizes=[39, 31, 39])
    for body in (
        pack([("preset", b"polynomial-fast"), ("secret_key", secret)]),
        pack([("preset", b"polynomial-fast"), ("3", secret)]),  # where a rotation key should be
        context.serialize(save_secret_key=True),
    ):
        status, sentence = refused(server, "POST", "/sessions", body)
        assert status == 400 and SECRET in sentence
    public = context.serialize(save_secret_key=False)
    assert SECRET not in refused(server, "POST", "/sessions", public)[1]


def test_a_secret_key_hidden_behind_a_rotation_key_is_refused(server):
    generator = seal.KeyGenerator(context_of("polynomial-fast"))
    key = to_bytes(generator.create_galois_keys([3])) + to_bytes(generator.secret_key())
    status, sentence = refused(server, "POST", "/sessions", pack([("preset", b"polynomial-fast"), ("3", key)]))
    assert status == 400 and "no rotation key" in sentence


@pytest.mark.parametrize(
    "body, reason",
    [
        (b"", "holds no parts"),
        (b"garbage" * 100, "holds no parts"),
        (pack([]), "no encryption preset named ''"),
        (pack([("preset", b"tiny")]), "no encryption preset named 'tiny'"),
        (pack([("preset", b"polynomial")])[:-2], "holds no parts"),
        (pack([("preset", b"polynomial-fast"), ("5", b"key")]), "has no use for"),
        (pack([("preset", b"polynomial-fast"), ("3", b"key")]), "no rotation key"),
        (pack([("preset", b"linear"), ("3", b"key")]), "has no use for"),
    ],
)
def test_what_is_no_context_is_refused_in_one_sentence(server, body, reason):
    status, sentence = refused(server, "POST", "/sessions", body)
    assert status == 400 and reason in sentence


def test_a_changed_or_cut_ciphertext_is_refused(server, heads, visit):
    question = visit.client.encrypt(token())
    visit.session.predict(heads["linear"], question)
    path = f"/sessions/{visit.session._name}/predict/{head_digest(heads['linear'].to_bytes())}"
    method, path, _, headers = sealed(visit, path, question)
    changed = question[:5000] + bytes([question[5000] ^ 1]) + question[5001:]
    for body in (changed, question[:-1], question + b"x", b""):
        status, sentence = refused(server, method, path, body, headers)
        assert status == 403 and "its tag doesn't fit" in sentence
    for body in (question[:-1], question + b"x", b"", bytes(500), np.random.default_rng(0).bytes(30_000)):
        status, sentence = refused(server, *sealed(visit, path, body))
        assert status == 400 and "hold no ciphertext" in sentence


def test_a_ciphertext_of_another_session_is_refused(server, heads, visit):
    with open_visit(LINEAR, heads["linear"], server) as other:
        question = other.client.encrypt(token())
        path = f"/sessions/{visit.session._name}/predict/{head_digest(heads['linear'].to_bytes())}"
        status, sentence = refused(server, *sealed(visit, path, question, other.session._token))
        assert status == 403 and "its tag doesn't fit" in sentence


def test_a_ciphertext_under_another_key_gives_the_client_one_sentence(server, heads, visit):
    with Client(LINEAR, heads["linear"].shape) as stranger:
        answer = visit.session.predict(heads["linear"], stranger.encrypt(token()))
    with pytest.raises(ValueError, match="^The answer can't be read: it was not made for this key"):
        visit.client.decrypt(answer.body)


def test_a_changed_ciphertext_with_a_tag_of_its_own_is_refused_by_the_server_or_the_client(server, heads, visit):
    question, expected = visit.client.encrypt(token()), heads["linear"].logits(token())
    for place in np.linspace(20, len(question) - 1, 12).astype(int):
        changed = question[:place] + bytes([question[place] ^ 4]) + question[place + 1 :]
        try:
            logits = visit.client.decrypt(visit.session.predict(heads["linear"], changed).body)
        except ValueError as error:
            assert str(error).endswith(".") and "\n" not in str(error)
        else:
            assert logits == pytest.approx(expected, abs=LINEAR.precision)


def test_changed_rotation_keys_are_refused_by_the_server_or_the_client(server, heads):
    with Client(FAST, heads["polynomial"].shape) as client:
        context = client.context_bytes()
        for place in np.linspace(60, len(context) - 1, 6).astype(int):
            client._context = context[:place] + bytes([context[place] ^ 32]) + context[place + 1 :]
            with pytest.raises(ValueError, match="no rotation key|no use for|no parts|can't be read"):
                with server.open(client) as session:
                    client.decrypt(session.predict(heads["polynomial"], client.encrypt(token())).body)
    assert server.health()["alive"]


def test_a_ciphertext_of_another_preset_is_refused(server, heads, visit):
    with Client(FAST, heads["linear"].shape) as other, pytest.raises(ServiceError, match="no ciphertext of the preset"):
        visit.session.predict(heads["linear"], other.encrypt(token()))


def test_a_head_is_named_by_its_hash_and_asked_for_where_missing(server, heads, visit):
    assert raw(server, "POST", "/heads", heads["linear"].to_bytes())[1] == {
        "head": head_digest(heads["linear"].to_bytes())
    }
    assert "hold no head" in refused(server, "POST", "/heads", b"no head")[1]
    question = visit.client.encrypt(token())
    path = f"/sessions/{visit.session._name}/predict/{'0' * 64}"
    assert refused(server, *sealed(visit, path, question))[0] == 409


def test_keys_of_a_linear_head_answer_no_polynomial_one(server, heads):
    with open_visit(FAST, heads["linear"], server) as visit, pytest.raises(ServiceError, match="no rotation key"):
        visit.session.predict(heads["polynomial"], visit.client.encrypt(token()))


@pytest.mark.parametrize(
    "path, limit", [("/sessions", "sessions"), ("/heads", "heads"), ("/sessions/x/predict/y", "predict")]
)
def test_a_body_too_long_is_refused_before_it_is_read(server, path, limit):
    server.health()
    with connected(server) as connection:
        connection.sendall(f"POST {path} HTTP/1.0\r\nContent-Length: {LIMITS[limit] + 1}\r\n\r\n".encode())
        answer = connection.makefile("rb").read()
    assert b" 413 " in answer.splitlines()[0] and f"{LIMITS[limit]} bytes at most".encode() in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01garbage\r\n\r\n",
        b"GET\r\n\r\n",
        b"BREW /sessions HTTP/1.0\r\n\r\n",
        b"POST /sessions HTTP/9\r\n\r\n",
    ],
)
def test_garbage_is_answered_in_one_sentence(server, request_bytes):
    server.health()
    with connected(server) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert b'{"error": "This is no request' in answer
    assert server.health()["alive"]


@pytest.mark.parametrize(
    "method, path", [("GET", "/"), ("GET", "/sessions"), ("POST", "/"), ("POST", "/sessions/x"), ("DELETE", "/heads")]
)
def test_other_paths_hold_nothing(server, method, path):
    assert refused(server, method, path) == (404, "There is nothing at this path.")


@pytest.mark.parametrize("length", ["-1", "many", "9" * 30, "1e3"])
def test_a_length_that_is_none_is_refused(server, length):
    assert refused(server, "POST", "/heads", b"x", {"Content-Length": length})[0] == 413


def test_clients_that_vanish_are_survived(server, visit, heads):
    server.health()
    for _ in range(20):
        with connected(server) as connection:
            connection.sendall(b"POST /sessions HTTP/1.0\r\nContent-Length: 100000\r\n\r\nonly so much")
        with connected(server) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")  # and doesn't wait for the answer
    assert visit.session.predict(heads["linear"], visit.client.encrypt(token())).body


def test_a_body_that_ends_early_is_refused(server):
    server.health()
    with connected(server) as connection:
        connection.sendall(b"POST /heads HTTP/1.0\r\nContent-Length: 100\r\n\r\nshort")
        connection.shutdown(socket.SHUT_WR)
        assert b"shorter than the request states" in connection.makefile("rb").read()


def test_a_closed_session_is_gone_and_opens_anew_for_its_client(server, heads, visit):
    name, before = visit.session._name, server.health()["sessions"]
    visit.session.close()
    assert server.health()["sessions"] == before - 1
    assert refused(server, *sealed(visit, f"/sessions/{name}/mean", b""))[0] == 404
    assert visit.session.predict(heads["linear"], visit.client.encrypt(token())).body
    assert visit.session._name != name


def test_only_so_many_sessions_are_kept(server, heads, visit):
    with Client(LINEAR, heads["linear"].shape) as client:
        others = [server.open(client) for _ in range(front.MOST_SESSIONS)]
        assert server.health()["sessions"] == front.MOST_SESSIONS
        assert refused(server, *sealed(visit, f"/sessions/{visit.session._name}/mean", b""))[0] == 404
        for other in others:
            other.close()


def test_another_client_is_served_while_one_is_worked_on(server, heads, visit):
    with open_visit(LINEAR, heads["linear"], server) as other:
        # The two have a worker each. Whose it is shows by stopping one, as a long computation would.
        first, second = server.health()["workers"]
        answered = []
        for worker in (first, second):
            os.kill(worker, signal.SIGSTOP)
            waiting = _asked_in_background(visit, heads), _asked_in_background(other, heads)
            served = next(thread for thread in _ended_first(waiting))
            os.kill(worker, signal.SIGCONT)
            for thread in waiting:
                thread.join(timeout=30)
            answered.append(waiting.index(served))
        assert sorted(answered) == [0, 1]


def _asked_in_background(visit, heads):
    import threading

    question = visit.client.encrypt(token())
    thread = threading.Thread(target=visit.session.predict, args=(heads["linear"], question))
    thread.start()
    return thread


def _ended_first(threads):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        yield from (thread for thread in threads if not thread.is_alive())
        time.sleep(0.01)
    raise AssertionError("Nobody was served while one worker was busy.")


def test_a_worker_that_dies_is_started_again(server, heads, visit):
    for worker in server.health()["workers"]:
        os.kill(worker, signal.SIGKILL)
    token_logits = heads["linear"].logits(token())
    answer = visit.session.predict(heads["linear"], visit.client.encrypt(token()))
    assert visit.client.decrypt(answer.body) == pytest.approx(token_logits, abs=LINEAR.precision)


def test_a_server_that_dies_is_started_again(heads):
    server = Server()
    try:
        with open_visit(LINEAR, heads["linear"], server) as visit:
            before = server.pid
            os.kill(before, signal.SIGKILL)
            answer = visit.session.predict(heads["linear"], visit.client.encrypt(token()))
            assert server.pid not in (None, before) and visit.client.decrypt(answer.body).shape == (3,)
    finally:
        server.stop()
    assert server.pid is None


PARENT = """
import os, sys, time
from core.encryption import Server
server = Server()
print(server.health()["workers"], server.pid, flush=True)
time.sleep(60)
"""


def test_the_server_and_its_workers_end_with_a_parent_that_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        numbers = [int(number) for number in parent.stdout.readline().translate(str.maketrans("[],", "   ")).split()]
        assert len(numbers) == 3 and all(_runs(number) for number in numbers)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    end = time.monotonic() + 20
    while any(_runs(number) for number in numbers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(_runs(number) for number in numbers)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_given_server_is_asked_and_left_running(server, heads):
    server.health()
    given = Server(server._address)
    assert list(encrypted_steps(token(), heads["linear"], LINEAR, given))[-1].prediction
    given.stop()
    assert server.health()["alive"]


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:80", "ftp://host", "http://", "http://host:port", "http://host/path"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ServiceError, match="is no address of a server"):
        Server(address)


def test_a_server_that_isnt_there_is_said_in_one_sentence():
    with pytest.raises(ServiceError, match="^The encryption server at http://127.0.0.1:9 doesn't answer; .*\\.$"):
        Server("http://127.0.0.1:9").health()


def test_an_answer_that_was_changed_on_its_way_is_not_shown(server, heads, visit, monkeypatch):
    honest = server.exchange

    def tampering(*request, **more):
        answer, headers = honest(*request, **more)
        return answer[:-1] + bytes([answer[-1] ^ 1]), headers

    monkeypatch.setattr(server, "exchange", tampering)
    with pytest.raises(ServiceError, match="^The answer can't be read"):
        visit.session.predict(heads["linear"], visit.client.encrypt(token()))


@pytest.mark.parametrize("length", [1, 768, 5000])
def test_the_encrypted_mean_is_the_mean(server, length):
    random = np.random.default_rng(length)
    vectors = [random.normal(size=length) for _ in range(3)]
    found = encrypted_mean(vectors, server)
    assert found.mean == pytest.approx(np.mean(vectors, axis=0), abs=PRESETS["sum"].precision)
    assert found.max_error <= PRESETS["sum"].precision and found.plain_kb == 4 * length / 1000
    assert 0 < found.upload_kb < found.download_kb


def test_vectors_of_different_lengths_have_no_mean(server):
    with pytest.raises(ValueError, match="different lengths"):
        encrypted_mean([np.zeros(3), np.zeros(4)], server)
    with pytest.raises(ValueError, match="1 to 8 clients' vectors, not of 9"):
        encrypted_mean([np.zeros(3)] * 9, server)
    with Client(PRESETS["sum"]) as client, server.open(client) as session:
        with pytest.raises(ServiceError, match="Nothing has been sent yet"):
            session.mean()
        session.contribute(client.encrypt_vector(np.zeros(3)))
        with pytest.raises(ServiceError, match="not as long as those before"):
            session.contribute(client.encrypt_vector(np.zeros(3000)))
        with pytest.raises(ServiceError, match="1 to 1000 ciphertexts, not 0"):
            session.contribute([])


def test_idle_sessions_are_dropped(heads, monkeypatch):
    service = front.Service(workers=1)
    with Client(LINEAR, heads["linear"].shape) as client:
        name, _ = service.open(client.context_bytes())
        service.sweep()
        assert service.health()["sessions"] == 1 and service.token(name)
        monkeypatch.setattr(front, "IDLE_SECONDS", -1)
        service.sweep()
    assert service.health()["sessions"] == 0
    with pytest.raises(front.Refusal, match="This session is gone"):
        service.token(name)
    service.stop()


def test_the_server_needs_no_torch():
    code = "import sys; import core.encryption.server; print('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "False"
