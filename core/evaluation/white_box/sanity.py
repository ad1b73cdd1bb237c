"""Tests that catch masked gradients: an attack that fails because it can't see is no proof (Athalye et al. 2018).

They go by recorded rows alone. A row is withdrawn where one of them fails, and green where all that apply were made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.attacks import ATTACKS, AttackSettings, sees_defence
from core.evaluation.white_box.readings import RIGHT_BENEATH, SHARES, is_one_of
from core.statistics import bootstrap_interval

QUERY = ("square", "rays")
EXACT = ("pgd", "apgd", "autoattack-rand")  # they follow the defence's own gradient, in all directions
UNBOUNDED = 64  # /255: so far from the scan anything can be made of it
ASKED = ("single", "fixed")  # the readings that attacks aim at
MORE, OTHERS, FAR = "more steps or EOT", "other attackers", f"ε = {UNBOUNDED}/255"


@dataclass(frozen=True)
class MeasuredRow:
    """One attack on N scans: what it was, and reading → `readings.Outcome`, a letter a scan."""

    attack: AttackSettings
    outcomes: Mapping[str, str]

    @property
    def kind(self) -> str:
        """clean, transfer (from the classifier alone), query (answers alone), exact, or another way through."""
        method = self.attack.method
        if method is None:
            return "clean"
        if not sees_defence(self.attack):
            return "transfer"
        return "query" if method in QUERY else "exact" if method in EXACT else "other"


@dataclass(frozen=True)
class Verdict:
    """faults: why the row is withdrawn, a sentence each; missing: tests that apply, for which no row was measured."""

    faults: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """withdrawn, incomplete or green."""
        return "withdrawn" if self.faults else "incomplete" if self.missing else "green"


def verdicts(rows: Sequence[MeasuredRow], groups: Sequence[str]) -> list[Verdict | None]:
    """Judge rows that were measured on the same scans, each by the others; None where nothing is claimed by a row.

    More steps or EOT are never weaker; an attacker who follows the defence's gradient is never weaker than one who has
    another's, an approximate one or answers alone; and at ε = 64/255 no answer is left. 'Weaker' means that the 95 %
    interval of the difference, scan by scan over groups, lies above 0.

    groups: (N,) near-duplicate group of each scan.
    """
    return [_verdict(row, rows, groups) for row in rows]


def _verdict(row: MeasuredRow, rows: Sequence[MeasuredRow], groups: Sequence[str]) -> Verdict | None:
    if row.kind in ("clean", "transfer", "query"):
        return None
    budgets = [other for other in rows if _same_but_budget(other, row)]
    fewer = [other for other in budgets if _spends_more(row, other)]
    faults = [_weaker(row, other, groups, MORE) for other in fewer]
    compared = {MORE: any(_spends_more(other, row) or _spends_more(row, other) for other in budgets)}
    if row.kind == "exact":
        rivals = [other for other in rows if _rivals(row, other)]
        far = [other for other in rows if other.kind == "exact" and _is_far(other.attack)]
        faults += [_weaker(row, other, groups, OTHERS) for other in rivals]
        faults += [_survives(other, groups) for other in far]
        compared |= {OTHERS: _kinds_below(row.attack.norm) <= {other.kind for other in rivals}, FAR: bool(far)}
    missing = [test for test, made in compared.items() if not made and not _is_far(row.attack)]
    return Verdict(tuple(dict.fromkeys(fault for fault in faults if fault)), tuple(missing))


def _same_but_budget(first: MeasuredRow, second: MeasuredRow) -> bool:
    def rest(attack: AttackSettings) -> tuple[object, ...]:
        return attack.method, attack.norm, attack.eps, attack.white_box, attack.target, attack.step_size

    return rest(first.attack) == rest(second.attack)


def _spends_more(first: MeasuredRow, second: MeasuredRow) -> bool:
    """Whether the first has at least as many steps and EOT calls, and more of one of them."""
    one, two = (((row.attack.steps or 0), row.attack.eot) for row in (first, second))
    return one != two and one[0] >= two[0] and one[1] >= two[1]


def _rivals(row: MeasuredRow, other: MeasuredRow) -> bool:
    """Whether the exact attack must be at least as strong as the other one: it has the same ball and sees more."""
    same_ball = (row.attack.norm, row.attack.eps) == (other.attack.norm, other.attack.eps)
    return same_ball and (other.kind in ("transfer", "query") or other.attack.method == "bpda")


def _kinds_below(norm: str) -> set[str]:
    """Who sees less than an exact attack, as far as there are such attacks in this norm."""
    return {"transfer"} | {"query" for name in QUERY if norm in ATTACKS[name].norms}


def _is_far(attack: AttackSettings) -> bool:
    return attack.norm == "linf" and attack.eps >= UNBOUNDED


def _weaker(row: MeasuredRow, other: MeasuredRow, groups: Sequence[str], test: str) -> str | None:
    """A sentence where `row` leaves surely more answers right than `other`."""
    for reading in ASKED:
        mine, theirs = (_right(each, reading, SHARES["accuracy"]) for each in (row, other))
        low, _ = bootstrap_interval(mine - theirs, groups)
        if low > 0:
            return (
                f"{test.capitalize()}: {mine.mean():.1%} of the answers stay right ({reading}), "
                f"and {theirs.mean():.1%} under {_words(other.attack)}."
            )
    return None


def _survives(row: MeasuredRow, groups: Sequence[str]) -> str | None:
    for reading in ASKED:
        right = _right(row, reading, RIGHT_BENEATH)
        low, _ = bootstrap_interval(right, groups)
        if low > 0:
            return f"At {FAR} {right.mean():.1%} of the answers are still right ({reading})."
    return None


def _right(row: MeasuredRow, reading: str, counted: Sequence[str]) -> NDArray[np.float64]:
    return is_one_of(row.outcomes[reading], counted).astype(float)


def _words(attack: AttackSettings) -> str:
    knows = "" if sees_defence(attack) else " on the classifier alone"
    return f"{attack.method}{knows} with {attack.steps or 'its own number of'} steps, EOT-{attack.eot}"


def strongest(rows: Sequence[MeasuredRow]) -> Iterator[tuple[str, float, int, dict[str, str]]]:
    """Yield for every norm and ε what is left when each scan meets the worst attack for it, or none at all.

    Norm, ε, how many attacks, and reading → outcomes. The worst is a wrong answer without alarm, then one with it.
    """
    worst_first = "woRra."
    clean = [row for row in rows if row.kind == "clean"]
    balls = dict.fromkeys((row.attack.norm, row.attack.eps) for row in rows if row.kind != "clean")
    for norm, eps in balls:
        own = [row for row in rows if row.kind != "clean" and (row.attack.norm, row.attack.eps) == (norm, eps)]
        together = {
            reading: "".join(
                min(scan, key=worst_first.index) for scan in zip(*(r.outcomes[reading] for r in own + clean))
            )
            for reading in own[0].outcomes
        }
        yield norm, eps, len(own), together
