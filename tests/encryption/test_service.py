"""The client's side of the wire: which server it asks, and what it believes."""

import pytest

from core.encryption import Server, ServiceError, encrypted_steps
from core.encryption.parameters import PRESETS
from tests.encryption.raw_requests import token

LINEAR = PRESETS["linear"]


def test_a_given_server_is_asked_and_left_running(server, heads):
    server.health()
    given = Server(server.address)
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


def test_an_answer_that_was_changed_on_its_way_is_not_shown(server, heads, opened, monkeypatch):
    honest = server.exchange

    def tampering(*request, **more):
        answer, headers = honest(*request, **more)
        return answer[:-1] + bytes([answer[-1] ^ 1]), headers

    monkeypatch.setattr(server, "exchange", tampering)
    with pytest.raises(ServiceError, match="^The answer can't be read"):
        opened.session.predict(heads["linear"], opened.client.encrypt(token()))
