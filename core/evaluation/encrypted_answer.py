"""What `python -m core encrypt` asks and prints."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.bundles import Bundle
from core.encryption.heads import head_of
from core.encryption.parameters import check_preset, default_preset, find_preset
from core.encryption.prediction import encrypted_steps
from core.encryption.service import Server
from core.evaluation.encrypted import tokens_of

CLASSIFIER = "vit"


@dataclass(frozen=True)
class EncryptOptions:
    """The words of the command, as it names them; `preset` None is the head's own, `address` None starts a server."""

    file: str
    classifier: str | None = None
    head: str = "linear"
    preset: str | None = None
    address: str | None = None


def encrypted_answer(
    bundle: Bundle, pixels: Tensor, options: EncryptOptions, progress: Callable[[], object]
) -> dict[str, Any]:
    """One scan answered without being seen, as `core.cli.schema.ENCRYPT` declares it.

    Parameters
    ----------
    pixels : Tensor
        (1, C, H, W) in [0, 1] at the resolution of the bundle.
    progress : callable
        Called after every stage.

    Raises
    ------
    ValueError
        What doesn't fit together, or whatever goes wrong on the way; one sentence.
    """
    name = bundle.classifier_name(options.classifier or CLASSIFIER)
    head = head_of(bundle.classifiers[name], options.head)
    preset = find_preset(options.preset) if options.preset else default_preset(head.shape)
    check_preset(preset, head.shape)
    server = Server(options.address)
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.health()
        for step in encrypted_steps(tokens_of(bundle, name, pixels.cpu().numpy())[0], head, preset, server):
            progress()
            found = step.prediction
    assert found is not None
    return {
        "file": options.file,
        "bundle": bundle.name,
        "classifier": name,
        "head": options.head,
        "preset": preset.name,
        "plain_logits": found.plain_logits.tolist(),
        "encrypted_logits": found.encrypted_logits.tolist(),
        "max_error": found.max_error,
        "label_plain": bundle.classes[found.label_plain],
        "label_encrypted": bundle.classes[found.label_encrypted],
        "upload_kb": found.upload_kb,
        "download_kb": found.download_kb,
        "keys_kb": found.keys_kb,
        "seconds": found.seconds,
    }


def encrypted_text(record: dict[str, Any]) -> str:
    """The same for a person."""
    seconds = ", ".join(f"{stage} {1000 * taken:.0f} ms" for stage, taken in record["seconds"].items())
    return "\n".join(
        [
            f"{record['file']}: {record['label_encrypted']} (in the clear: {record['label_plain']})",
            f"largest difference of a logit {record['max_error']:.1e}, preset {record['preset']}",
            "{upload_kb:.0f} KB up, {download_kb:.0f} KB down, keys {keys_kb:.1f} KB once".format(**record),
            seconds,
        ]
    )
