"""What covers a rendered hazelnut and how light falls on it: a striped shell, a fibrous cap and dust near the tip.

Colours are linear light, 0 to 1: the square of the grey value, which stands in for the camera's gamma of 2.
"""

from dataclasses import dataclass
from functools import cache
from math import pi

import numpy as np

from cobnut.data.sample_parts.shape import Floats, Pose, Surface

ATLAS = (512, 96)  # longitude, latitude: a little finer than the pixels of a nut 180 pixels wide
CAP_TEETH = 42


@dataclass(frozen=True, slots=True)
class Skin:
    """All that a nut's surface shows, drawn once.

    ``atlas`` (longitude, latitude, 4) is wrapped around the nut; its layers are the stripes (0 light to 1 dark), their
    relief (slope towards the east), the grain (fine streaks, about -1 to 1) and clouds (broad patches, about -1 to 1).
    """

    atlas: Floats
    speckle: Floats  # (128, 128, 1) unit noise, a tile that fills space through `_sprinkle`
    cap_edge: Floats  # (ATLAS[0],) latitude at which the cap ends
    shell: Floats  # (3,) colours
    stripe: Floats
    cap: Floats
    dust: Floats
    dustiness: float
    gloss: float


@dataclass(frozen=True, slots=True)
class Light:
    """A broad lamp from the upper left and the glow of the room around it."""

    towards: Floats  # (3,) unit, camera space
    strength: float
    room: float


def draw_skin(rng: np.random.Generator) -> Skin:
    """A skin as harvests have it: from orange to umber, with 24 to 34 stripes."""
    stripes = _draw_stripes(rng)
    relief = (np.roll(stripes, -1, axis=0) - np.roll(stripes, 1, axis=0)) * np.float32(2.0)
    grain = _noise(rng, 150, 5) * 0.45 + _noise(rng, 310, 30) * 0.45
    cloud = _noise(rng, 5, 5) * 0.6 + _noise(rng, 16, 9) * 0.4
    hue, depth = rng.uniform(-1, 1), rng.uniform(0.86, 1.12)
    cap_depth = rng.uniform(0.72, 1.08)
    return Skin(
        atlas=np.stack([stripes, relief, grain, cloud], axis=-1),
        speckle=rng.standard_normal((128, 128, 1), np.float32),
        cap_edge=_draw_cap_edge(rng),
        shell=colour(160 * depth, (87 + 6 * hue) * depth, (57 + 6 * hue) * depth),
        stripe=colour(84 * depth, (40 + 3 * hue) * depth, (33 + 3 * hue) * depth),
        cap=colour(168 * cap_depth, 124 * cap_depth, 97 * cap_depth),
        dust=colour(172, 144, 124),
        dustiness=rng.uniform(0.0, 0.7),
        gloss=rng.uniform(0.05, 0.11),
    )


def draw_light(rng: np.random.Generator) -> Light:
    """A lamp above the nut that stands a little differently each time."""
    towards = np.array([rng.uniform(-0.5, 0.1), rng.uniform(-0.75, -0.2), 1.0], np.float32)
    strength = rng.uniform(0.70, 0.86)
    return Light(towards / np.linalg.norm(towards), strength, room=rng.uniform(0.18, 0.26))


def paint_skin(skin: Skin, surface: Surface) -> tuple[Floats, Floats, Floats]:
    """Colour (3, n), gloss (n,) and relief (n,) of each pixel on the nut, and none of the light."""
    across, up = surface.longitude, surface.latitude
    stripes, relief, grain, cloud = look_up(skin.atlas, across, up)
    speckle = _sprinkle(skin, surface)
    dark = 0.22 * up - 0.06 + stripes * (0.85 + 0.25 * cloud) + 0.16 * grain + 0.15 * cloud + 0.08 * speckle
    dark = np.clip(dark, 0, 1.1)
    colours = _mix(skin.shell[:, None], skin.stripe[:, None], dark)

    dust = up + 0.12 * cloud + 0.13 * grain - 0.10 * stripes + 0.03 * speckle
    dust = np.clip(step(0.6, 1.08, dust) * (0.3 + skin.dustiness), 0, 0.7) + 0.5 * step(2.5, 3.5, speckle)
    colours = _mix(colours, skin.dust[:, None], dust)

    inside = np.interp(across * ATLAS[0], np.arange(ATLAS[0] + 1), np.append(skin.cap_edge, skin.cap_edge[0])) - up
    inside = inside.astype(np.float32)
    on_cap = step(-0.003, 0.003, inside)
    colours *= 1 - 0.62 * step(-0.014, -0.002, inside)  # the cap stands proud of the shell and shades it
    colours = _mix(colours, _paint_cap(skin, grain, cloud + speckle, inside), on_cap)
    gloss = skin.gloss * (1 - on_cap) * (1 - 0.5 * dark) * (1 - np.clip(dust, 0, 0.8))
    return colours, gloss, relief * (1 - on_cap)


def illuminate(light: Light, pose: Pose, surface: Surface, relief: Floats) -> tuple[Floats, Floats]:
    """How much light each pixel's colour, and its gloss, send to the camera, (n,) each.

    The nut is matte with a soft sheen, and dimmer where it turns to the dark ground.
    """
    east = np.stack([np.zeros_like(relief), -surface.points[2], surface.points[1]])
    normals = surface.normals - 0.35 * relief * (pose.frame.T @ east)
    facing = light.towards @ normals
    lamp = np.clip((facing + 0.25) / 1.25, 0, 1.05)
    openness = np.sqrt(np.clip(surface.normals[2] * 1.15, 0, 1))
    half = light.towards + np.array([0, 0, 1], np.float32)
    sheen = np.clip((half / np.linalg.norm(half)) @ normals, 0, 1) ** 14
    lit = (light.room + light.strength * lamp) * (0.3 + 0.7 * openness)
    return np.asarray(lit, np.float32), np.asarray(sheen, np.float32)


def colour(red: float, green: float, blue: float) -> Floats:
    """Linear light, (3,), of a colour given in grey values from 0 to 255."""
    return np.array([(grey / 255) ** 2 for grey in (red, green, blue)], np.float32)


def step(low: float, high: float, values: Floats) -> Floats:
    """0 at or below ``low``, 1 at or above ``high``, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def look_up(table: Floats, x: Floats, y: Floats) -> Floats:
    """The k layers, (k, n), of ``table`` (width, height, k) at ``x``, ``y`` (n,); 0 to 1 spans it, then it repeats."""
    width, height, layers = table.shape
    x, y = x * width, y * (height - 1)
    column, row = np.floor(x), np.floor(y)
    right, down = (x - column)[:, None], (y - row)[:, None]
    i, j = column.astype(np.intp) % width, row.astype(np.intp) % height
    flat, here, below = table.reshape(-1, layers), i * height, (j + 1) % height
    there = np.where(i + 1 == width, 0, here + height)
    upper, lower = flat.take(here + j, axis=0), flat.take(here + below, axis=0)
    upper += (flat.take(there + j, axis=0) - upper) * right
    lower += (flat.take(there + below, axis=0) - lower) * right
    upper += (lower - upper) * down
    return np.ascontiguousarray(upper.T)


def _draw_stripes(rng: np.random.Generator) -> Floats:
    """Dark lines from cap to tip, none quite straight, each as dark as it pleases, with fainter streaks between."""
    count = int(rng.integers(28, 39))
    around = np.arange(ATLAS[0], dtype=np.float32)[:, None] * np.float32(2 * pi * count / ATLAS[0])
    line = 0.5 + 0.5 * np.cos(around + 1.1 * _noise(rng, 14, 2) + 0.30 * _noise(rng, 18, 4))
    darkness = np.clip(0.55 + 0.25 * _noise(rng, count, 2) + 0.12 * _noise(rng, count, 6), 0.1, 1)
    streaks = 0.10 * _noise(rng, 46, 3) + 0.10 * _noise(rng, 120, 4)
    stripes: Floats = np.clip(line * line * darkness + streaks, 0, 1)
    return stripes


def _draw_cap_edge(rng: np.random.Generator) -> Floats:
    """The latitude at which the cap ends, (ATLAS[0],): a wavy line with uneven teeth."""
    wave = 0.012 * _noise(rng, 5, 2)[:, 0] + 0.006 * _noise(rng, 13, 2)[:, 0]
    roots = np.arange(2 * CAP_TEETH + 1) * (ATLAS[0] / (2 * CAP_TEETH))
    teeth = rng.uniform(0.002, 0.016, CAP_TEETH)
    heights = np.stack([np.zeros(CAP_TEETH), teeth], axis=1).ravel()
    jagged = np.interp(np.arange(ATLAS[0]), roots, np.append(heights, 0.0))
    return np.asarray(rng.uniform(0.205, 0.26) + wave + jagged, np.float32)


def _paint_cap(skin: Skin, grain: Floats, mottle: Floats, inside: Floats) -> Floats:
    """Radial fibres, (3, n), darker towards the edge and pale on the teeth; ``inside`` is the way in from the edge."""
    rim = step(0.022, 0.010, inside)
    fibres = 0.70 + 0.40 * grain * step(0.25, 0.16, inside) + 0.20 * mottle
    tone = fibres * (0.66 + 0.50 * step(0.012, 0.20, inside)) * (1 - rim) + rim * (0.95 + 0.3 * grain + 0.22 * mottle)
    return skin.cap[:, None] * np.asarray(np.clip(tone, 0.08, 1.6), np.float32)


def _sprinkle(skin: Skin, surface: Surface) -> Floats:
    """Speckle of no direction at each pixel, (n,): two cuts through space, so that no side of the nut is smeared."""
    along, across, behind = surface.points
    (speckle,) = look_up(skin.speckle, (across + 0.6 * along) * 0.46, (behind - 0.7 * along) * 0.46)
    return np.asarray(speckle, np.float32)


def _mix(first: Floats, second: Floats, share: Floats) -> Floats:
    return first + (second - first) * share


def _noise(rng: np.random.Generator, columns: int, rows: int) -> Floats:
    """Random hills, ``ATLAS``-shaped, seamless around the nut, of unit spread at ``columns`` by ``rows`` places."""
    cells = rng.standard_normal((columns, rows), np.float32)
    return np.asarray(_stretch(columns, ATLAS[0], True) @ cells @ _stretch(rows, ATLAS[1], False).T, np.float32)


@cache
def _stretch(cells: int, length: int, is_ring: bool) -> Floats:
    """The matrix (length, cells) that draws a smooth curve through ``cells`` values."""
    place = np.arange(length) * (cells / length if is_ring else (cells - 1) / (length - 1))
    left = np.minimum(place.astype(np.intp), cells - 1)
    share = step(0, 1, (place - left).astype(np.float32))
    matrix = np.zeros((length, cells), np.float32)
    rows = np.arange(length)
    matrix[rows, left] += 1 - share
    matrix[rows, (left + 1) % cells] += share
    return matrix
