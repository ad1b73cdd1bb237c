"""What the real server process answers, and which contexts and ciphertexts it refuses."""

import numpy as np
import pytest
import tenseal
import tenseal.sealapi as seal

from core.encryption import Client, Server, ServiceError, encrypted_steps, open_session
from core.encryption.heads import head_digest
from core.encryption.parameters import PRESETS
from core.encryption.serialization import context_of, to_bytes
from core.encryption.wire import pack
from tests.encryption.raw_requests import authenticated, raw, refused, token

LINEAR, FAST = PRESETS["linear"], PRESETS["polynomial-fast"]
SECRET = "carries a secret key, which a server must never have; nothing of it was kept"


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


def test_keys_that_are_there_are_not_made_again(server, heads, opened):
    steps = list(encrypted_steps(token(), heads["linear"], LINEAR, server, opened))
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


def test_a_changed_or_cut_ciphertext_is_refused(server, heads, opened):
    ciphertext = opened.client.encrypt(token())
    opened.session.predict(heads["linear"], ciphertext)
    path = f"/sessions/{opened.session._name}/predict/{head_digest(heads['linear'].to_bytes())}"
    method, path, _, headers = authenticated(opened, path, ciphertext)
    changed = ciphertext[:5000] + bytes([ciphertext[5000] ^ 1]) + ciphertext[5001:]
    for body in (changed, ciphertext[:-1], ciphertext + b"x", b""):
        status, sentence = refused(server, method, path, body, headers)
        assert status == 403 and "its tag doesn't fit" in sentence
    for body in (ciphertext[:-1], ciphertext + b"x", b"", bytes(500), np.random.default_rng(0).bytes(30_000)):
        status, sentence = refused(server, *authenticated(opened, path, body))
        assert status == 400 and "hold no ciphertext" in sentence


def test_a_ciphertext_of_another_session_is_refused(server, heads, opened):
    with open_session(LINEAR, heads["linear"], server) as other:
        ciphertext = other.client.encrypt(token())
        path = f"/sessions/{opened.session._name}/predict/{head_digest(heads['linear'].to_bytes())}"
        status, sentence = refused(server, *authenticated(opened, path, ciphertext, other.session._token))
        assert status == 403 and "its tag doesn't fit" in sentence


def test_a_ciphertext_under_another_key_gives_the_client_one_sentence(server, heads, opened):
    with Client(LINEAR, heads["linear"].shape) as stranger:
        answer = opened.session.predict(heads["linear"], stranger.encrypt(token()))
    with pytest.raises(ValueError, match="^The answer can't be read: it was not made for this key"):
        opened.client.decrypt(answer.body)


def test_a_changed_ciphertext_with_a_tag_of_its_own_is_refused_by_the_server_or_the_client(server, heads, opened):
    ciphertext, expected = opened.client.encrypt(token()), heads["linear"].logits(token())
    for place in np.linspace(20, len(ciphertext) - 1, 12).astype(int):
        changed = ciphertext[:place] + bytes([ciphertext[place] ^ 4]) + ciphertext[place + 1 :]
        try:
            logits = opened.client.decrypt(opened.session.predict(heads["linear"], changed).body)
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


def test_a_ciphertext_of_another_preset_is_refused(server, heads, opened):
    with Client(FAST, heads["linear"].shape) as other, pytest.raises(ServiceError, match="no ciphertext of the preset"):
        opened.session.predict(heads["linear"], other.encrypt(token()))


def test_a_head_is_named_by_its_hash_and_asked_for_where_missing(server, heads, opened):
    assert raw(server, "POST", "/heads", heads["linear"].to_bytes())[1] == {
        "head": head_digest(heads["linear"].to_bytes())
    }
    assert "hold no head" in refused(server, "POST", "/heads", b"no head")[1]
    ciphertext = opened.client.encrypt(token())
    path = f"/sessions/{opened.session._name}/predict/{'0' * 64}"
    assert refused(server, *authenticated(opened, path, ciphertext))[0] == 409


def test_keys_of_a_linear_head_answer_no_polynomial_one(server, heads):
    with open_session(FAST, heads["linear"], server) as opened, pytest.raises(ServiceError, match="no rotation key"):
        opened.session.predict(heads["polynomial"], opened.client.encrypt(token()))
