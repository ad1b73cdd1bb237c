"""Memory that one process hands to another without a copy, by its descriptor; nothing of it has a name on the disk."""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import weakref
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

_SIZED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_MARK = b"m"


class SharedMemory(mmap.mmap):
    """Bytes in memory; they are freed when nobody who has them mapped holds them any more.

    Attributes
    ----------
    descriptor : int
        Of the anonymous file that they are (memfd_create(2)).
    length : int
        How many there are; a mapping has one at least.
    """

    descriptor: int
    length: int

    @classmethod
    def _mapped(cls, descriptor: int, size: int, flags: int, access: int) -> SharedMemory:
        memory = cls(descriptor, max(size, 1), flags, access)
        memory.descriptor, memory.length = descriptor, size
        weakref.finalize(memory, os.close, descriptor)
        return memory

    @classmethod
    def zeros(cls, size: int) -> SharedMemory:
        """Memory to write to. Raise MemoryError where this process may have no more."""
        descriptor = os.memfd_create("purescan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, max(size, 1))
        try:
            return cls._mapped(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        except OSError as error:
            os.close(descriptor)
            raise MemoryError from error

    @classmethod
    def written(cls, write: Callable[[BinaryIO], object]) -> SharedMemory:
        """What `write` writes to the file that it is given; nobody can change it afterwards."""
        descriptor = os.memfd_create("purescan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with open(os.dup(descriptor), "w+b") as file:
            write(file)
        size = os.fstat(descriptor).st_size
        os.ftruncate(descriptor, max(size, 1))
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SIZED | fcntl.F_SEAL_WRITE)
        return cls._read_only(descriptor, size)

    @classmethod
    def _read_only(cls, descriptor: int, size: int) -> SharedMemory:
        # Private, as a sealed file can't be mapped otherwise; populated, so that it counts as this process's memory.
        return cls._mapped(descriptor, size, mmap.MAP_PRIVATE | mmap.MAP_POPULATE, mmap.PROT_READ)

    @classmethod
    def of(cls, content: bytes | memoryview | SharedMemory) -> SharedMemory:
        """The memory itself, or that a view is of, or a copy of the bytes."""
        return memory_of(content) or cls.written(lambda file: file.write(content))

    @property
    def view(self) -> memoryview:
        """All of them."""
        return memoryview(self)[: self.length]

    def send(self, connection: socket.socket) -> None:
        """Let the other end of a socket map it: `receive` does."""
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SIZED)
        socket.send_fds(connection, [_MARK], [self.descriptor])

    @classmethod
    def receive(cls, connection: socket.socket, size: int) -> SharedMemory:
        """Return `size` bytes that were sent, for reading.

        Raise EOFError, OSError or ValueError where they aren't there, or could be taken away again: who reads what
        another process has cut off dies.
        """
        _, descriptors, _, _ = socket.recv_fds(connection, len(_MARK), 1)
        if not descriptors:
            raise EOFError
        (descriptor,) = descriptors
        try:
            if os.fstat(descriptor).st_size < size or not fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SIZED == _SIZED:
                raise ValueError("Less memory than was announced.")
            return cls._read_only(descriptor, size)
        except BaseException:
            os.close(descriptor)
            raise


def memory_of(held: Any) -> SharedMemory | None:
    """The shared memory that an array or a view is all of, from its start on; None where there is no such."""
    if isinstance(held, SharedMemory):
        return held
    base = held
    while base is not None and not isinstance(base, SharedMemory):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    if base is None:
        return None
    array = np.asarray(held)
    same = array.flags.c_contiguous and array.ctypes.data == np.frombuffer(base, np.uint8).ctypes.data
    return base if same and (isinstance(held, np.ndarray) or array.nbytes == base.length) else None
