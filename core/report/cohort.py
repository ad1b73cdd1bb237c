"""A cohort through the pipeline, a scan at a time; finished scans are kept, so that a run which was cut off goes on."""

import hashlib
import json
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from core import compute
from core.bundles import Bundle
from core.evaluation.evaluation import weights_record
from core.evaluation.journal import Journal, cache_folder, fingerprint
from core.fidelity.metrics import Fidelity
from core.purification.ddim import PURIFY_STEPS
from core.report.cases import AuditSettings, Case, Source, examined_case
from core.scans import ScanError, limits, sample_scans
from core.scans.archive import read_folder, unpack
from core.scans.sniffing import ZIP, sniff
from core.scans.text import one_line

COHORT = Path(__file__).resolve().parents[2] / "assets" / "cohort"


def sample_cohort() -> tuple[Source, ...]:
    """Our synthetic samples, and attacked copies of some, whose clean originals are known."""
    clean = [sample.path for sample in sample_scans() if sample.origin == "synthetic"]
    known = {path.name: path for path in clean}
    pairs = json.loads((COHORT / "references.json").read_text(encoding="utf-8"))["references"]
    attacked = [(COHORT / file, known.get(reference)) for file, reference in pairs.items()]
    return tuple(_file(path, path.name, reference) for path, reference in [*((p, None) for p in clean), *attacked])


def folder_cohort(folder: Path) -> tuple[Source, ...]:
    """Every file below a folder as a scan of its own; ScanError where it holds none, or too much."""
    return tuple(_file(folder / name, name) for name, _ in read_folder(folder, folder.name))


def uploaded_cohort(files: Sequence[tuple[str, bytes]]) -> tuple[Source, ...]:
    """Uploaded files, named, as scans; of a ZIP archive each file in it, within the bounds of all archives.

    Raises
    ------
    ScanError
        An archive is damaged, too large or nested, or there is too much in all; one sentence.
    """
    sources: list[Source] = []
    for name, data in files:
        sources += _packed(name, data) if sniff(data) == ZIP else [_uploaded(name, data)]
        if len(sources) > limits.MAX_FILES:
            raise ScanError(f"These are more than {limits.MAX_FILES} files: audit them in parts.")
    return tuple(sources)


def _uploaded(name: str, data: bytes) -> Source:
    return Source(_shown(name), _sha256(data), lambda: data)


def _packed(name: str, data: bytes) -> list[Source]:
    # Unpacked once for the checks and the digests. Held packed, as a cohort may be many times as large unpacked.
    return [
        Source(_shown(file), digest, partial(_member, data, file, digest))
        for file, digest in [(file, _sha256(content)) for file, content in unpack(data, name)]
    ]


def _member(data: bytes, name: str, sha256: str) -> bytes:
    """The content of one file of an archive that was checked before; names need not be unique, digests are."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        contents = (archive.read(entry) for entry in archive.infolist() if entry.filename == name)
        return next(content for content in contents if _sha256(content) == sha256)


def _file(path: Path, name: str, reference: Path | None = None) -> Source:
    return Source(_shown(name), _sha256(path.read_bytes()), path.read_bytes, reference)


def _shown(name: str) -> str:
    return one_line(name) or "unnamed"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def run_record(sources: Sequence[Source], bundle: Bundle, settings: AuditSettings) -> dict[str, Any]:
    """Everything that the cases of a cohort depend on; no file names."""
    name = bundle.classifier_name(settings.classifier)
    limits_today, diffusion = bundle.limits_of(name), bundle.diffusion
    assert diffusion is not None, "a bundle without has no limits"
    scans = [[source.sha256, source.reference and _sha256(source.reference.read_bytes())] for source in sources]
    return {
        # Cases that an earlier version of this program kept with other numbers must not be taken for this one's.
        "numbers": [field.name for kind in (Case, Fidelity) for field in fields(kind)],
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
    """Finished cases of one cohort on this machine's disk: numbers and digests, no pixels and no file names.

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
        self.known = self._known(sources)

    def keep(self, case: Case) -> None:
        """Write a finished case. Of a file that could not be opened nothing is kept: the sentence may name it."""
        journal = self._open() if case.problem is None else None
        if journal is not None:
            try:
                journal.add(case.numbers())
            except OSError:
                self.failed = True

    def forget(self) -> None:
        """Delete what was kept."""
        self._journal, self.known = None, {}
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            self.failed = True

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
            # Only this program writes here: one visitor deleted the file while another went on writing to it.
            self.path.unlink()
            return Journal(self.path, self._run)

    def _known(self, sources: Sequence[Source]) -> Mapping[int, Case]:
        journal = self._open(anew=False)
        lines = {line["sha256"]: line for line in journal.lines if "sha256" in line} if journal is not None else {}
        found = {index: lines.get(source.sha256) for index, source in enumerate(sources)}
        return {index: Case.from_numbers(line, sources[index].name) for index, line in found.items() if line}


def cohort_cases(
    sources: Sequence[Source],
    bundle: Bundle,
    settings: AuditSettings,
    store: CaseStore | None = None,
    done: Collection[int] = (),
) -> Iterator[tuple[int, Case]]:
    """Place in the cohort and case of every scan, in order.

    A file that can't be opened gives a case that says why, and doesn't end the run.

    Parameters
    ----------
    store : CaseStore, optional
        What is finished goes to it before it is yielded.
    done : collection of int
        Places to leave out, such as those in `store.known`.
    """
    for index, source in enumerate(sources):
        if index in done:
            continue
        case = examined_case(source, bundle, settings)
        if store:
            store.keep(case)
        yield index, case
