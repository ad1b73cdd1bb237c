"""What several pages read of the records of faults, and how an outcome looks in a table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.bundles import Bundle
from core.faults.record import FaultRecord, read_faults
from core.faults.study import Study, by_scans
from training.publish.markdown import share

MOST = 16  # flips at which networks are compared
COMPARED_EPS = 4
WEAKEST = 8
Records = Mapping[str, FaultRecord]


def fault_records(bundle: Bundle) -> dict[str, FaultRecord]:
    """Return classifier → what is recorded of it with the weights of today; those without any study are left out."""
    found = {name: read_faults(bundle, name) for name in bundle.classifiers}
    return {name: record for name, record in found.items() if record.studies}


def comparable(found: Records) -> list[dict[str, FaultRecord]]:
    """Return the records in groups, each narrowed to studies of the same scans: only these can be compared."""
    studies = {(name, study): entry for name, record in found.items() for study, entry in record.studies.items()}
    groups = []
    for group in by_scans(studies):
        kept: dict[str, dict[str, Study]] = {}
        for name, study in group:
            kept.setdefault(name, {})[study] = studies[name, study]
        groups.append({name: replace(found[name], studies=own) for name, own in kept.items()})
    return groups


def any_study(found: Records) -> Study:
    """Return one study of a group of `comparable`, which tells the scans of all."""
    return next(study for record in found.values() for study in record.studies.values())


def worst_first(record: FaultRecord, silent: bool) -> Any:
    """Return the search's first round; None where there is none."""
    return next((row for row in record.rows("worst_case") if row.silent == silent), None)


def by_expert(record: FaultRecord) -> dict[str, list[Any]]:
    """Return expert → its rows."""
    rows: dict[str, list[Any]] = {}
    for row in record.rows("experts"):
        rows.setdefault(row.expert, []).append(row)
    return rows


def weakest(rows: Sequence[Any], most: int) -> list[Any]:
    """Return all rows as they come, or, where there are more than `most`, those with the lowest accuracy first."""
    return list(rows) if len(rows) <= most else sorted(rows, key=lambda row: row.accuracy)[:most]


def cell(row: Any) -> str:
    """Return accuracy with its interval; a dash where nothing was answered or measured."""
    return share(row.accuracy, row.interval) if row is not None else share(None, None)
