"""Memory that crosses from process to process, and contents that are unpacked while they are read."""

from __future__ import annotations

import gc
import os
import socket
import zipfile
from io import BytesIO

import numpy as np
import pytest

from core.scans import limits
from core.scans.archive import unpack
from core.scans.loading import Study, load_scan
from core.scans.memory.content import Content
from core.scans.memory.shared import SharedMemory, memory_of
from core.scans.memory.volume import Volume, shared_array
from core.scans.scan import TooLarge
from tests.scans.builders import dicom, ramp, zipped


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_what_was_sent_is_the_same_memory() -> None:
    here, there = socket.socketpair()
    values = shared_array((2, 3), np.dtype(np.int16), "a")
    values[1] = 7
    memory = memory_of(values)
    assert memory is not None
    with here, there:
        memory.send(here)
        received = SharedMemory.receive(there, values.nbytes)
    values[0, 0] = -3
    np.testing.assert_array_equal(np.frombuffer(received, np.int16).reshape(2, 3), values)
    with pytest.raises(ValueError, match="read-only"):
        np.frombuffer(received, np.int16)[0] = 1


def test_memory_that_may_be_cut_off_is_not_taken() -> None:
    here, there = socket.socketpair()
    with here, there:
        descriptor = os.memfd_create("loose", os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, 4096)
        socket.send_fds(here, [b"m"], [descriptor])
        with pytest.raises(ValueError):
            SharedMemory.receive(there, 4096)
        SharedMemory.of(b"short").send(here)
        with pytest.raises(ValueError):
            SharedMemory.receive(there, 4096)
        here.send(b"m")
        with pytest.raises(EOFError):
            SharedMemory.receive(there, 1)
        os.close(descriptor)


def test_an_upload_cannot_be_changed_by_who_opens_it() -> None:
    memory = SharedMemory.of(b"content")
    with pytest.raises(OSError):
        os.ftruncate(memory.descriptor, 0)
    with pytest.raises(OSError):
        os.pwrite(memory.descriptor, b"x", 0)
    assert bytes(memory.view) == b"content" and memory_of(memory.view) is memory
    assert memory_of(memory.view[1:]) is None and SharedMemory.of(memory.view) is memory
    assert bytes(SharedMemory.of(b"").view) == b""


def test_scans_and_studies_that_are_let_go_leave_no_descriptor() -> None:
    load_scan(dicom(ramp()))
    gc.collect()
    before = descriptors()
    for _ in range(5):
        assert Study.of_files([("a.dcm", dicom(ramp()))]).begin().finish().frame_count == 1
    gc.collect()
    assert descriptors() == before


def test_frames_widen_what_holds_them() -> None:
    volume = Volume(2, "a")
    volume.put(1, np.full((2, 2), 200, np.uint8))
    volume.put(0, np.full((2, 2), -1000, np.int16))
    volume.put(2, np.full((2, 2), 5, np.uint8))
    values = volume.take(range(3))
    assert values.dtype == np.int16 and values[:, 0, 0].tolist() == [-1000, 200, 5]
    with pytest.raises(ValueError, match="shapes"):
        volume.put(0, np.zeros((1, 2), np.uint8))
    assert volume.take([0, 2])[:, 0, 0].tolist() == [-1000, 5]


def test_pixels_are_bounded_in_the_type_that_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SCAN_BYTES", 100)
    assert shared_array((100,), np.dtype(np.uint8), "a").nbytes == 100
    with pytest.raises(TooLarge, match="'a' needs more memory"):
        shared_array((100,), np.dtype(np.int16), "a")


def test_no_more_than_the_beginning_is_unpacked_until_more_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.scans.archive._KEPT_BYTES", 0)
    stream, text = BytesIO(), bytes(range(256)) * 8192
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a", text)
    ((_, content),) = unpack(stream.getvalue(), "a.zip").files
    assert content.size == len(text) and content.head == text[:4096] and content._view is None
    file = content.stream
    file.seek(300)
    assert file.read(10) == text[300:310] and content._view is None
    file.seek(-4, 2)
    assert file.read() == text[-4:] and content._view is not None
    content.let_go()
    assert content._view is None and bytes(content.part(5, 9)) == text[5:9]
    assert file.read(9) == b"" and content._view is None


def test_a_member_that_is_damaged_is_left_out() -> None:
    whole = {f"{place}.dcm": dicom(ramp(), InstanceNumber=place, SeriesInstanceUID="1.2") for place in range(3)}
    data = bytearray(zipped(whole))
    with zipfile.ZipFile(BytesIO(data)) as archive:
        middle = archive.infolist()[1]
    data[middle.header_offset + 60 + middle.compress_size // 2] ^= 0xFF
    scan = load_scan(bytes(data))
    assert scan.frame_count == 2 and any("left out" in note for note in scan.notes)


def test_contents_are_read_as_files_are() -> None:
    file = Content.of(b"0123456789").stream
    space = bytearray(4)
    assert file.readinto(space) == 4 and bytes(space) == b"0123" and file.tell() == 4  # type: ignore[attr-defined]
    assert file.seek(-2, 1) == 2 and file.read(3) == b"234" and file.read() == b"56789" and file.read() == b""
