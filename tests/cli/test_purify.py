import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.cli import main
from core.cli.schema import checked
from core.fidelity.metrics import distance
from core.scans import load_scan

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.slow
def test_purify_writes_what_it_says(capsys, sample_files, tmp_path):
    words = ["purify", str(sample_files[-1]), "--method", "diffpure-ddim", "--steps", "2", "--frames", "--json"]
    assert main([*words, "--out", str(tmp_path / "new")]) == 0
    record = checked("purify", json.loads(capsys.readouterr().out))
    assert set(record) == set(json.loads((GOLDEN / "purify.json").read_text()))
    assert (record["t"], record["steps"], record["clip"]) == (100, 2, None)
    files = sorted(file.name for file in (tmp_path / "new").iterdir())
    assert files == ["purified.dcm", "purified.png", "step-000.png", "step-001.png"]
    scan = load_scan(tmp_path / "new" / "purified.dcm")
    made, before = scan.frame(), load_scan(sample_files[-1]).frame()
    assert np.array_equal(made, load_scan(tmp_path / "new" / "purified.png").frame())
    assert np.array_equal(made, load_scan(tmp_path / "new" / "step-001.png").frame())
    assert record["ssim"] == pytest.approx(distance(before[None], made[None]).ssim, abs=1e-3)
    with Image.open(tmp_path / "new" / "step-000.png") as picture:
        assert picture.size == made.shape


def test_an_unchanged_scan_has_no_psnr(capsys, sample_files, tmp_path):
    assert main(["purify", str(sample_files[0]), "--method", "none", "--json", "--out", str(tmp_path)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["psnr"] is None and record["ssim"] == pytest.approx(1)
    assert record["label_before"] == record["label_after"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words, reason",
    [
        (["--method", "magic", "--out", "new"], "magic"),
        (["--method", "one-step", "--t", "1000", "--out", "new"], "between 1 and 999"),
        (["--method", "diffpure", "--t", "10", "--steps", "20", "--out", "new"], "between 1 and t"),
        (["--method", "mae-pure", "--clip", "-1", "--out", "new"], "clip"),
        (["--out", "nowhere/new"], "no folder"),
        (["--out", "file"], "no folder"),
        (["--frame", "9", "--out", "new"], "frame"),
    ],
)
def test_wrong_words_give_one_sentence_and_status_2(capsys, sample_files, tmp_path, monkeypatch, words, reason):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main(["purify", str(sample_files[0]), *words]) == 2
    complaint = capsys.readouterr().err.strip()
    assert reason in complaint and "\n" not in complaint and complaint.endswith(".")
    assert not Path("new").exists()


def test_the_scan_itself_is_never_overwritten(sample_files, tmp_path):
    copy = tmp_path / "purified.dcm"
    copy.write_bytes(sample_files[0].read_bytes())
    assert main(["purify", str(copy), "--method", "median", "--out", str(tmp_path)]) == 2
    assert copy.read_bytes() == sample_files[0].read_bytes()
