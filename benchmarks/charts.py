"""Bar charts as SVG, in colors for a light and for a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, LABELS, ROW = 760, 290, 24
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.ours { fill: #0a7d4f; }
.peer { fill: #8c959f; }
.reference { fill: none; stroke: #8c959f; stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .ours { fill: #3fb981; }
  .peer { fill: #6e7681; }
  .reference { stroke: #6e7681; }
}
"""


def bars(title: str, values: Sequence[tuple[str, float, str]], unit: str) -> str:
    """Return a chart of horizontal bars, the shortest first.

    :param values: label, length and class of each: ``ours``, ``peer`` or ``reference``.
    """
    ordered = sorted(values, key=lambda value: value[1])
    most = max(value for _, value, _ in ordered) or 1
    room = WIDTH - LABELS - 80
    height = 40 + ROW * len(ordered) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="8" y="22">{escape(title)}</text>',
    ]
    for place, (label, value, kind) in enumerate(ordered):
        top = 36 + place * ROW
        length = max(1.0, room * value / most)
        shown = f"{value:.2f}" if value < 10 else f"{value:.0f}"
        lines += [
            f'<text x="{LABELS - 8}" y="{top + 15}" text-anchor="end">{escape(label.replace("`", ""))}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{top + 2}" width="{length:.1f}" height="{ROW - 7}" rx="2"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{top + 15}">{shown} {escape(unit)}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
