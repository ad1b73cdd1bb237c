"""A cohort: the scans in it, and their way through the pipeline, one at a time."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from core.bundles import Bundle
from core.report.cases import AuditSettings, Case, examined_case
from core.report.regions import OutlineFile, may_outline
from core.report.sources import Source
from core.report.store import CaseStore
from core.scans import ScanError, limits, sample_scans
from core.scans.archive import Contents, gunzip, pack, read_folder, unpack
from core.scans.loading import sort_files
from core.scans.memory.content import Buffer, Content
from core.scans.samples import BRAIN
from core.scans.sniffing import DICOM, GZIP, ZIP, sniff
from core.scans.text import one_line

COHORT = Path(__file__).resolve().parents[2] / "assets" / "cohort"


def sample_cohort(bundle: str = BRAIN) -> tuple[Source, ...]:
    """A bundle's synthetic samples, and attacked copies of some, whose clean originals are known."""
    clean = [sample.path for sample in sample_scans(bundle) if sample.origin == "synthetic"]
    known = {path.name: path for path in clean}
    pairs = json.loads((COHORT / "references.json").read_text(encoding="utf-8"))["references"]
    attacked = [(COHORT / file, known[reference]) for file, reference in pairs.items() if reference in known]
    together = [*((path, None) for path in clean), *attacked]
    return tuple(replace(_file(path, path.name, known), truth=_drawn_as(known or path)) for path, known in together)


def _drawn_as(sample: Path) -> str:
    """The class that a synthetic sample was drawn as, by its name: 'no-tumour-03.dcm' is of 'no tumour'."""
    return sample.stem.rpartition("-")[0].replace("-", " ")


def folder_cohort(folder: Path) -> tuple[Source, ...]:
    """Every file below a folder as a scan of its own; ScanError where it holds none, or too much."""
    return tuple(_file(folder / name, name) for name, _ in _all_files(read_folder(folder, folder.name)))


def uploaded_cohort(files: Sequence[tuple[str, bytes]], discs: bool = False) -> tuple[Source, ...]:
    """Uploaded files, named, as scans; of a ZIP archive each file in it, within the bounds of all archives.

    `discs`: of an archive that holds DICOM those that are no scans are left out.

    Raises
    ------
    ScanError
        An archive is damaged, too large or nested, or there is too much in all; one sentence.
    """
    sources: list[Source] = []
    for name, data in files:
        sources += _packed(name, data, discs) if sniff(data) == ZIP else [_uploaded(name, data)]
        if len(sources) > limits.MAX_FILES:
            raise ScanError(f"These are more than {limits.MAX_FILES} files: audit them in parts.")
    return tuple(sources)


def study_cohort(files: Sequence[tuple[str, bytes]]) -> tuple[Source, ...]:
    """Uploaded files, as `uploaded_cohort` takes them; files of one DICOM series are one scan.

    Of a series `examine` takes the middle slice, as of any volume. A DICOM SEG, an RTSTRUCT or a NIfTI mask is no scan,
    but outlines something on the others. Of an archive that holds DICOM what is no scan, or can't be unpacked, is left
    out and counted: a patient CD brings a viewer and its logs. ScanError also where the files can't be looked through
    in time.
    """
    sources = uploaded_cohort(files, discs=True)
    facts = sort_files(source.read() for source in sources)
    outlines = tuple(
        OutlineFile(source.name, source.read, source.sha256, own.reference)
        for source, own in zip(sources, facts, strict=True)
        if own.outlines
    )
    series: dict[object, list[Source]] = {}
    for place, (source, own) in enumerate(zip(sources, facts, strict=True)):
        if not own.outlines:
            series.setdefault(own.series or place, []).append(source)
    if sources and not series:
        raise ScanError("These files outline scans but hold none: add the scans that they were made on.")
    scans = [_together(parts) for parts in series.values()]
    outlining = [source for source, own in zip(sources, facts, strict=True) if own.outlines]
    scans[0] = _with_left_out(scans[0], [scans[0], *outlining])  # which are no scans, and would take it with them
    return tuple(
        replace(scan, outlines=tuple(file for file in outlines if may_outline(file, scan.name, len(scans) == 1)))
        for scan in scans
    )


def _together(parts: list[Source]) -> Source:
    """The files of one series as one scan."""
    if len(parts) == 1:
        return parts[0]
    name = f"{one_line(parts[0].name, 40)} and {len(parts) - 1} more"
    digest = _sha256("".join(part.sha256 for part in parts).encode("ascii"))
    return _with_left_out(Source(name, digest, lambda: packed(parts), files=len(parts)), parts)


def _with_left_out(scan: Source, parts: Sequence[Source]) -> Source:
    """The scan with what was left out beside these."""
    reasons = tuple(reason for part in parts for reason in part.not_unpacked)
    return replace(scan, left_out=sum(part.left_out for part in parts), not_unpacked=reasons)


def packed(parts: Sequence[Source]) -> memoryview:
    """Several files as one archive; ScanError where they are more than may be opened at once."""
    return pack([(part.name, part.read()) for part in parts], parts[0].name).view


def _uploaded(name: str, data: bytes) -> Source:
    return Source(_shown(name), _sha256(data), lambda: data)


def _packed(name: str, data: bytes, discs: bool) -> list[Source]:
    contents, left_out = unpack(data, name), 0
    reasons: tuple[str, ...] = ()
    if discs and any(content.kind == DICOM for _, content in contents.files):
        scans = _scans_of(contents)
        left_out = len(contents.files) + len(contents.errors) - len(scans.files)
        reasons = tuple(str(error) for error in scans.errors)
        contents = Contents(scans.files)
    sources = []
    for file, content in _all_files(contents):
        sources.append(Source(_shown(file), _sha256(content.view), partial(_unpacked, content)))
        content.let_go()
    if left_out:
        sources[0] = replace(sources[0], left_out=left_out, not_unpacked=reasons)
    return sources


def _scans_of(contents: Contents) -> Contents:
    """What may be scans, and why the rest of them can't be unpacked."""
    scans = Contents(errors=list(contents.errors))
    for file, content in contents.files:
        try:
            if _may_be_scan(content, file):
                scans.files.append((file, content))
        except ScanError as error:
            scans.errors.append(error)
    return scans


def _may_be_scan(content: Content, name: str) -> bool:
    if content.kind != GZIP:
        return content.kind is not None
    try:
        return gunzip(content, name, limits.MAX_ARCHIVE_BYTES)[1] != GZIP
    finally:
        content.let_go()


def _unpacked(content: Content) -> Buffer:
    """What a file of an archive holds; the archive stays packed, as a cohort may be many times as large unpacked."""
    view = content.view
    content.let_go()
    return view


def _all_files(contents: Contents) -> list[tuple[str, Content]]:
    # Whoever audits a cohort wants none of it left out in silence.
    if contents.errors:
        raise contents.errors[0]
    return contents.files


def _file(path: Path, name: str, reference: Path | None = None) -> Source:
    return Source(_shown(name), _sha256(path.read_bytes()), path.read_bytes, reference)


def _shown(name: str) -> str:
    return one_line(name) or "unnamed"


def _sha256(data: Buffer) -> str:
    return hashlib.sha256(data).hexdigest()


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
