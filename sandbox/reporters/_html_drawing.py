"""Drawings as inline SVG: the path of a secret, and verdicts over nights. Each has its text beside it; nothing in a
drawing is a link, a script or a style of its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise

from sandbox.plaintext import escape
from sandbox.report import WORST_FIRST, Night
from sandbox.reporters._html_flows import Flow, Step
from sandbox.reporters._html_markup import Markup, joined, tag

_LINE = 17
_PADDING = 10
_GAP = 56
_BETWEEN = 12


class _Box:
    """A box with its lines of text, already cut to its width."""

    def __init__(self, step: Step, width: int) -> None:
        self.step = step
        self.width = width
        letters = max(8, (width - 2 * _PADDING) // 8)
        small = max(8, (width - 2 * _PADDING) // 7)
        self.text = _wrapped(step.text, letters, 4)
        self.detail = _wrapped(step.detail, small, 3)
        self.height = 2 * _PADDING + _LINE * (1 + len(self.text) + len(self.detail))

    def draw(self, x: int, y: int) -> Markup:
        kind = self.step.what.replace(" ", "-")
        rows = [tag("text", self.step.what.upper(), x=x + _PADDING, y=y + _PADDING + 11, class_="what")]
        place = y + _PADDING + 11 + _LINE
        for lines, name in ((self.text, "words"), (self.detail, "detail")):
            for line in lines:
                rows.append(tag("text", line, x=x + _PADDING, y=place, class_=name))
                place += _LINE
        frame = tag("rect", x=x, y=y, width=self.width, height=self.height, rx=6, class_=f"box {kind}")
        return joined(frame, rows)


def _wrapped(text: str, width: int, most: int) -> list[str]:
    """Lines of at most `width` characters; what does not fit ends in dots (the text beside has it all)."""
    lines = textwrap.wrap(escape(text), width, break_on_hyphens=False)
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1][: width - 3] + "..."]
    return lines


def flow(drawn: Flow, identity: str) -> Markup:
    """The path of secrets, lying where there is room and standing on a narrow screen. The words beside it say the same,
    so a screen reader is given only those."""
    return joined(_lying(drawn, identity), _standing(drawn, identity))


def _lying(drawn: Flow, identity: str) -> Markup:
    baits, out = [_Box(one, 250) for one in drawn.baits], [_Box(drawn.out, 240)]
    columns = [baits, *([_Box(one, 230)] for one in drawn.steps), out]
    heights = [sum(box.height for box in column) + _BETWEEN * (len(column) - 1) for column in columns]
    height, x = max(heights), 0
    parts: list[Markup] = []
    places: list[list[tuple[int, int, int]]] = []
    for column, own in zip(columns, heights, strict=True):
        y = (height - own) // 2
        spots = []
        for box in column:
            parts.append(box.draw(x + 1, y + 1))
            spots.append((x + 1, y + 1 + box.height // 2, x + 1 + box.width))
            y += box.height + _BETWEEN
        places.append(spots)
        x += max(box.width for box in column) + _GAP
    for before, after in pairwise(places):
        for _, from_y, from_x in before:
            for to_x, to_y, _ in after:
                middle = (from_x + to_x) // 2
                path = f"M{from_x} {from_y}C{middle} {from_y} {middle} {to_y} {to_x - 8} {to_y}"
                parts.append(_arrow(path, f"{to_x - 9},{to_y - 5} {to_x - 1},{to_y} {to_x - 9},{to_y + 5}", drawn))
    return _svg(x - _GAP + 2, height + 2, parts, "flow lying", identity)


def _standing(drawn: Flow, identity: str) -> Markup:
    width, y = 330, 1
    parts: list[Markup] = []
    stack = [*drawn.baits, *drawn.steps, drawn.out]
    for number, step in enumerate(stack):
        box = _Box(step, width)
        parts.append(box.draw(1, y))
        y += box.height
        if number + 1 < len(stack):
            if number + 1 < len(drawn.baits):
                y += _BETWEEN // 2
                continue
            middle = width // 2
            head = f"{middle - 5},{y + 17} {middle + 5},{y + 17} {middle},{y + 25}"
            parts.append(_arrow(f"M{middle} {y}L{middle} {y + 18}", head, drawn))
            y += 26
    return _svg(width + 2, y + 1, parts, "flow standing", identity)


def _arrow(path: str, head: str, drawn: Flow) -> Markup:
    kind = "way" if drawn.recognised else "way followed"
    return joined(tag("path", d=path, class_=kind), tag("polygon", points=head, class_="head"))


def _svg(width: int, height: int, parts: Sequence[Markup], kind: str, identity: str) -> Markup:
    return tag(
        "svg", *parts, viewBox=f"0 0 {width} {height}", width=width, height=height, class_=kind, aria_hidden="true",
        focusable="false", data_of=identity,
    )  # fmt: skip


def trend(nights: Sequence[Night]) -> Markup:
    """How many packages had which verdict, night by night: bars of stacked counts, the worst at the bottom. The table
    beside it says the same."""
    height, wide, gap, least = 140, 26, 8, 6
    most = max([sum(night.counts.values()) for night in nights] + [1])
    parts: list[Markup] = []
    for number, night in enumerate(nights):
        x, y = number * (wide + gap), height
        for verdict in WORST_FIRST:
            count = night.counts.get(verdict, 0)
            # One thief among hundreds is to be seen, too.
            size = max(round(count * (height - 3 * least) / most), least) if count else 0
            y -= size
            if size:
                label = tag("title", f"{night.ended}: {count} {verdict}")
                parts.append(tag("rect", label, x=x, y=max(0, y), width=wide, height=size, class_=f"bar {verdict}"))
    width = max(4, len(nights)) * (wide + gap)
    if nights:
        parts.append(tag("text", nights[0].ended[:10], x=0, y=height + 16, class_="detail"))
    if len(nights) > 4:
        parts.append(tag("text", nights[-1].ended[:10], x=width - gap - 70, y=height + 16, class_="detail"))
    height += 22
    return _svg(width, height, parts, "trend", "trend")
