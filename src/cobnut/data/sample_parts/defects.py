"""What can befall a rendered hazelnut: a crack, a cut, a drilled hole, a printed word.

Each defect is a stack of paint layers on a small chart of the shell, in nut units, the first layer the lowest. They
differ in difficulty as the real ones do: a print is bright, a crack large, a hole small and dark, a cut hardly there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import acos, atan2, cos, pi, sin

import numpy as np

from cobnut.data.sample_parts.shape import Floats, Pose, Shape, Surface, surface_point
from cobnut.data.sample_parts.skin import colour, look_up, step

Layer = tuple[Floats, Floats]  # colour (3, 1) or (3, m), and how much it covers (m,), 0 to 1
Polyline = tuple[tuple[float, float], ...]

WOOD = colour(222, 180, 128)[:, None]
CHAR = colour(20, 13, 11)[:, None]
CHALK = colour(242, 240, 232)[:, None]
KERNEL = colour(142, 92, 72)[:, None]

BOWL: Polyline = ((1.0, 0.18), (0.7, 0.0), (0.3, 0.0), (0.0, 0.25), (0.0, 0.75), (0.3, 1.0), (0.7, 1.0), (1.0, 0.82))
LETTERS: dict[str, tuple[Polyline, ...]] = {  # strokes in a unit square, x to the right, y down
    "B": (((0, 1), (0, 0), (0.7, 0), (0.9, 0.2), (0.7, 0.46), (0, 0.46)), ((0.7, 0.46), (1, 0.72), (0.75, 1), (0, 1))),
    "C": (BOWL,),
    "N": (((0, 1), (0, 0), (1, 1), (1, 0)),),
    "O": ((*BOWL[1:7], (1.0, 0.75), (1.0, 0.25), BOWL[1]),),
    "T": (((0, 0), (1, 0)), ((0.5, 0), (0.5, 1))),
    "U": (((0, 0), (0, 0.75), (0.3, 1), (0.7, 1), (1, 0.75), (1, 0)),),
}
WORDS = ("COB", "NUT", "COCO")


@dataclass(frozen=True, slots=True)
class Chart:
    """A flat map, (m,) long, of the m pixels around one place on the shell: ``a`` to the right, ``b`` down."""

    members: np.ndarray[tuple[int], np.dtype[np.intp]]  # (m,) places among the surface's pixels
    a: Floats
    b: Floats
    pixel: float
    lean: tuple[float, float]  # how far the view moves across the map for each unit of depth
    grain_angle: float  # the direction of the shell's stripes on the map


def mark(
    defect_type: str,
    rng: np.random.Generator,
    shape: Shape,
    pose: Pose,
    surface: Surface,
    colours: Floats,
    gloss: Floats,
) -> tuple[Floats, Floats]:
    """Colours (3, n) and gloss (n,) of the same nut after the defect; the arrays given stay as they are."""
    chart = _draw_chart(rng, shape, pose, surface)
    colours, gloss = colours.copy(), gloss.copy()
    painted, shine = colours[:, chart.members], gloss[chart.members]
    for layer, cover in DEFECTS[defect_type](rng, chart):
        painted = painted + (layer - painted) * cover
        shine = shine * (1 - cover)
    colours[:, chart.members], gloss[chart.members] = painted, shine
    return colours, gloss


def crack(rng: np.random.Generator, chart: Chart) -> list[Layer]:
    """A broken-out piece: a rim as thick as the shell, the kernel in the dark behind it, hairlines running away."""
    angles = (np.arange(5) + rng.uniform(-0.32, 0.32, 5) + rng.uniform(0, 5)) * (2 * pi / 5)
    corners = (rng.uniform(0.26, 0.5, 5) * np.stack([np.cos(angles), np.sin(angles)])).astype(np.float32)
    grit = _draw_grit(rng)
    slant = rng.uniform(-0.09, 0.09), rng.uniform(-0.09, 0.09)

    wall, kernel = 0.16, 0.35  # how deep they lie, in nut units
    splinters: Floats = 0.007 * _rough(grit, chart.a * 0.4, chart.b * 0.4)
    outer = _depth_in_polygon(chart.a, chart.b, corners) + splinters
    wall_a, wall_b = chart.a - wall * chart.lean[0] - slant[0], chart.b - wall * chart.lean[1] - slant[1]
    inner = np.minimum(_depth_in_polygon(wall_a, wall_b, corners) - 0.015 - splinters, outer - 0.014)
    deep_a, deep_b = chart.a - kernel * chart.lean[0], chart.b - kernel * chart.lean[1]
    wrinkles = np.abs(_rough(grit, deep_a * 0.13, deep_b * 0.13)) + 0.4 * _rough(grit, deep_a * 0.4, deep_b * 0.4)
    lit = step(0.0, 0.15, inner) * np.clip(1.0 - 0.55 * wrinkles + 0.9 * (deep_a + deep_b), 0.06, 1.4)
    pores = _rough(grit, chart.a * 0.55 + 0.3, chart.b * 0.55)
    return [
        *(_hairline(rng, chart, float(a), float(b)) for a, b in corners.T[:3:2]),
        (CHAR, _cover(outer + 0.02, chart) * 0.4),
        (WOOD * np.clip(0.8 + 0.14 * pores, 0.3, 1.1), _cover(outer + 0.006, chart)),
        (CHAR, _cover(outer - 0.012, chart) * step(1.0, 1.7, pores) * 0.75),
        (CHAR, _cover(inner, chart)),
        (KERNEL * lit, _cover(inner - 0.01, chart) * 0.95),
    ]


def cut(rng: np.random.Generator, chart: Chart) -> list[Layer]:
    """One or two shallow scratches that bare a little paler wood and throw a faint shadow; hardly more than a hair."""
    grit = _draw_grit(rng)
    angle = chart.grain_angle + rng.choice((-1, 1)) * rng.uniform(0.15, 1.0)
    layers: list[Layer] = []
    for number in range(int(rng.integers(1, 3))):
        along, across = _turned(chart.a, chart.b, angle + number * rng.uniform(-0.1, 0.1))
        length, width = rng.uniform(0.17, 0.30), rng.uniform(0.010, 0.018)
        across = across - (0.22 * number - 0.03) - rng.uniform(-0.25, 0.25) * along * along
        along = along - rng.uniform(-0.08, 0.08) * number
        taper = width * np.sqrt(np.clip(1 - (along / length) ** 2, 0, 1)) - np.float32(0.02) * (np.abs(along) > length)
        ragged = 0.006 * _rough(grit, along * 0.4, across * 0.4)
        fresh = np.clip(0.62 + 0.14 * _rough(grit, along * 0.2 + 0.4, across * 0.6), 0.4, 0.85)
        layers.append((CHAR, _cover(taper + ragged - np.abs(across + 0.6 * width), chart) * 0.45))
        layers.append((WOOD * 0.8, _cover(taper + ragged - np.abs(across), chart) * fresh))
    return layers


def hole(rng: np.random.Generator, chart: Chart) -> list[Layer]:
    """A drilled hole: a torn pale lip, sometimes a flake off along the stripes, the far wall and the dark."""
    grit = _draw_grit(rng)
    radius = rng.uniform(0.075, 0.105)
    along, across = _turned(chart.a, chart.b, chart.grain_angle)
    tear = _rough(grit, along * 0.12, across * 0.35)
    lip = radius + 0.024 + 0.018 * tear - np.hypot(chart.a, chart.b)
    side = float(rng.choice((-1, 1)))
    flake = rng.uniform(-0.01, 0.085) + 0.035 * tear - np.hypot((along - side * radius) * 0.28, across - 0.3 * radius)
    floor = radius - np.hypot(chart.a - 0.09 * chart.lean[0], chart.b - 0.09 * chart.lean[1]) * 1.05
    bore = radius - np.hypot(chart.a, chart.b) + 0.004 * tear
    return [
        (CHAR, _cover(lip + 0.012, chart) * 0.35),
        (WOOD * np.clip(0.85 + 0.12 * tear, 0.4, 1.1), _cover(np.maximum(lip, flake), chart) * 0.9),
        (WOOD * 0.12, _cover(bore, chart)),
        (CHAR * 0.6, _cover(np.minimum(floor, bore), chart)),
    ]


def print_word(rng: np.random.Generator, chart: Chart) -> list[Layer]:
    """A word stamped in white that did not take everywhere."""
    word = str(rng.choice(WORDS))
    height, gap, stroke = rng.uniform(0.22, 0.28), 0.09, rng.uniform(0.028, 0.038)
    width = 0.72 * height
    grit = _draw_grit(rng)
    x, y = _turned(chart.a, chart.b, rng.uniform(-1.1, 1.1))
    x, y = x + (len(word) * (width + gap) - gap) / 2, y + height / 2
    nearest = np.full_like(x, np.inf)
    for place, letter in enumerate(word):
        for line in LETTERS[letter]:
            scaled = [(place * (width + gap) + px * width, py * height) for px, py in line]
            nearest = np.minimum(nearest, _distance_to_line(x, y, scaled))
    patchy = 0.8 * _rough(grit, x * 0.16, y * 0.16) + _rough(grit, x * 0.6, y * 0.6)
    ink = _cover(stroke + 0.007 * patchy - nearest, chart)
    return [(CHALK, ink * step(-1.2, -0.6, patchy) * 0.96)]


DEFECTS: dict[str, Callable[[np.random.Generator, Chart], list[Layer]]] = {
    "crack": crack,
    "cut": cut,
    "hole": hole,
    "print": print_word,
}


def _draw_chart(rng: np.random.Generator, shape: Shape, pose: Pose, surface: Surface) -> Chart:
    """A chart around a place on the shell that faces the camera and is clear of cap and tip."""
    right, down, view = pose.frame.T
    latitude = min(max(acos(-view[0]) / pi, 0.43), 0.58) + rng.uniform(-0.03, 0.05)
    longitude = atan2(view[2], view[1]) / (2 * pi) + 0.5 + rng.uniform(-0.055, 0.055)
    point, normal = surface_point(shape, longitude, latitude)
    east = _unit(right - (right @ normal) * normal)
    south = _unit(down - (down @ normal) * normal - (down @ east) * east)
    offset = surface.points - point[:, None]
    members = np.flatnonzero((np.einsum("cn,cn->n", offset, offset) < 0.85) & (normal @ offset > -0.8))
    offset = offset[:, members]
    lean = (float(view @ east / (view @ normal)), float(view @ south / (view @ normal)))
    return Chart(members, east @ offset, south @ offset, surface.pixel, lean, atan2(south[0], east[0]))


def _depth_in_polygon(a: Floats, b: Floats, corners: Floats) -> Floats:
    """How far inside a polygon around the origin each point lies, negative outside; ``corners`` (2, k) in turn."""
    count = corners.shape[1]
    places = np.linspace(0, count, 24 * count, endpoint=False)
    edge_a, edge_b = (np.interp(places, np.arange(count), line, period=count) for line in corners)
    edge = np.interp(np.arctan2(b, a), np.arctan2(edge_b, edge_a), np.hypot(edge_a, edge_b), period=2 * pi)
    return np.asarray((edge - np.hypot(a, b)) * 0.85, np.float32)  # an edge is seldom square to its radius


def _hairline(rng: np.random.Generator, chart: Chart, x: float, y: float) -> Layer:
    """A zigzag crack as thin as a hair, from a corner of the opening outwards."""
    along, across = _turned(chart.a, chart.b, atan2(y, x))
    start, length = float(np.hypot(x, y)) - 0.03, rng.uniform(0.2, 0.42)
    knots = np.linspace(start, start + length, 7)
    zigzag = np.interp(along, knots, np.append(0, rng.uniform(-0.025, 0.025, 6)))
    reach = (along - start) / length
    width = np.where((reach >= 0) & (reach <= 1), 0.013 * (1 - 0.7 * reach), -1)
    return CHAR, _cover((width - np.abs(across - zigzag)).astype(np.float32), chart) * 0.85


def _distance_to_line(x: Floats, y: Floats, line: list[tuple[float, float]]) -> Floats:
    """How far each point lies from a line of straight pieces."""
    nearest: Floats = np.full_like(x, np.inf)  # squared until the end
    for (x0, y0), (x1, y1) in pairwise(line):
        dx, dy = x1 - x0, y1 - y0
        share = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        away_x, away_y = x - x0 - share * dx, y - y0 - share * dy
        nearest = np.minimum(nearest, away_x * away_x + away_y * away_y)
    return np.asarray(np.sqrt(nearest), np.float32)


def _turned(a: Floats, b: Floats, angle: float) -> tuple[Floats, Floats]:
    """Coordinates along and across the direction ``angle``."""
    return a * cos(angle) + b * sin(angle), b * cos(angle) - a * sin(angle)


def _cover(depth: Floats, chart: Chart) -> Floats:
    """The share of a pixel inside an edge that lies ``depth`` away."""
    return np.asarray(np.clip(0.5 + depth / chart.pixel, 0, 1), np.float32)


def _draw_grit(rng: np.random.Generator) -> Floats:
    """A tile of noise of unit spread, (64, 64, 1): what keeps edges ragged and faces uneven."""
    return rng.standard_normal((64, 64, 1), np.float32)


def _rough(grit: Floats, a: Floats, b: Floats) -> Floats:
    """The noise at each point; a unit of ``a`` or ``b`` spans the tile once."""
    (values,) = look_up(grit, a, b)
    return np.asarray(values, np.float32)


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
