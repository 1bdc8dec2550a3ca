"""What others published on ETTh1 under the bench's protocols: context rows, not measured here."""

from __future__ import annotations

from typing import Any

# (protocol, horizon): {method: (mse, mae or None)}; A, iTransformer rows and B: their own code, rerun with labels
# that have matured; C: as printed in ADAPT-Z (ICLR 2026).
PUBLISHED: dict[tuple[str, int], dict[str, tuple[float, float | None]]] = {
    ("A", 24): {"itransformer-frozen": (0.852, 0.601), "itransformer-online-descent": (0.804, 0.571),
                "proceed": (0.727, 0.543)},
    ("B", 96): {"dlinear-frozen": (0.4695, None), "tafas": (0.4575, None), "petsa": (0.4586, None),
                "spec-tta": (0.5504, None)},
    ("C", 24): {"online-descent": (0.3154, None), "solid": (0.3158, None), "proceed": (0.3118, None),
                "adapt-z": (0.2942, None)},
    ("C", 96): {"online-descent": (0.4035, None), "solid": (0.4044, None), "proceed": (0.4019, None),
                "adapt-z": (0.3930, None), "adapt-z-fan": (0.3762, None)},
}


def published(file: str, protocol: str, horizon: int) -> list[dict[str, Any]]:
    """Context rows for a file under a protocol, none where nothing was published.

    >>> [row["method"] for row in published("ETTh1.csv", "C", 96)][-1]
    'adapt-z-fan'
    """
    known = PUBLISHED.get((protocol, horizon), {}) if file == "ETTh1.csv" else {}
    return [{"method": method, "horizon": horizon, "mse": mse, "mae": mae, "published": True}
            for method, (mse, mae) in known.items()]
