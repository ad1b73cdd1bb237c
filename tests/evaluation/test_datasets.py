import io
import zipfile
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from core.evaluation.datasets import Dataset, DatasetError, image_digest, load_dataset
from core.evaluation.selection import per_site, spread_evenly

CLASSES = ("no tumour", "tumour")


def npz(path, **changes):
    fields = {
        "image": np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8),
        "label": np.array([0, 1, 1, 0]),
        "group": np.array([5, 5, 6, 7]),
        "split": np.array([0, 0, 1, 1]),
    } | changes
    np.savez(path, **{key: value for key, value in fields.items() if value is not None})
    return path


def test_npz_is_read_and_split(tmp_path):
    data = load_dataset(npz(tmp_path / "a.npz"), CLASSES, 8, 1)
    assert data.pixels.shape == (4, 1, 8, 8)
    assert data.pixels[0, 0, 0, 1].item() == pytest.approx(1 / 255)
    val = data.split("val")
    assert val.labels.tolist() == [1, 0]
    assert val.groups == ("6", "7")


def test_npz_without_groups_puts_each_image_in_its_own(tmp_path):
    data = load_dataset(npz(tmp_path / "a.npz", group=None, split=None), CLASSES, 8, 1)
    assert len(set(data.groups)) == 4
    with pytest.raises(DatasetError, match="--split all"):
        data.split("val")


def test_zip_with_index_is_read(tmp_path):
    picture = io.BytesIO()
    Image.new("L", (10, 8), 255).save(picture, "PNG")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("tumour/1.png", picture.getvalue())
        archive.writestr("index.csv", "file,label,group,split\ntumour/1.png,tumour,g1,val\n")
    data = load_dataset(tmp_path / "a.zip", CLASSES, 16, 1)
    assert data.labels.tolist() == [1]
    assert data.splits == ("val",)
    assert data.pixels.shape == (1, 1, 16, 16)


def test_same_seed_and_limit_pick_the_same_images(tmp_path):
    data = load_dataset(npz(tmp_path / "a.npz"), CLASSES, 8, 1)
    first, second = data.limited(2, 3), data.limited(2, 3)
    assert len(first) == 2
    assert torch.equal(first.pixels, second.pixels)
    assert len(data.limited(100, 0)) == 4


def test_digest_tells_images_apart_and_survives_rounding():
    pixels = torch.rand(1, 8, 8)
    assert image_digest(pixels) == image_digest((pixels * 255).round() / 255)
    assert image_digest(pixels) != image_digest(1 - pixels)


def outlines(height=8, width=8):
    """Four masks: a corner pixel in the second and the last column in the third."""
    masks = np.zeros((4, height, width), bool)
    masks[1, 0, 0] = True
    masks[2, :, -1] = True
    return {"mask": np.packbits(masks, axis=-1), "has_mask": np.array([False, True, True, False])}, masks


def test_outlines_go_with_their_images(tmp_path):
    fields, masks = outlines()
    data = load_dataset(npz(tmp_path / "a.npz", **fields), CLASSES, 8, 1)
    assert data.masks.dtype == torch.bool
    assert np.array_equal(data.masks.numpy(), masks)
    assert data.has_mask.tolist() == [False, True, True, False]
    val = data.split("val")
    assert val.has_mask.tolist() == [True, False]
    assert np.array_equal(val.masks.numpy(), masks[2:])
    limited = data.limited(2, 3)
    assert torch.equal(limited.masks.flatten(1).any(1), limited.has_mask)


def test_outlines_are_padded_and_resampled_as_the_images_are(tmp_path):
    fields, _ = outlines(8, 12)
    data = load_dataset(npz(tmp_path / "a.npz", image=np.full((4, 8, 12), 255, np.uint8), **fields), CLASSES, 24, 1)
    assert data.masks.shape == (4, 24, 24)
    assert data.masks[2].nonzero().min(0).values.tolist() == [4, 22]  # 2 rows of padding, then twice the size
    assert data.masks[2].nonzero().max(0).values.tolist() == [19, 23]
    assert data.masks[1].sum() == 4


def test_a_file_without_outlines_has_none(tmp_path):
    data = load_dataset(npz(tmp_path / "a.npz"), CLASSES, 8, 1)
    assert data.masks is None and data.has_mask is None
    assert data.split("val").masks is None


def test_without_a_word_on_outlines_an_empty_mask_is_none(tmp_path):
    data = load_dataset(npz(tmp_path / "a.npz", mask=outlines()[0]["mask"]), CLASSES, 8, 1)
    assert data.has_mask.tolist() == [False, True, True, False]


def test_sites_and_sequences_go_with_their_images(tmp_path):
    origins = {"site": np.array(["A", "A", "B", "C"]), "sequence": np.array(["T1", "T2", "T1", "T1"])}
    val = load_dataset(npz(tmp_path / "a.npz", **origins), CLASSES, 8, 1).split("val")
    assert val.sites == ("B", "C") and val.sequences == ("T1", "T1") and val.collections == ("a", "a")
    assert load_dataset(npz(tmp_path / "b.npz"), CLASSES, 8, 1).sites == ()


def test_joined_collections_keep_their_groups_apart_and_lend_their_name_where_no_site_is_stated(tmp_path):
    stated = {"site": np.array(["A", "A", "B", "C"]), "sequence": np.array(["T1", "T2", "T1", "T1"])}
    parts = [
        load_dataset(npz(tmp_path / f"{name}.npz", **more), CLASSES, 8, 1) for name, more in (("a", stated), ("b", {}))
    ]
    whole = Dataset.joined(parts)
    assert len(whole) == 8 and len(set(whole.groups)) == 6
    assert whole.sites == ("A", "A", "B", "C", "b", "b", "b", "b")
    assert whole.sequences[3:6] == ("T1", "not stated", "not stated")
    assert Dataset.joined(parts[:1]) is parts[0]


def test_joined_collections_keep_outlines_where_any_has_them(tmp_path):
    with_outlines = load_dataset(npz(tmp_path / "a.npz", mask=outlines()[0]["mask"]), CLASSES, 8, 1)
    without = load_dataset(npz(tmp_path / "b.npz"), CLASSES, 8, 1)
    whole = Dataset.joined([without, with_outlines])
    assert torch.equal(whole.masks[4:], with_outlines.masks) and not whole.masks[:4].any()
    assert whole.has_mask.tolist() == [False] * 4 + with_outlines.has_mask.tolist()
    assert Dataset.joined([without, without]).masks is None


def test_where_one_collection_states_no_splits_the_whole_has_none(tmp_path):
    paths = [npz(tmp_path / "a.npz"), npz(tmp_path / "b.npz", split=None)]
    whole = Dataset.joined([load_dataset(path, CLASSES, 8, 1) for path in paths])
    with pytest.raises(DatasetError, match="no splits"):
        whole.split("val")


def test_a_part_of_each_site_is_spread_over_sequences_and_classes():
    sites, sequences, labels = ("A",) * 40 + ("B",) * 6, ("T1",) * 30 + ("T2",) * 10 + ("T1",) * 6, [0, 1] * 23
    data = Dataset(torch.zeros(46, 1, 8, 8), torch.tensor(labels), tuple(map(str, range(46))), ("val",) * 46, "0")
    data = replace(data, sites=sites, sequences=sequences)
    part = per_site(data, 8, 0)
    assert Counter(part.sites) == {"A": 8, "B": 6}
    assert set(Counter(zip(part.sequences, part.labels.tolist(), part.sites)).values()) == {2, 3}
    assert part.groups == per_site(data, 8, 0).groups != per_site(data, 8, 1).groups
    assert per_site(data, None, 0) is data
    whole = spread_evenly(data, 20, 0)
    assert Counter(whole.sites) == {"A": 14, "B": 6}  # B has no more
    assert Counter(spread_evenly(data, 10, 0).sites) == {"A": 5, "B": 5}
    assert set(spread_evenly(data, 10, 0).groups) < set(whole.groups) != set(spread_evenly(data, 20, 1).groups)
    assert len(spread_evenly(data, 100, 0)) == 46


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"label": np.array([0, 1, 2, 0])}, "classes"),
        ({"label": None}, "should hold"),
        ({"image": np.zeros((4, 8, 8))}, "float64"),
        ({"image": np.zeros((4, 8, 8, 1), np.uint8)}, "4×8×8×1"),
        ({"split": np.array([1, 1])}, "length"),
        ({"group": np.arange(5)}, "length"),
        ({"site": np.array(["A"])}, "length"),
        ({"has_mask": np.ones(4, bool)}, "alone"),
        (outlines()[0] | {"has_mask": np.ones(3, bool)}, "packed"),
        (outlines()[0] | {"mask": np.zeros((4, 8, 8), bool)}, "packed"),
    ],
)
def test_wrong_data_is_refused_in_a_sentence(tmp_path, changes, reason):
    with pytest.raises(DatasetError, match=reason):
        load_dataset(npz(tmp_path / "a.npz", **changes), CLASSES, 8, 1)


def test_no_data_set_is_a_sentence(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no archive")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    for name in ("a.zip", "b.npz", "empty.npz", "array.npz"):
        with pytest.raises(DatasetError, match=r"\.$"):
            load_dataset(tmp_path / name, CLASSES, 8, 1)
