"""A region as a browser sends it, which may be anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from core import Scan
    from core.fidelity.region import Region

MOST_CORNERS = 300
FAR = 1e6  # pixels; no slice is as wide
SHAPES = ("ellipse", "polygon", "none")


class Drawn(NamedTuple):
    """What the reader drew on a slice, from 0.

    shape: one of `SHAPES`, none where the slice's region was removed; points: (row, column) in pixels of the slice, two
    opposite corners of the box around an ellipse, or the corners of a polygon.
    """

    frame: int
    shape: str
    points: tuple[tuple[float, float], ...] = ()

    def region(self, scan: Scan) -> Region:
        """The pixels within; RegionError, of one sentence, where there are none."""
        from core.fidelity.region import ellipse, polygon

        shape = scan.values.shape[1:3]
        if self.shape == "polygon":
            return polygon(shape, self.frame, self.points)
        (top, left), (bottom, right) = self.points
        centre, radii = ((top + bottom) / 2, (left + right) / 2), (abs(bottom - top) / 2, abs(right - left) / 2)
        return ellipse(shape, self.frame, centre, radii)


def drawn_of(answer: Any, scan: Scan, reduction: int) -> Drawn | None:
    """What the browser sent, as far as it makes sense; it has every `reduction`-th row and column of the scan."""
    if not isinstance(answer, dict):
        return None
    frame, shape, points = answer.get("slice"), answer.get("shape"), answer.get("points")
    if type(frame) is not int or not 0 <= frame < scan.frame_count or shape not in SHAPES:
        return None
    if shape == "none":
        return Drawn(frame, shape)
    if not isinstance(points, list) or not 2 <= len(points) <= MOST_CORNERS or (shape == "ellipse" and len(points) > 2):
        return None
    height, width = scan.values.shape[1:3]
    places = [_place(point, reduction, height, width) for point in points]
    known = tuple(place for place in places if place)
    return Drawn(frame, shape, known) if len(known) == len(places) else None


def _place(point: Any, reduction: int, height: int, width: int) -> tuple[float, float] | None:
    """[column, row] as the browser has it → (row, column) within the slice."""
    if not isinstance(point, list) or len(point) != 2:
        return None
    if not all(type(at) in (int, float) and -FAR < at < FAR for at in point):
        return None
    column, row = (float(at) * reduction for at in point)
    return min(max(row, 0.0), float(height)), min(max(column, 0.0), float(width))
