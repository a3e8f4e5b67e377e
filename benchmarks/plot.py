"""The ratios as a picture: SVG, written by hand because it is a few bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import ceil, floor, log2
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.ratios import Verdict
from benchmarks.report import NAMES, times

_WIDTH: Final = 760
_LEFT: Final = 90
_RIGHT: Final = 60
_BAR: Final = 14
_GAP: Final = 6
_HEAD: Final = 34
_TOP: Final = 26

_MET: Final = "#2f6f8f"
_MISSED: Final = "#b0552f"
_FREE: Final = "#8a8f98"


def svg(lines: Iterable[Verdict]) -> str:
    """Return a picture of the ratios on a logarithmic scale: the bar is the median, its line from least to most."""
    groups = [(NAMES[own], NAMES[other], list(group)) for (own, other), group in groupby(lines, lambda each: each[1:3])]
    shown = [ratio for _, _, group in groups for line in group for ratio in line.ratio]
    scale = _Scale(min([0.5, *shown]), max([2.0, *shown]))
    height = _TOP + sum(_HEAD + len(group) * (_BAR + _GAP) for _, _, group in groups) + 30
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" role="img">',
        "<title>Requests a second of ours for each of the others'</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        *_grid(scale, height),
    ]
    top = _TOP
    for own, other, group in groups:
        parts.append(_text(8, top + 20, f"{own} / {other}", weight="bold"))
        top += _HEAD
        for line in group:
            parts += _bar(scale, top, line)
            top += _BAR + _GAP
    parts += _legend(height)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    """Where a ratio lies from left to right."""

    def __init__(self, least: float, most: float) -> None:
        self.first, self.last = floor(log2(least)), ceil(log2(most))

    def __call__(self, ratio: float) -> float:
        part = (log2(ratio) - self.first) / (self.last - self.first)
        return round(_LEFT + part * (_WIDTH - _LEFT - _RIGHT), 1)


def _grid(scale: _Scale, height: int) -> Iterator[str]:
    for power in range(scale.first, scale.last + 1):
        x, one = scale(2.0**power), power == 0
        colour = "#333333" if one else "#dddddd"
        yield f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{height - 26}" stroke="{colour}"/>'
        yield _text(x, _TOP - 8, f"{2.0**power:g}", anchor="middle")


def _bar(scale: _Scale, top: float, line: Verdict) -> Iterator[str]:
    colour = _FREE if line.met is None else _MET if line.met else _MISSED
    one, end, middle = scale(1), scale(line.ratio.median), top + _BAR / 2
    yield _text(_LEFT - 10, top + _BAR - 3, line.work, anchor="end")
    yield (f'<rect x="{min(one, end)}" y="{top}" width="{round(abs(end - one), 1)}" height="{_BAR}" fill="{colour}"/>')
    least, most = scale(line.ratio.least), scale(line.ratio.most)
    yield f'<line x1="{least}" y1="{middle}" x2="{most}" y2="{middle}" stroke="#111111"/>'
    right = max(one, end, most)
    if line.aim is not None:
        aim = scale(line.aim.least)
        right = max(right, aim)
        yield f'<line x1="{aim}" y1="{top - 2}" x2="{aim}" y2="{top + _BAR + 2}" stroke="#111111" stroke-width="2"/>'
    yield _text(right + 6, top + _BAR - 3, times(line.ratio.median))


def _legend(height: int) -> Iterator[str]:
    legend: Sequence[tuple[str, str]] = ((_MET, "aim met"), (_MISSED, "aim missed"), (_FREE, "no aim"))
    for place, (colour, meaning) in enumerate(legend):
        left = _LEFT + place * 110
        yield f'<rect x="{left}" y="{height - 18}" width="12" height="12" fill="{colour}"/>'
        yield _text(left + 18, height - 8, meaning)
    yield _text(_LEFT + 330, height - 8, "upright stroke: the aim; thin line: least to most")


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="#111111">{escape(text)}</text>'
