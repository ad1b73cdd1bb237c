"""What README and bundle card say of encrypted prediction, as Markdown; from encryption.json alone."""

from collections.abc import Mapping

from core.bundles import Bundle
from core.evaluation.encrypted import EncryptionRecord, Summary, read_encryption, token_classifiers
from core.federation.configurations import MEASURES, Measured
from training.mixture_tables import share, table

TIMED = ("server_ms", "encrypt_ms", "decrypt_ms", "keygen_ms", "upload_kb", "download_kb", "keys_kb", "max_error")


def encryption_summary(bundle: Bundle) -> list[str]:
    """For the README: every validation scan asked about, and the paper's four configurations."""
    lines = []
    for record in records(bundle).values():
        lines += [
            f"**{bundle.name}**, n = {record.n} validation scans, every one asked about under encryption. "
            f"`{record.command.removeprefix('python -m ')}`",
            "",
            *heads_table(record),
            "",
            *configurations_table(record),
            "",
        ]
    return lines


def encryption_tables(bundle: Bundle) -> list[str]:
    """For the card: the same, with times beside TenSEAL's own and what crosses in a round."""
    found = records(bundle)
    if not found:
        return []
    lines = ["**Encrypted prediction**", "", *encryption_summary(bundle)]
    for record in found.values():
        lines += [*timing_table(record), "", crossing(record), ""]
    return lines


def records(bundle: Bundle) -> dict[str, EncryptionRecord]:
    """Classifier → what is recorded with its weights of today."""
    known = {name: read_encryption(bundle, name) for name in token_classifiers(bundle)}
    return {name: record for name, record in known.items() if record is not None}


def heads_table(record: EncryptionRecord) -> list[str]:
    """A row for each head and preset."""
    head = ["head, preset", "in the clear", "encrypted", "same label, margin above .001", "largest error", "server, ms"]
    head += ["up / down / keys, KB"]
    return table(head, [_head_row(kind, preset, found) for (kind, preset), found in record.heads.items()])


def _head_row(kind: str, preset: str, found: Summary) -> list[str]:
    return [
        kind if kind == preset else f"{kind}, {preset}",
        _share(found.plain["accuracy"]),
        _share(found.encrypted["accuracy"]),
        f"{found.same_clear} of {found.clear}",
        f"{found.max_error:.1e}",
        f"{found.server_ms:.1f}",
        f"{found.upload_kb:.0f} / {found.download_kb:.0f} / {found.keys_kb:.1f}",
    ]


def configurations_table(record: EncryptionRecord) -> list[str]:
    """The paper's four ways to learn and ask a linear head; the encoder is the same in all."""
    rows = [[name, *(_share(values[key]) for key in MEASURES)] for name, values in record.configurations.items()]
    return table(["linear head on fixed tokens, 3 hospitals", *MEASURES], rows)


def timing_table(record: EncryptionRecord) -> list[str]:
    """Medians on the machine that recorded them, random heads, beside TenSEAL's product of a vector and a matrix."""
    rows = [[row["head"], row["preset"], *(_figure(row, key) for key in TIMED)] for row in record.timing]
    return ["Medians of `core.encryption.timing`:", "", *table(["what", "preset", *TIMED], rows)]


def crossing(record: EncryptionRecord) -> str:
    """What one hospital sends in a round, in one sentence."""
    sizes = record.communication
    times = sizes["gradients_encrypted"] / sizes["token_encrypted"]
    return (
        f"In one round a hospital sends {sizes['gradients_plain']:,.0f} KB of gradients in the clear, "
        f"{sizes['gradients_encrypted']:,.0f} KB encrypted ({sizes['head_gradients_encrypted']:,.0f} KB where only the "
        f"linear head is trained together), or {sizes['token_encrypted']:,.0f} KB for one encrypted token: "
        f"{times:,.0f} times less than all encrypted gradients; the paper has 30 times."
    )


def _share(measured: Measured) -> str:
    return share({"value": measured.value, "interval": (measured.low, measured.high)})


def _figure(row: Mapping[str, float], key: str) -> str:
    return f"{row[key]:.3g}" if key in row else ""
