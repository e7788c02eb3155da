"""Sizes as people say them."""

from __future__ import annotations


def size(value: float | None) -> str:
    """A size with its unit, in powers of 1024, as mail programs and plans count: 1536 → `1.5 KB`."""
    left = float(value or 0)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if abs(left) < 1024 or unit == "TB":
            break
        left /= 1024
    shown = f"{left:.0f}" if unit == "B" or left >= 100 else f"{left:.1f}".rstrip("0").rstrip(".")
    return f"{shown} {unit}"
