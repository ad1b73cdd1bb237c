"""Each recipe on eight tiny steps' worth of data: it runs, resumes where it stopped, and writes weights and a card."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file

from training import classifier, mae, unet

COMPONENTS = {"classifier": (classifier, "resnet18"), "mae": (mae, "mae"), "unet": (unet, "diffusion_pytorch_model")}


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_recipe_resumes_and_writes_its_card(component, data, run, tmp_path):
    module, name = COMPONENTS[component]
    out = tmp_path / "out"
    words = ["--data", data, "--out", out, "--batch", 2]
    run(module, *words, "--steps", 1)
    first = load_file(out / "checkpoint.safetensors")
    run(module, *words, "--steps", 2)
    with safe_open(out / "checkpoint.safetensors", "pt") as file:
        assert file.metadata()["step"] == "2"
    second = load_file(out / "checkpoint.safetensors")
    assert any(not np.array_equal(first[key], second[key]) for key in first)
    card = json.loads((out / f"{name}.json").read_text())
    assert {"command", "split", "seed", "commit", "minutes", "metrics", "started_from"} <= set(card)
    assert card["steps"] == 2
    assert str(load_file(out / f"{name}.safetensors").popitem()[1].dtype) == "torch.float16"
