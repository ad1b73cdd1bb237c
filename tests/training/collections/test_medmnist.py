"""A file of MedMNIST in the project's layout: what is nearly the same stays together, and out of two splits."""

import numpy as np
import pytest

from core.evaluation.datasets import load_dataset
from training.collections import medmnist


def random_pictures(count, seed):
    return np.random.default_rng(seed).integers(40, 200, (count, 28, 28), dtype=np.uint8)


def write(path, **changes):
    """Six pictures to train on, two and two others; one of them is in val again, brighter, and two are alike."""
    pictures = {"train": random_pictures(6, 0), "val": random_pictures(2, 1), "test": random_pictures(2, 2)}
    pictures["val"][1] = pictures["train"][0] + 20
    pictures["train"][2] = pictures["train"][1] // 2
    arrays = {f"{name}_images": images for name, images in pictures.items()}
    arrays |= {f"{name}_labels": (np.arange(len(images)) % 2)[:, None] for name, images in pictures.items()}
    np.savez(path, **arrays | changes)
    return path


def test_near_duplicates_share_a_group_and_leave_train_for_the_official_splits(run, tmp_path, capsys):
    source, out = write(tmp_path / "official.npz"), tmp_path / "deep" / "ours.npz"
    run(medmnist, "--data", source, "--out", out)
    assert "5 train, 2 val, 2 test; 8 groups; left out: 1 train" in capsys.readouterr().out
    found = load_dataset(out, ("a", "b"), 28, 1)
    assert found.splits == ("train",) * 5 + ("val",) * 2 + ("test",) * 2
    assert found.labels.tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1]
    official = np.load(source)
    assert np.array_equal((255 * found.pixels[:5, 0].numpy()).round(), official["train_images"][1:])
    assert found.groups[0] == found.groups[1] and len(set(found.groups[1:])) == 8


def test_pictures_of_one_colour_are_compared_too():
    images = np.concatenate([np.full((2, 8, 8, 3), 7, np.uint8), np.full((1, 8, 8, 3), 9, np.uint8)])
    assert len(set(medmnist.near_duplicates(images))) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"val_labels": np.zeros((2, 14), np.uint8)}, "doesn't have one label for each picture"),
        ({"val_labels": np.zeros(3, np.uint8)}, "doesn't have one label for each picture"),
    ],
)
def test_a_file_that_a_bundle_has_no_use_for_is_refused_in_a_sentence(run, tmp_path, changes, said):
    source = write(tmp_path / "official.npz", **changes)
    with pytest.raises(SystemExit, match=said):
        run(medmnist, "--data", source, "--out", tmp_path / "ours.npz")
    assert not (tmp_path / "ours.npz").exists()


@pytest.mark.parametrize("content", [b"nothing", b"", b"PK\x03\x04nothing"])
def test_what_is_no_such_file_is_refused_in_a_sentence(run, tmp_path, content):
    (tmp_path / "broken.npz").write_bytes(content)
    with pytest.raises(SystemExit, match="broken.npz isn't laid out as MedMNIST's files are"):
        run(medmnist, "--data", tmp_path / "broken.npz", "--out", tmp_path / "ours.npz")
    np.savez(tmp_path / "other.npz", image=random_pictures(2, 0))
    with pytest.raises(SystemExit, match="other.npz isn't laid out"):
        run(medmnist, "--data", tmp_path / "other.npz", "--out", tmp_path / "ours.npz")
