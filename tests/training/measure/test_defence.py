"""What the tables of the defence keep of an earlier run, and what they sum up."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.attacks import AttackSettings
from core.evaluation.evaluation import weights_record
from tests.defended import defended_bundle, scans
from training.measure import attributions, defence
from training.measure.defence import Row, benign_totals, kept_rows, row_command, tables_command

DATA = "1" * 64


@pytest.mark.slow
def test_a_row_is_kept_while_weights_and_limits_are_as_they_were(bundle):
    limits = bundle.limits_of("resnet18")
    today = {
        "command": "today",
        "classifier": "resnet18",
        "weights_sha256": weights_record(bundle, "resnet18"),
        "thresholds": dict(limits.thresholds),
        "borderline": limits.borderline._asdict(),
        "altered": list(limits.altered),
        "limits": repr(limits),
        "data_sha256": DATA,
    }
    others = (
        {"command": "other weights", "weights_sha256": {}},
        {"command": "other thresholds", "thresholds": {}},
        {"command": "other borderline", "borderline": {"certainty": 0.5, "instability": 0.06}},
        {"command": "no such classifier", "classifier": "none"},
        {"command": "another ladder", "limits": repr(replace(limits, ladder=((float("inf"), 40),)))},
        {"command": "another scope", "limits": repr(replace(limits, scope_limit=1.0))},
        {"command": "nothing purified", "limits": repr(replace(limits, purifies=False))},
        {"command": "other scans", "data_sha256": "2" * 64},
    )
    before_borderline = {name: value for name, value in today.items() if name != "borderline"} | {"command": "before"}
    less = {name: value for name, value in today.items() if name not in ("limits", "data_sha256")}
    kept = (today, less | {"command": "of less"})
    rows = [{"report": {"settings": own}} for own in (*kept, before_borderline, *(today | other for other in others))]
    assert list(kept_rows({"slow": rows}, bundle, DATA)) == ["today", "of less"]


def test_a_row_is_measured_again_where_any_limit_has_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(defence, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(defence, "evaluate", lambda *_, **__: {})
    bundle, data = defended_bundle(), scans(2)
    row = defence.measure(Row(AttackSettings("fgsm"), None), data, bundle, "then", Namespace(seed=0))
    assert list(kept_rows({"slow": [row]}, bundle, data.sha256)) == ["then"]
    wider = replace(bundle.limits_of("resnet18"), scope_limit=1.0)
    assert not kept_rows({"slow": [row]}, replace(bundle, limits={"resnet18": wider}), data.sha256)


@pytest.mark.slow
def test_labels_of_purified_benign_scans_are_kept(bundle):
    """The bar of the project: the defence leaves the label of at least 97 % of the benign scans that are purified."""
    totals = benign_totals(bundle)
    for counts in totals.values():
        assert counts["turned_wrong"] + counts["turned_right"] == counts["flagged"] - counts["kept"]  # of two classes
    now, otherwise = totals["measured"], totals["none stands"]
    assert now["flagged"] == otherwise["flagged"] > 0
    assert now["kept"] >= 0.97 * now["flagged"] > otherwise["kept"]
    assert now["turned_wrong"] < otherwise["turned_wrong"]


def test_the_commands_name_all_collections_and_how_many_scans_of_a_site():
    one = Namespace(data=[Path("/somewhere/a.npz")], per_site=None, seed=0, bundle="brain-mri")
    both = Namespace(data=[Path("a.npz"), Path("b.npz")], per_site=40, seed=0, bundle="brain-mri")
    assert tables_command(one) == "make tables DATA=a.npz"
    assert tables_command(both) == 'make tables DATA="a.npz b.npz" PER_SITE=40'
    chests = Namespace(data=[Path("c.npz")], per_site=None, seed=0, bundle="chest-xray")
    assert tables_command(chests) == "make tables DATA=c.npz BUNDLE=chest-xray"
    again = Namespace(**vars(chests) | {"seed": 1})
    assert tables_command(again) == "python -m training.publish.tables --data c.npz --bundle chest-xray --seed 1"
    bundle = SimpleNamespace(default_classifier="resnet18")
    assert row_command(Row(AttackSettings("pgd"), 20), bundle, both) == (
        "python -m core evaluate --data a.npz b.npz --per-site 40 --attack pgd --limit 20"
    )


def test_only_the_bundles_own_classifiers_are_written_into_its_records(monkeypatch):
    networks = dict.fromkeys(("resnet18", "mine"))
    bundle = SimpleNamespace(
        name="discs", classifiers=networks, added={"mine": Path()}, folder=Path(), default_classifier="resnet18"
    )
    options = Namespace(data=[Path("a.npz")], per_site=None, seed=0, bundle="discs")
    monkeypatch.setattr(defence, "evaluate", lambda *_, **__: {})
    monkeypatch.setattr(defence, "settings_record", lambda *_: {})
    assert [row["title"] for row in defence.plain_rows(bundle, None, options)] == ["resnet18"]
    asked: list[str] = []
    monkeypatch.setattr(attributions, "outlined", lambda val: [1])
    monkeypatch.setattr(attributions, "weights_record", lambda bundle, name: {})
    monkeypatch.setattr(attributions, "read_results", lambda folder: {})
    monkeypatch.setattr(attributions, "write_results", lambda folder, changes: asked.extend(changes["looks"]))
    monkeypatch.setattr(attributions, "attribution_agreement", lambda *_: {})
    attributions.record_attributions(SimpleNamespace(has_mask=True), bundle, options)
    assert asked == ["resnet18"]


@pytest.mark.slow
def test_a_row_of_one_question_is_none_of_two(bundle):
    two = bundle.limits_of("resnet18")
    assert two.altered
    one = replace(bundle, limits={"resnet18": replace(two, altered=())})
    settings = {
        "command": "then",
        "classifier": "resnet18",
        "weights_sha256": weights_record(bundle, "resnet18"),
        "thresholds": dict(two.thresholds),
        "borderline": two.borderline._asdict(),
    }
    rows = {"slow": [{"report": {"settings": settings}}]}
    assert list(kept_rows(rows, one, DATA)) == ["then"] and not kept_rows(rows, bundle, DATA)
