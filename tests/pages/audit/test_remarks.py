"""What reviewers remark on a case, whether a changed answer was put right, and a report that always comes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.fidelity.region import Region
from core.report.cases import AuditSettings, Case
from core.report.cohort import sample_cohort, uploaded_cohort
from core.report.store import CaseStore
from pages.audit import files
from pages.audit.charts import dots
from pages.audit.evidence import note_region, note_remark
from pages.audit.files import report
from pages.audit.state import AuditState, begin
from pages.audit.table import CASE, REMARK, RESTORED_TINT, TINT, _frame, _tinted, answer
from pages.shared.runtime import bundle, engine
from tests.pages.audit.helpers import audit
from tests.reading import session, texts

REMARKED = "Second reader: <b>agrees</b>.\nAsk for the contrast series."


def changed(name: str, before: str, after: str, truth: str | None) -> Case:
    return Case(name, name, undefended=before, purified=after, label=after, probability=0.9, truth=truth,
                fidelity={"ssim": 0.8})  # fmt: skip


CASES = [
    changed("a", "ill", "well", "well"),
    changed("b", "well", "ill", "well"),
    changed("c", "well", "ill", None),
    changed("d", "well", "well", "ill"),
]


def test_a_changed_answer_is_restored_or_broken_where_the_truth_is_known() -> None:
    assert [answer(case) for case in CASES] == [
        "restored: ill → well", "broken: well → ill", "changed: well → ill", "kept: well"
    ]  # fmt: skip
    tints = [row[0] for row in _tinted(_frame(CASES)).to_numpy().tolist()]
    assert tints == [RESTORED_TINT, TINT, TINT, ""]


def test_charts_have_a_row_for_each_effect() -> None:
    figure = dots(CASES, [1.0, 2.0, 3.0, 4.0], None, False)
    assert [(trace.name, trace.x[0]) for trace in figure.data] == [
        ("kept", 4.0), ("restored", 1.0), ("broken", 2.0), ("changed", 3.0)
    ]  # fmt: skip


def test_the_decision_stands_second_with_its_probability() -> None:
    assert list(_frame(CASES))[:3] == ["Scan", "Decision", "Answer under purification"]
    assert _frame(CASES)["Decision"][0] == "Well, 90.0 %" and REMARK not in _frame(CASES)


def test_of_our_samples_the_truth_is_known() -> None:
    truths = {source.name: source.truth for source in sample_cohort()}
    assert set(truths.values()) == set(bundle("brain-mri").classes)
    assert truths["tumour-01-pgd-8.dcm"] == "tumour" and truths["no-tumour-02.dcm"] == "no tumour"


@pytest.fixture
def revisit(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AuditState]:
    """Come to one and the same cohort once more; every scan is examined at once."""
    monkeypatch.setattr("core.report.cohort.examined_case", lambda source, *_: Case(source.name, source.sha256))
    monkeypatch.setattr(AuditState, "start", lambda self, steps, take: [take(step) for step in steps])
    sources, settings = uploaded_cohort([(name, name.encode()) for name in "abc"]), AuditSettings(seeds=2)

    def come() -> AuditState:
        store = CaseStore(sources, bundle("brain-mri"), settings)
        return AuditState(
            choices=(), title="", sources=sources, bundle="brain-mri", settings=settings, store=store,
            cases=dict(store.known),
        )  # fmt: skip

    begin(come())
    return come


def test_an_audit_that_is_made_again_keeps_what_others_remarked(revisit: Callable[[], AuditState]) -> None:
    first, second = revisit(), revisit()
    note_remark(first, 0, "Mine.")
    note_remark(first, 2, "Mine, too.")
    note_remark(second, 1, "Another’s.")
    note_remark(second, 2, "Another’s, too.")
    remarks = ["Mine.", "Another’s.", "Another’s, too."]  # of two on one scan the last
    assert [revisit().cases[index].remark for index in range(3)] == remarks
    begin(first)
    for known in (first, revisit()):
        assert [known.cases[index].remark for index in range(3)] == remarks


def test_an_audit_that_is_stopped_while_it_is_made_again_loses_no_remark(
    revisit: Callable[[], AuditState], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = revisit(), revisit()
    note_remark(first, 0, "Mine.")
    monkeypatch.setattr(AuditState, "start", lambda *_: None)
    begin(first)
    note_remark(second, 1, "Another’s.")
    note_region(second, 2, Region(np.eye(20, dtype=bool), 0, "ellipse"), "It is too thin.")
    note_remark(first, 2, "Written as “Audit again” was clicked.")
    assert revisit().cases == first.cases == {}, "nothing old stands among what is made again"
    monkeypatch.setattr(AuditState, "start", lambda self, steps, take: [take(step) for step in steps])
    for now in (resumed := revisit(), first):
        begin(now)
    for known in (resumed, first, revisit()):
        assert [known.cases[index].remark for index in range(3)] == [
            "Mine.", "Another’s.", "Written as “Audit again” was clicked."
        ]  # fmt: skip


def test_remarks_outlive_a_disk_that_cannot_keep_them(
    revisit: Callable[[], AuditState], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PURESCAN_CACHE", str(tmp_path / "file"))
    now = revisit()
    begin(now)
    note_remark(now, 0, "Mine.")
    begin(now)
    assert now.store.failed and now.cases[0].remark == "Mine."


def test_what_is_noted_on_a_case_undoes_nothing_that_others_noted(revisit: Callable[[], AuditState]) -> None:
    first, second, third = revisit(), revisit(), revisit()
    note_remark(second, 0, "Another’s.")
    assert note_region(first, 0, Region(np.eye(20, dtype=bool), 0, "ellipse"), "It is too thin.")
    assert revisit().cases[0].remark == first.cases[0].remark == "Another’s."
    note_remark(third, 0, "A third’s.")
    case = revisit().cases[0]
    assert case.remark == "A third’s." and case.region == first.cases[0].region is not None


@pytest.mark.slow
def test_a_remark_is_kept_with_the_audit_and_printed(audited: AppTest) -> None:
    audited.selectbox(key=CASE).select(2).run()
    audited.text_area[0].set_value(REMARKED).run()
    assert not audited.exception and audit(audited).cases[2].remark == REMARKED
    assert list(audited.dataframe[0].value[REMARK]).count(REMARKED) == 1
    text = report(audit(audited), engine().worker, bundle("brain-mri"))
    assert text.count("Second reader: &lt;b&gt;agrees&lt;/b&gt;.") == 2, "in the table and beside the pictures"
    session(audited).drop(AuditState)
    audited.run()
    assert audit(audited).cases[2].remark == REMARKED, "another visit finds it"
    for _ in range(2):  # resume, then everything again
        audited.button(key="audit-start").click().run()
    assert audit(audited).complete and audit(audited).cases[2].remark == REMARKED
    session(audited).drop(AuditState)
    audited.run()
    assert audit(audited).cases[2].remark == REMARKED


@pytest.mark.slow
def test_a_report_comes_without_the_pictures_that_fail(audited: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> bytes:
        raise OSError("The file is gone.")

    now = audit(audited)
    now.sources = (*now.sources[:2], replace(now.sources[2], read=lost))
    text = report(now, engine().worker, bundle(now.bundle))
    assert text.count("<section") == 1 and "scan 3" in text
    now.pictures.clear()
    monkeypatch.setattr(files, "PATIENCE", 0.0)
    assert "<section" not in report(now, engine().worker, bundle(now.bundle))


@pytest.mark.slow
def test_a_second_report_computes_nothing_again(audited: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    now = audit(audited)
    first = report(now, engine().worker, bundle(now.bundle))
    monkeypatch.setattr(engine().worker, "submit", None)
    assert report(now, engine().worker, bundle(now.bundle)).count("<section") == first.count("<section") == 2
    assert "Remark" not in texts(audited)
