"""Records along a run of any length, kept in so little memory that thousands of steps can be watched and replayed."""

from typing import Generic, Protocol, TypeVar

MOST_KEPT = 60


class Stepped(Protocol):
    """A record of the state after `step` steps."""

    @property
    def step(self) -> int: ...


T = TypeVar("T", bound=Stepped)


class DecimatedHistory(Generic[T]):
    """Every record at first, and fewer the longer the run gets, at even distances.

    Written by one thread, and read by any other.

    Parameters
    ----------
    first : Stepped
        The record of step 0.
    most : int
        So many records are kept at most, at least 2.

    Attributes
    ----------
    kept : tuple of Stepped
        In order.
    """

    def __init__(self, first: T, most: int = MOST_KEPT) -> None:
        self._most, self._stride = most, 1
        self.kept: tuple[T, ...] = (first,)

    def wants(self, step: int) -> bool:
        """Whether a record of this step would be kept: who would have to make it asks first."""
        return step % self._stride == 0

    def keep(self, record: T) -> None:
        """Add a record, and thin all of them where there are too many by now."""
        records = (*self.kept, record)
        if len(records) > self._most:
            self._stride *= 2
            records = tuple(kept for kept in records if self.wants(kept.step))
        self.kept = records  # in one go, as another thread reads it

    def close(self, record: T) -> None:
        """Add the last record of the run, whatever its step; where there is no room, in place of the one before it."""
        self.kept = (*self.kept[: self._most - 1], record)
