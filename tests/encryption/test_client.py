"""What the holder of the key makes of answers: rounded logits, or one sentence."""

import os
import tempfile

import numpy as np
import pytest
import tenseal.sealapi as seal

from core.encryption.client import ZERO_PADDING, Client, chunk_size
from core.encryption.heads import Head
from core.encryption.packed import PackedHead
from core.encryption.parameters import PRESETS
from core.encryption.serialization import (
    context_of,
    fresh_ciphertext_from,
    is_secret_key,
    rotation_key_from,
    to_bytes,
)
from core.encryption.timing import example_head, example_token
from core.encryption.wire import unpack

LINEAR, FAST = PRESETS["linear"], PRESETS["polynomial-fast"]


@pytest.fixture(scope="module")
def random():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def head(random):
    return example_head("linear", random)


@pytest.fixture
def client(head):
    with Client(LINEAR, head.shape) as client:
        yield client


def answered(client: Client, head: Head, ciphertext: bytes) -> bytes:
    """Return what an honest server answers to an encrypted token."""
    (_, name), *keys = unpack(client.context_bytes())
    preset = PRESETS[name.decode()]
    held = {int(element): rotation_key_from(preset, data, int(element)) for element, data in keys}
    return to_bytes(PackedHead(preset, head).answer(fresh_ciphertext_from(preset, ciphertext), held))


def test_logits_come_back_rounded_to_the_step(client, head, random):
    token = example_token(random)
    logits = client.decrypt(answered(client, head, client.encrypt(token)))
    assert logits == pytest.approx(head.logits(token), abs=LINEAR.step / 2 + 1e-4)
    assert (logits / LINEAR.step == np.round(logits / LINEAR.step)).all()


@pytest.mark.parametrize("kind, preset", [("linear", LINEAR), ("polynomial", FAST)])
def test_an_answer_under_another_key_is_refused(kind, preset, random):
    head, token = example_head(kind, random), example_token(random)
    with Client(preset, head.shape) as mine, Client(preset, head.shape) as theirs:
        foreign = answered(theirs, head, theirs.encrypt(token))
        mixed = answered(mine, head, theirs.encrypt(token))
        for answer in (foreign, mixed):
            with pytest.raises(ValueError, match="^The answer can't be read: it was not made for this key"):
                mine.decrypt(answer)


def test_a_flipped_bit_anywhere_is_seen(client, head, random):
    answer = answered(client, head, client.encrypt(example_token(random)))
    for place in np.linspace(0, len(answer) - 1, 40).astype(int):
        changed = bytearray(answer)
        changed[place] ^= 0x10
        try:
            logits = client.decrypt(bytes(changed))
        except ValueError as error:
            assert str(error).endswith(".") and "\n" not in str(error)
        else:
            # Bytes that SEAL reserves mean nothing: the answer is as it was.
            assert logits == pytest.approx(client.decrypt(answer))


@pytest.mark.parametrize("kept", [0, 1, 15, 16, 100, 50_000])
def test_a_cut_answer_is_refused_in_one_sentence(client, head, random, kept):
    answer = answered(client, head, client.encrypt(example_token(random)))
    with pytest.raises(ValueError, match="hold no ciphertext of the preset linear"):
        client.decrypt(answer[:kept])


def test_bytes_behind_a_ciphertext_are_refused(client, head, random):
    answer = answered(client, head, client.encrypt(example_token(random)))
    with pytest.raises(ValueError, match="hold no ciphertext"):
        client.decrypt(answer + b"more")


def test_logits_beyond_the_range_are_refused(random):
    hidden, output = np.zeros((1, 768)), np.array([[100.0], [1.0]])
    hidden[0, 0] = 1
    head, token = Head("polynomial", (hidden, np.zeros(1), output, np.zeros(2))), np.zeros(768)
    token[0] = 1.2  # 100 · 1.2² = 144: more than ± 64 holds, and less than ± 256
    with Client(FAST, head.shape) as client, pytest.raises(ValueError, match="larger than an answer .* holds"):
        client.decrypt(answered(client, head, client.encrypt(token)))
    with Client(PRESETS["polynomial"], head.shape) as client:
        logits = client.decrypt(answered(client, head, client.encrypt(token)))
        assert logits == pytest.approx([144, 1.44], abs=1e-2)


def test_the_context_never_carries_the_secret_key(client, head, random):
    shape = example_head("polynomial", random).shape
    with Client(FAST, shape) as deep:
        for context in (client.context_bytes(), deep.context_bytes()):
            (name, preset), *keys = unpack(context)
            assert name == "preset" and all(part.isdecimal() for part, _ in keys)
            assert not any(is_secret_key(PRESETS[preset.decode()], data) for _, data in keys)


def test_a_secret_key_is_known_for_one():
    generator = seal.KeyGenerator(context_of("linear"))
    assert is_secret_key(LINEAR, to_bytes(generator.secret_key()))


def test_a_system_without_files_in_memory_leaves_none_behind(client, tmp_path, monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ciphertext = fresh_ciphertext_from(LINEAR, client.encrypt(np.zeros(768)))
    assert ciphertext.size() == 2 and not list(tmp_path.iterdir())


def test_closed_keys_are_gone(head, random):
    client = Client(LINEAR, head.shape)
    answer = answered(client, head, client.encrypt(example_token(random)))
    client.close()
    for use in (client.context_bytes, lambda: client.encrypt(np.zeros(768)), lambda: client.decrypt(answer)):
        with pytest.raises(ValueError, match="^These keys have been dropped; make new ones.$"):
            use()


def test_the_same_token_never_looks_the_same(client, random):
    token = example_token(random)
    first, second = (np.frombuffer(client.encrypt(token)[100:20_000], np.uint8) for _ in range(2))
    assert (first == second).mean() < 0.05


def test_keys_that_only_add_serve_no_token():
    with Client(PRESETS["sum"]) as client:
        for use in (lambda: client.encrypt(np.zeros(768)), lambda: client.decrypt(b"")):
            with pytest.raises(ValueError, match="only add"):
                use()


def test_vectors_are_cut_into_chunks(random):
    size = chunk_size(PRESETS["sum"])
    assert size == 2048 - ZERO_PADDING
    with Client(PRESETS["sum"]) as client:
        for length, count in ((1, 1), (size, 1), (size + 1, 2)):
            vector = random.normal(size=length)
            chunks = client.encrypt_vector(vector)
            assert len(chunks) == count
            assert client.decrypt_mean(chunks, length, 1) == pytest.approx(vector, abs=1e-6)
        with pytest.raises(ValueError, match="not as long as the vectors"):
            client.decrypt_mean(chunks, size, 1)


@pytest.mark.parametrize(
    "vector, reason",
    [
        (np.zeros((2, 3)), "row of finite numbers"),
        (np.zeros(0), "row of finite numbers"),
        (np.array([np.nan]), "row of finite numbers"),
        (np.array([17.0]), "within ± 16; scale"),
        (np.zeros(2_000_000), "may have 1984000 numbers"),
    ],
)
def test_what_cant_be_added_up_is_refused(vector, reason):
    with Client(PRESETS["sum"]) as client, pytest.raises(ValueError, match=reason):
        client.encrypt_vector(vector)
