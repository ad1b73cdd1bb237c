"""The sample scans open, and none of them is fetched."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from core.scans import load_scan, sample_scans, samples, write_derived_dicom


def test_every_sample_opens() -> None:
    found = sample_scans()
    assert {"mr-small", "ct-small"} <= {sample.key for sample in found}
    assert len({sample.key for sample in found}) == len(found)
    for sample in found:
        scan = load_scan(sample.path)
        assert scan.frame().size and sample.title and sample.origin in ("synthetic", "real")
        assert sample.picture, f"{sample.key} has no small picture: python -m training.publish.real_samples"
    theirs = [sample for sample in found if sample.path.name in samples._texts(samples._ASSETS / "real.json")]
    assert theirs and all("CC BY 4.0" in sample.description for sample in theirs)


def test_real_samples_come_first() -> None:
    origins = [sample.origin for sample in sample_scans("brain-mri")]
    assert origins[0] == "real" and origins == sorted(origins)
    assert [sample.origin for sample in sample_scans("blood-cells")] == ["real"] * 8 + ["synthetic"] * 8


def test_our_samples_have_their_texts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("b.dcm", "a-tumour.dcm"):
        write_derived_dicom(tmp_path / name, np.zeros((4, 4)), kind="synthetic", description="Black.")
    (tmp_path / "samples.json").write_text(json.dumps({"b.dcm": {"title": "Bee", "description": "Text."}}))
    monkeypatch.setattr(samples, "_ASSETS", tmp_path)
    first, second = (sample for sample in sample_scans() if sample.origin == "synthetic")
    assert (first.key, first.title, first.origin) == ("a-tumour", "A tumour", "synthetic")
    assert (second.title, second.description) == ("Bee", "Text.")


def test_a_sample_is_for_one_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("a.dcm", "b.dcm"):
        write_derived_dicom(tmp_path / name, np.zeros((4, 4)), kind="synthetic", description="Black.")
    (tmp_path / "samples.json").write_text(json.dumps({"b.dcm": {"bundle": "cells"}}))
    monkeypatch.setattr(samples, "_ASSETS", tmp_path)
    assert [sample.key for sample in sample_scans("cells")] == ["b"]
    assert [sample.key for sample in sample_scans("brain-mri")][-1] == "a"
    assert sample_scans("none") == ()


def test_a_folder_of_a_bundle_holds_samples_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(samples, "_ASSETS", tmp_path)
    for folder, name in (("chests", "b.dcm"), ("pictures", "c.dcm"), ("", "a.dcm")):
        (tmp_path / folder).mkdir(exist_ok=True)
        write_derived_dicom(tmp_path / folder / name, np.zeros((4, 4)), kind="synthetic", description="Black.")
    (tmp_path / "chests" / "samples.json").write_text(json.dumps({"b.dcm": {"title": "Bee"}}))
    (tmp_path / "samples.json").write_text(json.dumps({"b.dcm": {"title": "Another"}, "a.dcm": {"title": "Ay"}}))
    (own,) = sample_scans("chests")
    assert (own.key, own.title, own.path.parent) == ("b", "Bee", samples.sample_folder("chests"))
    assert [one.title for one in sample_scans("brain-mri") if one.origin == "synthetic"] == ["Ay"]
    assert sample_scans("pictures") == ()


@pytest.mark.parametrize("text", ["", "[1]", '{"b.dcm": 3}', "{"])
def test_texts_that_are_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    write_derived_dicom(tmp_path / "b.dcm", np.zeros((4, 4)), kind="synthetic", description="Black.")
    (tmp_path / "samples.json").write_text(text)
    monkeypatch.setattr(samples, "_ASSETS", tmp_path)
    assert sample_scans()[-1].title == "B"


def test_packages_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_folder", lambda package: None)
    assert {sample.key for sample in sample_scans() if not sample.path.is_relative_to(samples._ASSETS)} == set()
    assert "mni152" in {sample.key for sample in sample_scans()}


def test_the_brain_template_has_its_licence_beside_it() -> None:
    (template,) = (sample for sample in sample_scans() if sample.key == "mni152")
    assert "McConnell Brain Imaging Centre" in (template.path.parent / "README.md").read_text(encoding="utf-8")
    scan = load_scan(template.path)
    assert scan.values.shape == (189, 233, 197) and scan.spacing == (1.0, 1.0, 1.0) and not scan.notes
    # Voxel for voxel the file that nilearn 0.14.1 brings.
    assert sha256(scan.values.tobytes()).hexdigest().startswith("683a3b98461383f4")
