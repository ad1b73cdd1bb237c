"""docs/results/encryption.md: prediction on ciphertexts; from encryption.json."""

from collections.abc import Iterable, Mapping

from core.bundles import Bundle
from core.evaluation.encrypted import EncryptionRecord, Summary, read_encryption
from core.federation.configurations import MEASURES, Measured
from core.federation.tokens import token_classifiers
from training.publish.markdown import document, made_by, section, share

TIMED = ("server_ms", "encrypt_ms", "decrypt_ms", "keygen_ms", "upload_kb", "download_kb", "keys_kb", "max_error")
ABOUT = (
    "Every validation scan asked about under encryption, on a real server process, with each preset that carries a "
    "head; then a linear head on fixed tokens, and the whole network, learned and asked in the paper's four ways. 95 % "
    "intervals by bootstrap over near-duplicate groups."
)


def encryption_page(bundles: Iterable[Bundle]) -> str:
    """Return the whole page: a section for each bundle that has a class token."""
    lines = []
    for bundle in bundles:
        for name, record in encryption_records(bundle).items():
            lines += [f"## {bundle.name}, {name}", "", *record_tables(record)]
    return document("Encrypted prediction", ABOUT, lines)


def encryption_records(bundle: Bundle) -> dict[str, EncryptionRecord]:
    """Return classifier → what is recorded with its weights of today."""
    known = {name: read_encryption(bundle, name) for name in token_classifiers(bundle)}
    return {name: record for name, record in known.items() if record is not None}


def record_tables(record: EncryptionRecord) -> list[str]:
    """Return heads and presets, the paper's configurations, times, and what crosses in a round."""
    return [
        made_by(record.command, record.n),
        "",
        *heads_table(record),
        *configurations_table("**A linear head on fixed tokens**, 3 hospitals", record.configurations),
        *configurations_table("**The whole network**, 3 hospitals, from these weights", record.network_configurations),
        *timing_table(record),
        crossing(record),
        "",
    ]


def heads_table(record: EncryptionRecord) -> list[str]:
    """Return a row for each head and preset."""
    head = ["head, preset", "in the clear", "encrypted", "same label, margin above .001", "largest error", "server, ms"]
    head += ["up / down / keys, KB"]
    rows = [_head_cells(kind, preset, found) for (kind, preset), found in record.heads.items()]
    return section("**Heads and presets**", head, rows)


def _head_cells(kind: str, preset: str, found: Summary) -> list[str]:
    return [
        kind if kind == preset else f"{kind}, {preset}",
        measured_share(found.plain["accuracy"]),
        measured_share(found.encrypted["accuracy"]),
        f"{found.same_clear} of {found.clear}",
        f"{found.max_error:.1e}",
        f"{found.server_ms:.1f}",
        f"{found.upload_kb:.0f} / {found.download_kb:.0f} / {found.keys_kb:.1f}",
    ]


def configurations_table(about: str, configurations: Mapping[str, Mapping[str, Measured]]) -> list[str]:
    """Return the paper's four ways to learn and ask; nothing where they weren't measured."""
    rows = [[name, *(measured_share(values[key]) for key in MEASURES)] for name, values in configurations.items()]
    return section(about, ["configuration", *MEASURES], rows) if rows else []


def timing_table(record: EncryptionRecord) -> list[str]:
    """Return medians on the machine that recorded them, random heads, beside TenSEAL's vector by matrix."""
    rows = [[row["head"], row["preset"], *(_figure(row, key) for key in TIMED)] for row in record.timing]
    about = "**Times**, medians of `core.encryption.timing` on the machine that recorded them"
    return section(about, ["what", "preset", *TIMED], rows)


def crossing(record: EncryptionRecord) -> str:
    """Return what one hospital sends in a round, in one sentence."""
    sizes = record.communication
    times = sizes["gradients_encrypted"] / sizes["token_encrypted"]
    return (
        f"In one round a hospital sends {sizes['gradients_plain']:,.0f} KB of gradients in the clear, "
        f"{sizes['gradients_encrypted']:,.0f} KB encrypted ({sizes['head_gradients_encrypted']:,.0f} KB where only the "
        f"linear head is trained together), or {sizes['token_encrypted']:,.0f} KB for one encrypted token: "
        f"{times:,.0f} times less than all encrypted gradients; the paper has 30 times."
    )


def measured_share(measured: Measured) -> str:
    """Return a share with its interval."""
    return share(measured.value, (measured.low, measured.high))


def _figure(row: Mapping[str, float], key: str) -> str:
    return f"{row[key]:.3g}" if key in row else ""
