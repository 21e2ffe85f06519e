"""Pictures made of boxes, lines and words, and how they become SVG.

The PDF draws the same ones. Lengths are points, y grows downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

INK = "#1f2933"
FAINT = "#d9dee3"
QUIET = "#66717d"


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle; `tip` appears where a mouse rests on it."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through points."""

    points: Sequence[tuple[float, float]]
    colour: str = INK
    width: float = 1.0
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """One line of text on its baseline; `anchor` is start, middle or end."""

    x: float
    y: float
    text: str
    size: float = 8.0
    anchor: str = "start"
    colour: str = INK
    is_bold: bool = False


Shape = Box | Stroke | Words


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture with its title; `told` says in words what it shows."""

    title: str
    told: str
    width: float
    height: float
    shapes: Sequence[Shape]


def svg(drawing: Drawing) -> str:
    """The drawing as an SVG element, to be put into HTML."""
    inside = "".join(_element(shape) for shape in drawing.shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {drawing.width:g} {drawing.height:g}" '
        f"aria-label={quoteattr(drawing.told)}>{inside}</svg>"
    )


def _element(shape: Shape) -> str:
    match shape:
        case Box():
            tip = f"<title>{escape(shape.tip)}</title>" if shape.tip else ""
            return (
                f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" '
                f'width="{shape.width:.1f}" height="{shape.height:.1f}" '
                f'fill="{shape.fill}">{tip}</rect>'
            )
        case Stroke():
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
            dash = ' stroke-dasharray="3 3"' if shape.is_dashed else ""
            return (
                f'<polyline points="{points}" fill="none" stroke="{shape.colour}" '
                f'stroke-width="{shape.width:g}"{dash}/>'
            )
        case Words():
            weight = ' font-weight="600"' if shape.is_bold else ""
            return (
                f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" '
                f'font-size="{shape.size:g}" text-anchor="{shape.anchor}" '
                f'fill="{shape.colour}"{weight}>{escape(shape.text)}</text>'
            )
