"""A small plot with logarithmic axes, as SVG and without a library: lines, ticks at powers of ten, a legend."""

from __future__ import annotations

import math
from pathlib import Path

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 640, 360, 70, 20, 210, 50
_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000"]
"""Told apart by the colour-blind, too (Okabe and Ito)."""


def draw(path: Path, lines: dict[str, list[tuple[float, float]]], across: str, up: str) -> None:
    """Draw lines of points; all values must be larger than zero."""
    points = [point for line in lines.values() for point in line]
    low_x, high_x = (f([math.log10(x) for x, _ in points]) for f in (min, max))
    low_y = math.floor(min(math.log10(y) for _, y in points))
    high_y = math.ceil(max(math.log10(y) for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        right = _LEFT + wide * (math.log10(x) - low_x) / (high_x - low_x or 1)
        return round(right, 1), round(_TOP + high * (high_y - math.log10(y)) / (high_y - low_y or 1), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    left, right = _LEFT, _WIDTH - _RIGHT
    for power in range(low_y, high_y + 1):
        _, y = place(10**low_x, 10.0**power)
        parts.append(f'<path d="M{left} {y}H{right}" stroke="#ccc"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{10.0**power:g}</text>')
    for x in sorted({x for x, _ in points}):
        at, _ = place(x, 10.0**low_y)
        parts.append(f'<text x="{at}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{x:,.0f}</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [place(x, y) for x, y in line]
        way = "L".join(f"{x} {y}" for x, y in places)
        parts.append(f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
        y = _TOP + 12 + 20 * number
        parts.append(f'<path d="M{right + 12} {y - 4}h20" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{right + 38}" y="{y}">{name}</text>')
    parts.append(f'<text x="{(left + right) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{across}</text>')
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">{up}</text>')
    path.write_text("\n".join([*parts, "</svg>", ""]))
