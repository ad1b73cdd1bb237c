"""Names of files stay behind, in sentences as well."""

import pytest

from core.report.cases import Case
from core.report.naming import without_names
from core.scans import ScanError
from core.scans.archive import unpack
from tests.scans.builders import zipped

NAME = "O'Brien' ^Mary.dcm"


def neutral(problem: str, name: str = NAME) -> Case:
    return without_names({4: Case(name, "a" * 64, problem=problem)})[0]


def test_the_number_is_the_place_in_the_cohort_whatever_is_left_out() -> None:
    cases = {2: Case("c", "c"), 0: Case("a", "a")}
    assert [(case.name, case.sha256) for case in without_names(cases)] == [("scan 3", "c"), ("scan 1", "a")]


def test_a_sentence_keeps_what_it_says_and_loses_the_name() -> None:
    assert neutral(f"'{NAME}' is a text: export it.").problem == "'scan 5' is a text: export it."
    assert neutral(f"'{NAME}' and {NAME} again.").problem == "'scan 5' could not be opened."


def test_a_file_within_the_file_is_not_named_either() -> None:
    with pytest.raises(ScanError) as error:
        unpack(zipped({"Doe.zip": zipped({"a": b"a"})}), NAME)
    assert "Doe" in str(error.value) and "Doe" not in f"{neutral(str(error.value))}"
