"""Draw the chart of CPU per request as SVG, for light and dark pages."""

from collections.abc import Mapping
from html import escape

from benchmarks.measure import Cell, Figures
from benchmarks.systems import OURS, OURS_ON_SQLITE

NAMES = {
    "todo": "this project",
    "todo_sqlite": "this project on SQLite",
    "fastapi_sqlmodel": "FastAPI + SQLModel",
    "fastapi_tuned": "FastAPI, tuned by hand",
    "bare": "Starlette, no validation, no auth",
    "bare_pq": "the same on our executor",
}
OPERATIONS = {
    "get": "GET one",
    "list": "GET 50",
    "create": "POST",
    "complete": "PATCH complete",
    "mix": "a mix of them",
}
LEFT, WIDTH, BAR, GAP = 350, 900, 16, 14
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600 }
rect { fill: #9aa4b0 } .ours { fill: #0969da }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } rect { fill: #59636e } .ours { fill: #4493f8 } }
"""


def cpu(results: Mapping[Cell, Figures], connections: int) -> str:
    """Return the chart as SVG: a bar for each system below each operation."""
    bars = {cell: figures.cpu_us for cell, figures in results.items() if cell.connections == connections}
    scale = (WIDTH - LEFT - 60) / max(bars.values())
    lines, y = [_text(0, 14, f"Server CPU a request, µs, {connections} connections", "title")], 24
    for operation in dict.fromkeys(cell.operation for cell in bars):
        lines.append(_text(0, y + 12, OPERATIONS[operation]))
        for cell, microseconds in bars.items():
            if cell.operation == operation:
                lines += _bar(y, cell.system, microseconds, microseconds * scale)
                y += BAR + 2
        y += GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">'
        f"<style>{STYLE}</style>\n" + "\n".join(lines) + "\n</svg>\n"
    )


def _bar(y: int, system: str, microseconds: float, length: float) -> list[str]:
    kind = "ours" if system in {OURS, OURS_ON_SQLITE} else "peer"
    return [
        _text(130, y + 12, NAMES[system]),
        f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>',
        _text(LEFT + length + 6, y + 12, f"{microseconds:.0f}"),
    ]


def _text(x: float, y: float, content: str, kind: str = "name") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y}">{escape(content)}</text>'
