"""What is committed shows what is recorded."""

import re
from pathlib import Path

import pytest

from core.bundles import Bundle, bundle_names, load_bundle, loading
from core.bundles.loading import shipped_names
from training.publish import docs
from training.publish.docs import ROOT, SUBJECTS, pages
from training.publish.headlines import encryption_rows
from training.publish.timing import timing_page


@pytest.fixture(scope="module")
def every_bundle(bundle: Bundle) -> list[Bundle]:
    return [bundle if name == bundle.name else load_bundle(name) for name in shipped_names()]


def test_committed_pages_equal_what_the_records_give(every_bundle):
    written = pages(every_bundle)
    assert len(written) == len(SUBJECTS) + len(every_bundle) + 2 and ROOT / "README.md" in written
    for path, text in written.items():
        fault = f"{path.relative_to(ROOT)} differs from the records; run `python -m training.publish.docs`."
        assert path.is_file() and path.read_text(encoding="utf-8") == text, fault


def test_a_users_own_bundle_is_on_no_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bundle.json").write_text("{}")
    monkeypatch.setenv("PURESCAN_BUNDLES", str(tmp_path))
    assert "mine" in bundle_names()
    seen: list[str] = []
    monkeypatch.setattr(docs, "load_bundle", lambda name: seen.append(name) or name)
    monkeypatch.setattr(docs, "pages", lambda bundles: {})
    monkeypatch.setattr(docs, "gate_records", lambda bundle: {})
    docs.write_docs()
    assert seen == list(shipped_names())


@pytest.mark.parametrize("card", [None, "# A card without a place for figures"])
def test_a_bundle_without_a_card_is_one_sentence(card, monkeypatch, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "bundle.json").write_text("{}")
    if card:
        (tmp_path / "new" / "CARD.md").write_text(card)
    monkeypatch.setattr(loading, "WEIGHTS", tmp_path)
    monkeypatch.setattr(docs, "WEIGHTS", tmp_path)
    with pytest.raises(SystemExit, match="weights/new/CARD.md is missing or has no place for figures"):
        docs.write_docs()


def test_timings_claim_no_kind_of_sample_that_some_were_not_taken_on(bundle: Bundle) -> None:
    """The examinations were timed on a synthetic one, the mixtures on a real one."""
    said = timing_page([bundle])
    assert "each on one sample scan of the bundle, seed 0." in said and "synthetic" not in said


def test_no_generated_table_is_left_over():
    generated = {path.stem for path in (ROOT / "docs" / "results").glob("*.md")} - {"README"}
    assert generated == set(SUBJECTS)


def test_every_row_of_a_table_has_as_many_cells_as_its_head(every_bundle):
    for path, text in pages(every_bundle).items():
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert len({len(line.split("|")) for line in block.splitlines()}) == 1, path


def test_the_readme_says_which_scans_the_encryption_was_asked_about(bundle: Bundle) -> None:
    rows = list(encryption_rows(bundle))
    assert rows and all(row[1] == "a curious server (vit, scans of br35h)" for row in rows)
