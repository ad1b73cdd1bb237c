"""Finished cases of a cohort, and what reviewers remarked on them: a run which was cut off goes on."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from threading import Lock
from typing import Any

from core import compute
from core.bundles import Bundle
from core.evaluation.evaluation import weights_record
from core.evaluation.journal import Journal, cache_folder, fingerprint
from core.fidelity.metrics import Fidelity
from core.purification.ddim import PURIFY_STEPS
from core.report.cases import AuditSettings, Case
from core.report.regions import NUMBERS
from core.report.sources import Source

_NOTING = Lock()  # what is remarked while the file is made anew would be lost


def run_record(sources: Sequence[Source], bundle: Bundle, settings: AuditSettings) -> dict[str, Any]:
    """Everything that the cases of a cohort depend on; no file names."""
    name = bundle.classifier_name(settings.classifier)
    limits_today, diffusion = bundle.limits_of(name), bundle.diffusion
    assert diffusion is not None, "a bundle without has no limits"
    scans = [
        [
            source.sha256,
            source.reference and hashlib.sha256(source.reference.read_bytes()).hexdigest(),
            sorted(file.sha256 for file in source.outlines),
        ]
        for source in sources
    ]
    return {
        # Cases that an earlier version of this program kept with other numbers must not be taken for this one's.
        "numbers": [*(field.name for kind in (Case, Fidelity) for field in fields(kind)), *NUMBERS],
        "cohort": fingerprint({"scans": sorted(scans, key=str)}),
        "bundle": bundle.name,
        "weights_sha256": weights_record(bundle, name),
        "classifier": name,
        "limits": repr(limits_today),
        "steps": PURIFY_STEPS,
        "seed": settings.seed,
        "seeds": settings.seeds,
        "device": compute.device().type,
        "precision": str(diffusion.unet.dtype).removeprefix("torch."),
    }


class CaseStore:
    """Finished cases of one cohort on this machine's disk: numbers, digests and remarks, no pixels and no file names.

    The names are those of the files that are there today, as an upload's name may tell who the patient is.

    Parameters
    ----------
    sources, bundle, settings
        The cohort; nothing is written before the first case is kept.

    Attributes
    ----------
    known : mapping of int to Case
        Place in the cohort → what an earlier run kept.
    failed : bool
        The disk could not be read or written: cases are lost when the program ends.
    """

    def __init__(self, sources: Sequence[Source], bundle: Bundle, settings: AuditSettings) -> None:
        self._run = run_record(sources, bundle, settings)
        self.path = cache_folder() / "audits" / f"{fingerprint(self._run)}.jsonl"
        self._journal: Journal | None = None
        self.failed = False
        self._sources = sources
        self.known = self.now()

    def keep(self, case: Case) -> None:
        """Write a finished case. Of a file that could not be opened nothing is kept: the sentence may name it."""
        journal = self._open() if case.problem is None else None
        if journal is not None:
            try:
                # A case that was made again says nothing of what others noted on it.
                journal.add({key: value for key, value in case.numbers().items() if key != "remark" or value})
            except OSError:
                self.failed = True

    def note(self, sha256: str, remark: str) -> None:
        """Write what is remarked on a scan, finished or not; nothing where the remark is taken back."""
        with _NOTING:
            journal = self._open()
            if journal is not None:
                try:
                    journal.add({"remark_on": sha256, "remark": remark})
                except OSError:
                    self.failed = True

    def remarks(self) -> Mapping[str, str]:
        """SHA-256 → what was remarked on that scan last, by whomever; empty where that was taken back."""
        return _remarks(self._lines())

    def forget(self, noted: Mapping[str, str] | None = None) -> None:
        """Delete what was kept but the remarks, which are everybody's.

        `noted`: SHA-256 → remark, to be kept where the disk tells of none.
        """
        with _NOTING:
            remarks = {**(noted or {}), **self.remarks()}
            self._journal, self.known = None, {}
            try:
                if remarks:
                    self._begin_anew(remarks)
                else:
                    self.path.unlink(missing_ok=True)
            except OSError:
                self.failed = True

    def _begin_anew(self, remarks: Mapping[str, str]) -> None:
        """The file with the remarks alone, put in its place at once: a program that is killed loses none."""
        fresh = self.path.with_suffix(".new")
        fresh.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        journal = Journal(fresh, self._run)
        for sha256, remark in remarks.items():
            journal.add({"remark_on": sha256, "remark": remark})
        os.replace(fresh, self.path)

    def now(self) -> Mapping[int, Case]:
        """What is kept at this moment, by whomever: all who audit the same cohort share it. Keys as in `known`."""
        kept = self._lines()
        lines, remarks = {line["sha256"]: line for line in kept if "sha256" in line}, _remarks(kept)
        return {
            index: Case.from_numbers(lines[key] | {"remark": remarks.get(key, "")}, source.name)
            for index, source in enumerate(self._sources)
            if (key := source.sha256) in lines
        }

    def _lines(self) -> tuple[dict[str, Any], ...]:
        journal = self._open(anew=False)
        try:
            return journal.now() if journal is not None else ()
        except OSError:
            self.failed = True
            return ()

    def _open(self, anew: bool = True) -> Journal | None:
        """The journal to work with, made where it isn't there and `anew`; None where there is none."""
        try:
            if self._journal is None and (anew or self.path.exists()):
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._journal = self._opened()
        except OSError:
            self.failed = True
        return self._journal

    def _opened(self) -> Journal:
        try:
            return Journal(self.path, self._run)
        except ValueError:
            # Only this program writes here: what it wrote was torn.
            self.path.unlink()
            return Journal(self.path, self._run)


def _remarks(lines: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    noted = [line for line in lines if "remark" in line]
    return {line.get("remark_on") or line.get("sha256", ""): line["remark"] for line in noted}
