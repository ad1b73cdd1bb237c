"""Names of scans in what leaves the page: a file's name may tell who the patient is, so it stays behind."""

from collections.abc import Mapping
from dataclasses import replace

from core.report.cases import Case


def neutral_name(place: int) -> str:
    """Return the name of the scan at a place of its cohort, which counts from 0: the first one is 'scan 1'."""
    return f"scan {place + 1}"


def without_names(cases: Mapping[int, Case]) -> list[Case]:
    """Return cases, given by their place in the cohort, under neutral names; their digests still lead to the files."""
    return [_without_name(case, neutral_name(place)) for place, case in cases.items()]


def _without_name(case: Case, name: str) -> Case:
    problem = case.problem and case.problem.replace(f"'{case.name}'", f"'{name}'")
    # A sentence may quote a file within the file, too.
    if problem and (case.name in problem or problem.count("'") != 2):
        problem = f"'{name}' could not be opened."
    return replace(case, name=name, problem=problem)
