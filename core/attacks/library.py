"""C&W (Carlini & Wagner 2017), DeepFool (Moosavi-Dezfooli et al. 2016) and EAD (Chen et al. 2018).

But for C&W in ℓ∞, which is a gradient ascent on another loss, they are foolbox's (Rauber et al. 2020).
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from threading import Thread
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.attacks.attempts import (
    Best,
    Source,
    ascend,
    check_counts,
    checked_radius,
    draw,
    fooled,
    into_ball,
    look,
    margin,
    refuse_target,
    relay,
    streams,
)
from core.attacks.gradient import AttackStep, Model, project, steepest

CONFIDENCE = 50.0  # κ of the ℓ∞ variant (Madry et al. 2018, section 5)
SEARCHES = 5  # binary search steps over the weight of the loss, in C&W ℓ2 and EAD
# Three searches that fail reach 100, each ten times the one before; foolbox's own 1e-3 would waste two.
FIRST_WEIGHT = 0.1
CANDIDATES = 10  # classes that DeepFool looks at


def cw_yields(steps: int, norm: str, classes: int) -> int:
    """How many steps C&W yields."""
    return steps if norm == "linf" else SEARCHES * steps + 1


def deepfool_yields(steps: int, norm: str, classes: int) -> int:
    """How many steps DeepFool yields at most: it asks once for every class that it could go to."""
    return 1 + steps * (min(classes, CANDIDATES) - 1) + 1


def ead_yields(steps: int, norm: str, classes: int) -> int:
    """How many steps EAD yields: each of its own asks twice, for a gradient and for the answer."""
    return 2 * SEARCHES * steps + 1


def cw(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    generator: Source,
    norm: str = "linf",
    steps: int | None = None,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    searches: int = SEARCHES,
    **_: object,
) -> Iterator[AttackStep]:
    """C&W: the smallest ℓ2 perturbation that fools, or the highest margin in an ℓ∞ ball; parameters as for `pgd`.

    Parameters
    ----------
    generator : torch.Generator, or one an image
        Source of the random starts for ℓ∞; the ℓ2 attack draws nothing, so that it is the same at every restart.
    norm : str
        "l2" or "linf".
    steps : int, optional
        By default 40 for ℓ∞, and 100 iterations in each of the `searches` for ℓ2.

    Yields
    ------
    AttackStep
        One a call of the model, and a last one with the result; `loss` is the margin. A smallest perturbation that is
        larger than ε is projected onto the ball.

    Raises
    ------
    ValueError
        A parameter is out of range; one sentence.
    """
    steps = (40 if norm == "linf" else 100) if steps is None else steps
    check_counts(steps, restarts, eot, searches)
    size = checked_radius(eps, norm, ("linf", "l2"), "C&W")
    if norm == "linf":
        numbers = streams(generator, len(pixels))
        attempt = partial(_margin_ascent, model, pixels, labels, numbers, size, steps, eot, target)
        if restarts == 1:
            yield from attempt(torch.arange(len(pixels), device=pixels.device))
            return
        yield from relay([attempt] * restarts, model, pixels, labels, target=target, eot=eot, seeking=False)
        return
    # Foolbox stops early on the sum of the losses of a batch, by which its images would influence each other.
    settings = {"binary_search_steps": searches, "steps": steps, "initial_const": FIRST_WEIGHT, "abort_early": False}
    run = partial(_run, "L2CarliniWagnerAttack", settings, target=target)
    yield from stepped(run, model, pixels, labels, size, norm, eot=eot, target=target)


def deepfool(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: str = "linf",
    steps: int = 50,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    **_: object,
) -> Iterator[AttackStep]:
    """DeepFool: from one linearised boundary to the next until a class gives in; for "linf" or "l2".

    Parameters, steps and errors as for `cw`. It draws nothing, so that it is the same at every restart; no target.
    """
    check_counts(steps, restarts, eot)
    size = checked_radius(eps, norm, ("linf", "l2"), "DeepFool")
    refuse_target(target, "DeepFool")
    name = {"linf": "LinfDeepFoolAttack", "l2": "L2DeepFoolAttack"}[norm]
    run = partial(_run, name, {"steps": steps, "candidates": CANDIDATES})
    yield from stepped(run, model, pixels, labels, size, norm, eot=eot)


def ead(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: str = "l1",
    steps: int = 100,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    searches: int = SEARCHES,
    **_: object,
) -> Iterator[AttackStep]:
    """EAD: the smallest ℓ1 perturbation that fools, with a little ℓ2 (elastic net, section 4); for "l1".

    Parameters, steps and errors as for `cw`. It draws nothing, so that it is the same at every restart.
    """
    check_counts(steps, restarts, eot, searches)
    size = checked_radius(eps, norm, ("l1",), "EAD")
    settings = {"binary_search_steps": searches, "steps": steps, "initial_const": FIRST_WEIGHT, "abort_early": False}
    settings["decision_rule"] = "L1"
    run = partial(_run, "EADAttack", settings, target=target)
    yield from stepped(run, model, pixels, labels, size, norm, eot=eot, target=target)


def foolbox() -> ModuleType:
    """Foolbox, imported when it is first needed: it takes a while."""
    # Foolbox loads GitPython for its model zoo, which refuses to be imported where there is no git program.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import foolbox

    return foolbox


def _run(name: str, settings: dict, model: Model, pixels: Tensor, labels: Tensor, target: int | None = None) -> Tensor:
    """The raw outcome of one of foolbox's attacks, (B, C, H, W)."""
    library = foolbox()
    wanted = library.Misclassification(labels)
    if target is not None:
        wanted = library.TargetedMisclassification(torch.full_like(labels, target))
    wrapped = library.PyTorchModel(_Wrapped(model), bounds=(0, 1), device=pixels.device)
    return getattr(library.attacks, name)(**settings).run(wrapped, pixels, wanted)


class _Wrapped(nn.Module):
    """Foolbox wants a module and moves it to its device; this one owns nothing, so the shared model stays as it is."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._ask = (model,)  # a tuple, as a module put here by itself would be registered
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        return _BackToPixels.apply(pixels, self._ask[0])


class _BackToPixels(torch.autograd.Function):
    """The model, with a gradient for the pixels alone: foolbox's backward would add to the shared parameters' too."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, pixels: Tensor, model: Model) -> Tensor:
        with torch.set_grad_enabled(pixels.requires_grad):
            ctx.pixels = pixels.detach().requires_grad_(pixels.requires_grad)
            ctx.logits = model(ctx.pixels)
        return ctx.logits.detach()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, upstream: Tensor) -> tuple[Tensor, None]:
        return torch.autograd.grad(ctx.logits, ctx.pixels, upstream)[0], None


class _Closed(BaseException):
    """Nobody wants any more steps; no Exception, so that no library takes it for an error of the model."""


class _Call(NamedTuple):
    pixels: Tensor
    logits: Tensor


class _End(NamedTuple):
    outcome: Tensor | None
    error: BaseException | None


class _Rehearsal:
    """A run in a thread of its own, which waits at each call of the model until somebody asks for it."""

    def __init__(self, run: Callable[[Model, Tensor, Tensor], Tensor], model: Model, eot: int) -> None:
        self._run, self._model, self._eot = run, model, eot
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._reports: SimpleQueue[_Call | _End] = SimpleQueue()
        self._thread: Thread | None = None

    def start(self, pixels: Tensor, labels: Tensor) -> None:
        self._thread = Thread(target=self._work, args=(pixels, labels), name="attack", daemon=True)
        self._thread.start()

    def next(self) -> _Call | _End:
        self._wanted.put(True)
        return self._reports.get()

    def close(self) -> None:
        self._wanted.put(False)
        self._thread.join()

    def _work(self, pixels: Tensor, labels: Tensor) -> None:
        try:
            end = _End(self._run(self._asked, pixels, labels), None)
        except BaseException as error:  # whatever it is, it has to come out where the steps are consumed
            end = _End(None, error)
        self._reports.put(end)

    def _asked(self, pixels: Tensor) -> Tensor:
        if not self._wanted.get():
            raise _Closed
        logits = torch.stack([self._model(pixels) for _ in range(self._eot)]).mean(0)
        self._reports.put(_Call(pixels.detach().clone(), logits.detach().clone()))
        return logits


def stepped(
    run: Callable[[Model, Tensor, Tensor], Tensor],
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    size: float,
    norm: str,
    *,
    eot: int = 1,
    target: int | None = None,
) -> Iterator[AttackStep]:
    """A monolithic attack, step by step: one at each of its calls of the model, and a last one with the result.

    The attack waits in a thread until the next step is asked for. Closing the generator ends the thread at its next
    call of the model; an error in the thread is raised here.

    Parameters
    ----------
    run : callable
        model, pixels, labels → (B, C, H, W), the smallest perturbation that it found.
    size : float
        Radius of the ball in pixel units; what is larger is projected onto it.
    """
    best = Best.none_of(pixels)
    every = torch.arange(len(pixels), device=pixels.device)
    rehearsal = _Rehearsal(run, model, eot)
    rehearsal.start(pixels, labels)
    index = 0
    try:
        while isinstance(report := rehearsal.next(), _Call):
            loss, won = margin(report.logits, labels, target), fooled(report.logits, labels, target)
            asked = report.pixels.clamp(0, 1)
            best.offer(every, asked, loss, won)
            yield AttackStep(index, loss, into_ball(asked, pixels, size, norm), report.logits)
            index += 1
    finally:
        rehearsal.close()
    if report.error is not None:
        raise report.error
    # Foolbox answers with a black image where it found nothing; then the highest margin that was seen counts.
    logits = look(model, report.outcome, eot)
    found = fooled(logits, labels, target).view(-1, 1, 1, 1)
    result = into_ball(torch.where(found, report.outcome, best.pixels), pixels, size, norm)
    logits = look(model, result, eot)
    yield AttackStep(index, margin(logits, labels, target), result, logits)


def _margin_ascent(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    numbers: list[torch.Generator],
    size: float,
    steps: int,
    eot: int,
    target: int | None,
    rows: Tensor,
) -> Iterator[AttackStep]:
    """PGD on the margin, cut off at κ, as Madry et al. 2018 use the loss f₆ of Carlini & Wagner 2017, in ℓ∞."""
    pixels, labels = pixels[rows], labels[rows]
    noise = 2 * draw([numbers[row] for row in rows.tolist()], pixels.shape[1:], pixels.device) - 1
    attacked = (pixels + size * noise).clamp(0, 1)
    best, every = Best.none_of(attacked), torch.arange(len(pixels), device=pixels.device)
    for step in range(steps):
        slope = ascend(model, attacked, lambda logits: margin(logits, labels, target).clamp(max=CONFIDENCE), eot)
        best.offer(every, attacked, slope.loss, fooled(slope.logits, labels, target))
        moved = attacked + 2.5 * size / steps * steepest(slope.gradient, "linf")
        attacked = (pixels + project(moved - pixels, size, "linf")).clamp(0, 1)
        if step == steps - 1:
            last = look(model, attacked, eot)
            best.offer(every, attacked, margin(last, labels, target), fooled(last, labels, target))
        yield AttackStep(step, slope.loss, best.pixels, slope.logits)
