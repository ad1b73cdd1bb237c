"""What an audit says under the hardened policy, where the decision never rests on an estimate."""

import pytest
from streamlit.testing.v1 import AppTest

from core.bundles import classifier_under
from core.report.cases import AuditSettings, Case
from core.report.cohort import sample_cohort
from pages.audit.files import report
from pages.audit.state import AuditState
from pages.shared.runtime import bundle, engine
from tests.reading import texts

FLAGGED = Case(
    "a.dcm", "a", label="tumour", probability=0.9, undefended="tumour", purified="no tumour", flagged=True,
    flagged_by=("amv",), t_star=60, agreement=1.0, altered=True, altered_by=("mae_error",),
)  # fmt: skip


def audit_under(policy: str) -> AuditState:
    models = bundle("brain-mri")
    return AuditState(
        choices=("files",), title="", sources=sample_cohort()[:1], bundle="brain-mri", store=None, cases={},
        settings=AuditSettings(classifier_under(models, policy)),
    )  # fmt: skip


def _draw(case, audit) -> None:
    from pages.audit.case import _draw_words

    _draw_words(case, audit)


@pytest.mark.parametrize("policy, source", [("clinical", "on the estimate"), ("hardened", "on the scan as it is")])
def test_a_flagged_case_says_what_it_was_decided_on(policy: str, source: str) -> None:
    script = AppTest.from_function(_draw, args=(FLAGGED, audit_under(policy))).run()
    assert not script.exception and f"90.0 %, {source}. For this audit it was purified" in texts(script)


@pytest.mark.parametrize("policy", ["clinical", "hardened"])
def test_a_report_says_whether_the_pipeline_purifies(policy: str) -> None:
    now = audit_under(policy)
    said = " ".join(report(now, engine().worker, bundle(now.bundle)).split())
    hardened = policy == "hardened"
    assert ("it is the answer to the scan as it is, whatever was found" in said) == hardened
    assert ("the pipeline purifies what is flagged" in said) == ("the pipeline’s adaptive rule" in said) != hardened
