"""How the slices of a NIfTI volume lie: on the screen and in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.orientations import inv_ornt_aff

from core.scans.dicom.loading import SPACING_NOTE
from core.scans.geometry import Placement, plane_of, plausible_plane


@dataclass(frozen=True, eq=False)
class View:
    """How a volume is turned for the screen.

    Attributes
    ----------
    turn : numpy.ndarray or None
        (3, 2) axis and direction of each stored axis, as `nibabel.io_orientation`; None where they stay as they are.
    axes : tuple of int
        Which axes, of left to right, back to front and feet to head, run over slices, rows and columns.
    """

    turn: np.ndarray | None
    axes: tuple[int, int, int]

    def stored_axes(self) -> list[int]:
        """Which stored axes run over slices, rows and columns."""
        if self.turn is None:
            return list(self.axes)
        targets = [int(target) for target in self.turn[:, 0]]
        return [targets.index(axis) for axis in self.axes]

    def letters(self) -> str:
        """What slices, rows and columns of `frames` run towards."""
        across, *plane = self.axes
        return "RAS"[across] + "".join("LPI"[axis] for axis in plane)

    def frames(self, raw: np.ndarray) -> np.ndarray:
        """(X, Y, Z) as stored → (F, H, W): head or front up, the patient's right or front on the left."""
        turned = raw if self.turn is None else nib.apply_orientation(raw, self.turn)
        frames = turned.transpose(self.axes)
        return frames[:, ::-1, ::-1]

    def stored(self, frames: np.ndarray) -> np.ndarray:
        """(F, H, W) or (F, H, W, 3) as `frames` gives them → (X, Y, Z) or (X, Y, Z, 3) as stored, the same memory."""
        own = tuple(range(3, frames.ndim))
        turned = frames[:, ::-1, ::-1].transpose((*np.argsort(self.axes), *own))
        if self.turn is None:
            return turned
        back = turned.transpose((*self.turn[:, 0].astype(int), *own))
        return back[tuple(slice(None, None, int(direction)) for direction in self.turn[:, 1])]


def view_of(header: Nifti1Header, shape: tuple[int, ...], notes: list[str]) -> View:
    """Axial slices, unless there is but one slice and it is another."""
    if int(header["qform_code"]) == 0 and int(header["sform_code"]) == 0:
        notes.append("The file does not state its orientation, so left and right may be swapped.")
    turn = _turn(header)
    if turn is None:
        notes.append("The orientation in the file cannot be used, so left and right may be swapped.")
    lengths = dict(zip(range(3) if turn is None else turn[:, 0].astype(int), shape, strict=True))
    across = next((axis for axis in (2, 1, 0) if lengths[axis] == 1), 2)
    columns, rows = (axis for axis in range(3) if axis != across)
    return View(turn, (across, rows, columns))


def _turn(header: Nifti1Header) -> np.ndarray | None:
    try:
        turn = nib.io_orientation(header.get_best_affine())
    except Exception:
        return None
    return turn if np.isfinite(turn).all() else None


def spacing_of(
    header: Nifti1Header, unknown: set[int], view: View, frames: int, notes: list[str]
) -> tuple[float, float, float] | None:
    """Return millimetres between slices, rows and columns, as shown."""
    zooms = [float(zoom) for zoom in header["pixdim"][1:4]]
    scale = {1: 1000.0, 3: 0.001}.get(int(header["xyzt_units"]) & 7, 1.0)
    across, *plane = view.stored_axes()
    rows, columns = (zooms[axis] * scale for axis in plane)
    if unknown & set(plane) or not plausible_plane(rows, columns):
        notes.append(SPACING_NOTE)
        return None
    if across in unknown and frames > 1:
        notes.append("The distance between slices is not stated and is taken as 1 mm.")
    return 1.0 if across in unknown else zooms[across] * scale, rows, columns


def plane_of_slices(header: Nifti1Header, view: View) -> str | None:
    """The plane of the slices as shown; None where the file states no orientation."""
    if view.turn is None or int(header["qform_code"]) == 0 and int(header["sform_code"]) == 0:
        return None
    _, rows, columns = view.stored_axes()
    affine = header.get_best_affine()
    normal = np.cross(affine[:3, rows], affine[:3, columns])
    length = float(np.linalg.norm(normal))
    return plane_of(normal / length) if np.isfinite(length) and length > 0 else None


def placement_of(header: Nifti1Header, view: View, shape: tuple[int, ...]) -> Placement | None:
    """Where the slices lie as shown; None where the file states no orientation, or one that can't be used.

    NIfTI's axes run to the right and to the front, those of a placement to the left and to the back.
    """
    if view.turn is None or int(header["qform_code"]) == 0 and int(header["sform_code"]) == 0:
        return None
    unit = {1: 1000.0, 3: 0.001}.get(int(header["xyzt_units"]) & 7, 1.0)
    affine = np.diag([-unit, -unit, unit, 1.0]) @ header.get_best_affine() @ inv_ornt_aff(view.turn, shape)
    if not np.isfinite(affine).all():
        return None
    turned = {int(target): shape[axis] for axis, target in enumerate(view.turn[:, 0])}
    across, rows, columns = view.axes
    steps = {axis: affine[:3, axis] for axis in range(3)}
    corner = affine[:3, 3] + sum((turned[axis] - 1) * steps[axis] for axis in (rows, columns))
    corners = tuple(tuple(map(float, corner + index * steps[across])) for index in range(turned[across]))
    down, right = (tuple(map(float, -steps[axis])) for axis in (rows, columns))
    return Placement(corners, down, right)  # type: ignore[arg-type]
