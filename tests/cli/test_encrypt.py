"""What `python -m core encrypt` prints."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from core.cli import main
from core.cli.schema import checked

GOLDEN = json.loads((Path(__file__).parent / "golden" / "encrypt.json").read_text())


class TokenNetwork(nn.Module):
    """The least that has a token and both heads: a fixed random projection of a shrunk scan, and small random heads."""

    def __init__(self, classes: int):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("projection", torch.randn(768, 64, generator=generator))
        self.linear = _layer(768, classes, 0.2, generator)
        self.polynomial = nn.Module()
        self.polynomial.hidden = _layer(768, 64, 768**-0.5, generator)
        self.polynomial.output = _layer(64, classes, 0.3, generator)

    def token(self, pixels):
        shrunk = nn.functional.adaptive_avg_pool2d(pixels, 8).flatten(1)
        return nn.functional.layer_norm(shrunk @ self.projection.T, (768,))

    def forward(self, pixels):
        return self.linear(self.token(pixels))


def _layer(inputs, outputs, spread, generator):
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    for weights in layer.parameters():
        weights.data = spread * torch.randn(weights.shape, generator=generator)
    return layer.requires_grad_(False)


@pytest.fixture
def with_vit(bundle, monkeypatch):
    network = TokenNetwork(len(bundle.classes)).eval()
    enlarged = replace(bundle, classifiers={**bundle.classifiers, "vit": network})
    monkeypatch.setattr("core.cli.options.load_bundle", lambda *_: enlarged)


def answer(capsys, *words):
    status = main(["encrypt", *map(str, words), "--json"])
    printed = capsys.readouterr()
    return status, json.loads(printed.out), printed.err


@pytest.mark.parametrize("head, preset", [("linear", None), ("polynomial", "polynomial-fast")])
def test_a_scan_is_answered_as_in_the_clear(capsys, with_vit, sample_files, head, preset):
    words = [sample_files[0], "--head", head, *(["--preset", preset] if preset else [])]
    status, record, complaint = answer(capsys, *words)
    assert status == 0 and not complaint
    assert set(checked("encrypt", record)) == set(GOLDEN)
    assert (record["head"], record["preset"], record["classifier"]) == (head, preset or "linear", "vit")
    assert record["label_encrypted"] == record["label_plain"]
    assert record["max_error"] <= (1e-3 if head == "linear" else 1e-2)
    difference = max(abs(a - b) for a, b in zip(record["plain_logits"], record["encrypted_logits"]))
    assert record["max_error"] == pytest.approx(difference)


def test_a_person_reads_what_crossed(capsys, with_vit, sample_files):
    assert main(["encrypt", str(sample_files[0])]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and "KB up" in lines[2] and lines[3].startswith("keygen ")


@pytest.mark.parametrize(
    "words, reason",
    [
        (["--head", "cubic"], "no head named 'cubic'"),
        (["--preset", "tiny"], "no encryption preset named 'tiny'"),
        (["--head", "polynomial", "--preset", "linear"], "multiplicative depth of 1"),
        (["--classifier", "resnet18"], "has no linear head on a token of 768 numbers"),
        (["--policy", "hardened"], "has no linear head on a token of 768 numbers"),
        (["--classifier", "vgg"], "no classifier named 'vgg'"),
        (["--address", "nowhere"], "no address of a server"),
        (["--address", "http://127.0.0.1:9"], "doesn't answer"),
    ],
)
def test_wrong_words_give_one_sentence_and_status_2(capsys, with_vit, sample_files, words, reason):
    assert main(["encrypt", str(sample_files[0]), *words]) == 2
    complaint = capsys.readouterr().err.strip()
    assert reason in complaint and "\n" not in complaint and complaint.endswith(".")
