import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.bundles import BundleError, classifier_sha256
from core.encryption import EncryptedPrediction, Server, default_preset, head_of
from core.evaluation.encrypted import (
    FILE,
    Summary,
    ask_steps,
    read_encryption,
    sample_tokens,
    shares,
    summary,
    tokens_of,
)
from core.federation.configurations import MEASURES
from core.federation.tokens import token_classifiers
from core.models.vit import class_tokens


def prediction(plain, encrypted, server=0.002):
    plain, encrypted = np.array(plain), np.array(encrypted)
    error, labels = np.abs(plain - encrypted).max(), (int(plain.argmax()), int(encrypted.argmax()))
    seconds = {"keygen": 0.0, "encrypt": 0.001, "server": server, "decrypt": 0.001}
    return EncryptedPrediction(plain, encrypted, error, *labels, 31.0, 62.0, 0.02, seconds)


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.stop()


def test_tokens_come_from_classifiers_that_have_them(cells):
    assert token_classifiers(cells) == ("vit",)
    pixels = np.random.default_rng(0).random((3, 3, cells.resolution, cells.resolution), dtype=np.float32)
    tokens = tokens_of(cells, "vit", pixels)
    assert tokens.shape == (3, 768) and tokens.dtype == np.float64
    singly = class_tokens(cells.classifiers["vit"], torch.from_numpy(pixels), batch=1)
    assert np.allclose(tokens, singly, atol=1e-5)
    with pytest.raises(ValueError, match="brings no sample scans"):
        sample_tokens(cells, "vit")


def test_every_token_is_asked_about_with_one_set_of_keys(cells, server):
    head, tokens = head_of(cells.classifiers["vit"], "linear"), np.random.default_rng(0).normal(size=(2, 768)) * 0.9
    found = list(ask_steps(tokens, head, default_preset(head.shape), server))
    assert [np.allclose(one.encrypted_logits, head.logits(token), atol=1e-3) for one, token in zip(found, tokens)]
    assert [one.seconds["keygen"] for one in found] == [0, 0] and server.health()["sessions"] == 0


def test_a_summary_counts_what_changed_and_what_could_have():
    found = [
        prediction([1.0, 0.0], [1.0, 0.0001]),
        prediction([0.0, 1.0], [0.0, 1.0], server=0.004),
        prediction([0.5, 0.5002], [0.5001, 0.5]),  # too close to tell apart, and changed
        prediction([0.0, 2.0], [3.0, 2.0], server=0.006),  # clear, and changed all the same
    ]
    result = summary(found, np.array([0, 1, 1, 1]), ["a", "b", "c", "d"])
    assert (result.n, result.clear, result.same, result.same_clear) == (4, 3, 2, 2)
    assert result.max_error == 3.0 and result.server_ms == pytest.approx(3.0)
    assert result.plain["accuracy"].value == 1 and result.encrypted["accuracy"].value == 0.5


def test_shares_sum_to_one_and_large_logits_do_not_overflow():
    assert np.allclose(shares(np.array([1000.0, 1000.0])), [0.5, 0.5])
    assert shares(np.array([0.0, np.log(3)])) == pytest.approx([0.25, 0.75])


def test_a_record_is_read_with_the_weights_it_was_made_with_only(cells, monkeypatch, tmp_path):
    found = summary([prediction([1.0, 0.0], [1.0, 0.0])], np.array([0]), ["a"])
    head = found._asdict() | {
        name: {key: list(value) for key, value in getattr(found, name).items()} for name in ("plain", "encrypted")
    }
    today = classifier_sha256(cells, "vit")
    entry = {
        "made_with": today,
        "command": "c",
        "n": 1,
        "seed": 0,
        "heads": [{"head": "linear", "preset": "linear"} | head],
    }
    entry |= {"configurations": {"central": dict.fromkeys(MEASURES, [1, 1, 1])}, "timing": [], "communication": {}}
    folder = tmp_path / cells.name
    folder.mkdir()
    cells = replace(cells, folder=folder)
    assert read_encryption(cells, "vit") is None
    (folder / FILE).write_text(json.dumps({"vit": entry}))
    record = read_encryption(cells, "vit")
    assert isinstance(record.heads["linear", "linear"], Summary) and record.heads["linear", "linear"] == found
    (folder / FILE).write_text(json.dumps({"vit": entry | {"made_with": "other"}}))
    assert read_encryption(cells, "vit") is None
    (folder / FILE).write_text("{")
    with pytest.raises(BundleError, match="run training.measure.encrypted again"):
        read_encryption(cells, "vit")
