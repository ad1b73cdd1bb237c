"""A classifier of somebody's own: what joins, what is refused in one sentence, and how it goes again."""

import io
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.bundles import BundleError, bundle_names, file_sha256, load_bundle, own_names
from core.bundles.adding import Joined, add_classifier, remove_classifiers
from core.bundles.checking import Wanted
from core.bundles.own import VARIABLE
from core.faults.guard import Guard
from core.faults.scrubber import BundleScrubber
from tests.cells import CLASSES, NAME, SIDE
from tests.newcomers import CONVNEXT, MEAN, MOBILENET, STD, newcomer, write_weights

PIXELS = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


def added(tmp_path: Path, bundle: str = NAME, model: str = MOBILENET, **other: object) -> Joined:
    known = {"classes": CLASSES, "mean": MEAN, "std": STD, "size": SIDE, **other}
    channels = known.pop("channels", 3)
    weights = write_weights(tmp_path / f"{model}.safetensors", model, len(known["classes"]), channels)
    return add_classifier(Wanted(bundle, model, weights, **known))


def digests(folder: Path) -> dict[str, str]:
    return {str(path): file_sha256(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("model", [MOBILENET, CONVNEXT])
def test_it_answers_as_it_did_at_home_and_changes_nothing_that_came_with_purescan(
    model, cells, two_bundles, own, tmp_path
):
    before = digests(two_bundles / NAME)
    joined = added(tmp_path, model=model)
    assert (joined.new, joined.resolution, joined.channels, joined.folder) == (False, SIDE, 3, own / NAME)
    bundle = load_bundle(NAME)
    assert digests(two_bundles / NAME) == before and cells.hashes.items() < bundle.hashes.items()
    assert list(bundle.classifiers) == ["resnet18", "mamba", "vit", model] and bundle.default_classifier == "resnet18"
    with torch.no_grad():
        wanted = newcomer(model, len(CLASSES))(normalised(PIXELS))
        assert torch.allclose(bundle.classifiers[model](PIXELS), wanted, atol=1e-5)
    assert bundle.weights_file(model) == own / NAME / f"{model}.safetensors"
    assert bundle.weights_file("mamba") == two_bundles / NAME / "mamba.safetensors"
    assert bundle.lacks_for(model) == bundle.lacks and not own_names()


def test_classes_in_another_order_are_put_in_that_of_the_bundle(cells, own, tmp_path):
    added(tmp_path, classes=CLASSES[::-1])
    with torch.no_grad():
        wanted = newcomer(MOBILENET, len(CLASSES))(normalised(PIXELS)).flip(1)
        assert torch.allclose(load_bundle(NAME).classifiers[MOBILENET](PIXELS), wanted, atol=1e-5)


def test_a_network_of_another_size_resamples_by_itself_and_lets_gradients_through(cells, own, tmp_path):
    added(tmp_path, size=2 * SIDE)
    pixels = PIXELS.clone().requires_grad_()
    load_bundle(NAME).classifiers[MOBILENET](pixels).sum().backward()
    assert pixels.grad.shape == PIXELS.shape and pixels.grad.abs().sum() > 0


def test_a_new_bundle_is_of_classifiers_alone(two_bundles, own, tmp_path, monkeypatch):
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", two_bundles)
    joined = added(tmp_path, "mine", classes=("a", "b"), grey=True, modalities=("CR", "DX"))
    assert joined.new and joined.channels == 1 and joined.network_channels == 3
    assert own_names() == ("mine",) and "mine" in bundle_names()
    bundle = load_bundle("mine")
    assert (bundle.resolution, bundle.channels, bundle.classes) == (SIDE, 1, ("a", "b"))
    assert bundle.modalities == ("CR", "DX") and "mine holds no masked autoencoder" in bundle.lacks
    grey = PIXELS[:, :1]
    with torch.no_grad():
        wanted = newcomer(MOBILENET, 2)(normalised(grey.expand(-1, 3, -1, -1)))
        assert torch.allclose(bundle.classifiers[MOBILENET](grey), wanted, atol=1e-5)


def test_weights_of_one_channel_make_a_grey_bundle(own, tmp_path):
    joined = added(tmp_path, "mine", classes=("a", "b"), channels=1, mean=(0.5,), std=(0.25,))
    assert joined.channels == joined.network_channels == 1
    network, pixels = load_bundle("mine").classifiers[MOBILENET], PIXELS[:, :1]
    with torch.no_grad():
        assert torch.allclose(network(pixels), newcomer(MOBILENET, 2, 1)((pixels - 0.5) / 0.25), atol=1e-5)


def test_names_of_a_training_framework_are_understood(own, tmp_path):
    path = tmp_path / "trained.safetensors"
    save_file({f"module.{name}": value for name, value in newcomer(MOBILENET, 2).state_dict().items()}, path)
    add_classifier(Wanted("mine", MOBILENET, path, ("a", "b"), (0.5,), (0.5,), SIDE, name="ours"))
    assert list(load_bundle("mine").classifiers) == ["ours"]


def test_the_guard_repairs_it_from_its_own_file(cells, own, tmp_path):
    added(tmp_path)
    bundle = load_bundle(NAME)
    network = bundle.classifiers[MOBILENET]
    guard = Guard(network, bundle.weights_file(MOBILENET))
    before = network.mean.clone()
    network.mean += 1
    assert guard.repair(network).outcomes == {"mean": "reloaded"} and torch.equal(network.mean, before)
    assert BundleScrubber(bundle).tensors > BundleScrubber(cells).tensors


BAD = {
    "there is no such file": ({"weights": "none.safetensors"}, "There is no file"),
    "a pickle by its name": ({"weights": "net.PTH"}, "net.PTH is a pickle"),
    "a pickle by its content": ({"weights": "old.safetensors"}, "old.safetensors is a pickle"),
    "a text": ({"weights": "text.safetensors"}, "is no safetensors file"),
    "NaN": ({"weights": "nan.safetensors"}, "holds NaN or infinity"),
    "another architecture": ({"model": CONVNEXT}, f"holds no weights of {CONVNEXT}"),
    "a wider one": ({"model": "mobilenetv3_small_100"}, "name the architecture"),
    "an unknown one": ({"model": "mobilenet_v99"}, "knows no model named 'mobilenet_v99'; perhaps "),
    "one from elsewhere": ({"model": "hf-hub:timm/resnet18"}, "knows no model named"),
    "too few classes": ({"bundle": "mine", "classes": ("a", "b")}, "tell 8 classes apart, and --classes names 2"),
    "one class": ({"classes": ("a",)}, "two or more different classes"),
    "a class twice": ({"classes": ("a", "a")}, "two or more different classes"),
    "other classes": ({"classes": tuple("abcdefgh")}, f"The bundle {NAME} tells kind a, kind b"),
    "a name that is taken": ({"name": "mamba"}, "has a classifier named mamba already"),
    "the name of another network": ({"name": "mae"}, "'mae' can't name a classifier"),
    "a path for a name": ({"name": "../mine"}, "can't name a classifier"),
    "a path for a bundle": ({"bundle": "../mine"}, "'../mine' can't name a bundle"),
    "a mean for 0 to 255": ({"mean": (123.7, 116.3, 103.5)}, "divide those for 0 to 255 by 255"),
    "no deviation": ({"std": (0.0,)}, "--std above 0"),
    "no number": ({"mean": (float("nan"),)}, "--mean lies in 0 to 1"),
    "two means": ({"mean": (0.5, 0.5)}, "--mean has 2 numbers, and the network 3 channels"),
    "a tiny size": ({"size": 4}, "--size must be between 8 and 1024 pixels"),
    "modalities of an old bundle": ({"modalities": ("MR",)}, "describe a new bundle"),
    "grey weights for colour": ({"weights": "grey.safetensors"}, "the weights are of a network that takes grey ones"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    good = load_file(write_weights(folder / "good.safetensors", MOBILENET, len(CLASSES)))
    write_weights(folder / "grey.safetensors", MOBILENET, len(CLASSES), channels=1)
    first = next(iter(good))
    save_file(good | {first: good[first] * float("nan")}, folder / "nan.safetensors")
    torch.save({"a": torch.zeros(1)}, folder / "net.PTH")
    (folder / "old.safetensors").write_bytes(pickle.dumps({"a": 1}, protocol=2))
    (folder / "text.safetensors").write_text("nothing of the kind")
    return folder


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_one_sentence_and_writes_nothing(case, cells, own, files):
    wrong, said = BAD[case]
    given = {"bundle": NAME, "model": MOBILENET, "classes": CLASSES, "mean": MEAN, "std": STD, "size": SIDE} | wrong
    with pytest.raises(BundleError) as refusal:
        add_classifier(Wanted(**given | {"weights": files / str(wrong.get("weights", "good.safetensors"))}))
    text = str(refusal.value)
    assert said in text and text.endswith(".") and ". " not in text and "\n" not in text
    assert not own.exists()


def test_a_pickle_is_never_unpickled(own, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.write_text, (tmp_path / "sprung", "yes")

    stream = io.BytesIO()
    torch.save(Trap(), stream)
    for name in ("net.pt", "net.safetensors"):
        (tmp_path / name).write_bytes(stream.getvalue())
        with pytest.raises(BundleError, match="is a pickle"):
            add_classifier(Wanted("mine", MOBILENET, tmp_path / name, ("a", "b"), (0.5,), (0.5,)))
    assert not (tmp_path / "sprung").exists()


def test_without_a_folder_nothing_is_added(cells, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(BundleError, match=f"^{VARIABLE} is empty.*set it to one of yours.$"):
        added(tmp_path)


def test_the_folder_is_that_of_the_users_data_where_nothing_else_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert added(tmp_path, "mine", classes=("a", "b")).folder == tmp_path / "purescan" / "bundles" / "mine"
    assert "mine" in bundle_names()


def test_one_goes_and_the_others_stay(cells, own, tmp_path):
    added(tmp_path)
    added(tmp_path, name="other")
    (own / NAME / "notes.txt").write_text("mine")
    assert remove_classifiers(NAME, MOBILENET) == (MOBILENET,)
    assert list(load_bundle(NAME).classifiers) == ["resnet18", "mamba", "vit", "other"]
    assert remove_classifiers(NAME) == ("other",)
    assert [path.name for path in (own / NAME).iterdir()] == ["notes.txt"]
    assert load_bundle(NAME).hashes == cells.hashes


def test_a_bundle_of_ones_own_goes_with_its_last_classifier(own, tmp_path):
    added(tmp_path, "mine", classes=("a", "b"))
    added(tmp_path, "mine", classes=("b", "a"), name="other")
    remove_classifiers("mine", MOBILENET)
    assert load_bundle("mine").default_classifier == "other"
    remove_classifiers("mine")
    assert not (own / "mine").exists() and "mine" not in bundle_names()


@pytest.mark.parametrize(
    "name, classifier", [("none", None), ("../own", None), (NAME, "resnet18"), ("brain-mri", None)]
)
def test_what_nobody_added_is_not_taken_away(name, classifier, cells, own, tmp_path):
    added(tmp_path)
    with pytest.raises(BundleError, match=r"added.*what was: .*\.$"):
        remove_classifiers(name, classifier)
    assert MOBILENET in load_bundle(NAME).classifiers


@pytest.mark.parametrize("spoil", ["weights", "facts", "a name"])
def test_damage_says_how_to_take_it_away(spoil, cells, own, tmp_path):
    added(tmp_path)
    facts = own / NAME / "added.json"
    if spoil == "weights":
        (own / NAME / f"{MOBILENET}.safetensors").write_bytes(b"0")
    elif spoil == "facts":
        facts.write_text("{")
    else:
        facts.write_text(json.dumps(json.loads(facts.read_text()) | {"classifiers": {"mamba": {}}}))
    with pytest.raises(BundleError, match=rf"python -m core bundle remove {NAME}"):
        load_bundle(NAME)


def test_a_folder_that_cannot_be_read_holds_nothing(own, monkeypatch):
    def forbidden(*_: object) -> None:
        raise PermissionError("not for this user")

    monkeypatch.setattr(Path, "glob", forbidden)
    assert own_names() == ()
