"""Timings: their rows, on as few repeats as there can be."""

from core.encryption import timing


def test_every_head_is_timed_beside_tenseal(monkeypatch):
    monkeypatch.setattr(timing, "WARM_UP", 0)
    monkeypatch.setattr(timing, "LENGTHS", (768,))
    monkeypatch.setattr(timing, "_tenseal_logits", lambda vector, head: vector)  # seconds a product
    monkeypatch.setattr(
        timing, "PRESETS", {name: timing.PRESETS[name] for name in ("linear", "polynomial-fast", "sum")}
    )
    rows = list(timing.measure_timings(repeats=1, repeats_tenseal=1))
    assert [(row["head"], row["preset"].split(",")[0]) for row in rows] == [
        ("linear 768-3", "linear"),
        ("linear 768-3", "polynomial-fast"),
        ("linear 768-3", "TenSEAL mm"),
        ("polynomial 768-64-3", "polynomial-fast"),
        ("polynomial 768-64-3", "TenSEAL mm"),
        ("mean of 3 × 768 numbers", "sum"),
    ]
    assert all(row["server_ms"] >= 0 and row["upload_kb"] > 0 for row in rows)
    assert all(row["max_error"] <= 1e-2 for row in rows if "max_error" in row)
