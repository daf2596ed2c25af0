"""The body of a rendered hazelnut: its shape, its pose, and where each camera ray meets it.

Object space has its first axis along the nut, from the cap (negative) to the tip (positive), and the widest radius is
about 1. Camera space is the image's: x to the right, y down, z towards the viewer, parallel rays.
"""

from dataclasses import dataclass
from math import cos, pi, radians, sin

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """A body of revolution, ``radius² = (1 - u²) · taper(u)``, then flattened, made three-lobed and bent: a nut."""

    half_length: float
    taper: tuple[float, float, float, float]
    flatness: float
    lobes: float
    bend: float


@dataclass(frozen=True, slots=True)
class Pose:
    """``frame`` (3, 3) takes camera space to object space; ``zoom`` is nut units per half image side."""

    frame: Floats
    centre: tuple[float, float]
    zoom: float


@dataclass(frozen=True, slots=True)
class Surface:
    """The n pixels that see the nut, of ``side * side``; ``pixel`` is the width of one in nut units."""

    side: int
    pixel: float
    gap: Floats  # (side * side,) distance to the outline in nut units, negative inside
    hits: NDArray[np.intp]  # (n,) flat positions in the image
    coverage: Floats  # (n,) share of the pixel that the nut fills, 0 to 1
    points: Floats  # (3, n) object space
    normals: Floats  # (3, n) camera space, unit length
    longitude: Floats  # (n,) 0 to 1, once around the nut
    latitude: Floats  # (n,) 0 at the cap's centre to 1 at the tip


def draw_shape(rng: np.random.Generator) -> Shape:
    """A shape as harvests have it: blunt at the cap, more or less pointed at the tip."""
    cap, waist, tip = rng.uniform(1.6, 2.5), rng.uniform(-0.45, -0.15), rng.uniform(0.12, 0.45)
    even, odd = (cap + tip) / 2 - 1, (tip - cap) / 2 - waist
    return Shape(
        half_length=rng.uniform(0.98, 1.2),
        taper=(1.0, waist, even, odd),  # 1 at the middle, `cap` and `tip` at the ends
        flatness=rng.uniform(1.0, 1.22),
        lobes=rng.uniform(0.0, 0.09),
        bend=rng.uniform(-0.14, 0.14),
    )


def draw_pose(rng: np.random.Generator) -> Pose:
    """A pose with the cap up to the upper left.

    Real nuts lie at any angle; ±35° in the plane keeps the set learnable by a small network within a minute.
    """
    turn, tilt, spin = radians(25 + rng.uniform(-35, 35)), radians(rng.uniform(-18, 38)), rng.uniform(0, 2 * pi)
    along = np.array([sin(turn) * cos(tilt), cos(turn) * cos(tilt), -sin(tilt)])
    across = np.array([cos(turn), -sin(turn), 0.0])
    behind = np.cross(along, across)
    frame = [along, cos(spin) * across + sin(spin) * behind, cos(spin) * behind - sin(spin) * across]
    centre = (rng.uniform(-0.09, 0.09), rng.uniform(-0.09, 0.09))
    return Pose(np.array(frame, np.float32), centre, zoom=rng.uniform(1.4, 1.58))


def see_surface(shape: Shape, pose: Pose, side: int) -> Surface:
    """Send one ray through the centre of each of the ``side * side`` pixels."""
    line = (np.arange(side, dtype=np.float32) + 0.5) * (2 / side) - 1
    x, y = np.meshgrid((line - pose.centre[0]) * pose.zoom, (line - pose.centre[1]) * pose.zoom)
    rays = np.stack([x.ravel(), y.ravel(), np.zeros(side * side, np.float32)])
    pixel = 2 * pose.zoom / side

    curvature = _ray_curvature(shape, pose)
    rays, height, steepness = _approach(shape, pose, rays, curvature)
    gap: Floats = np.divide(height, np.maximum(steepness, 0.2))
    coverage: Floats = np.clip(0.5 - gap / pixel, 0, 1)

    hits = np.flatnonzero(coverage)
    rays = rays[:, hits]
    rays[2] += np.sqrt(np.maximum(-2 / curvature * height[hits], 0))
    points, normals = _land(shape, pose, rays)
    longitude = np.arctan2(points[2], points[1]) * np.float32(0.5 / pi) + np.float32(0.5)
    latitude = np.arctan2(np.hypot(points[1], points[2]), -points[0] / shape.half_length) * np.float32(1 / pi)
    return Surface(side, pixel, gap, hits, coverage[hits], points, normals, longitude, latitude)


def surface_point(shape: Shape, longitude: float, latitude: float) -> tuple[Floats, Floats]:
    """The point at a place on the nut and the outward unit normal there, both (3,) in object space."""
    way = (
        -cos(pi * latitude),
        -sin(pi * latitude) * cos(2 * pi * longitude),
        -sin(pi * latitude) * sin(2 * pi * longitude),
    )
    ray = np.array(way, np.float32)[:, None] * np.array([[shape.half_length], [1], [1]], np.float32)
    steps = np.linspace(0, 2, 2001, dtype=np.float32)
    point = ray * steps[_field(shape, ray * steps)[0] < 0][-1]
    normal = _field(shape, point)[1][:, 0]
    return point[:, 0], normal / np.linalg.norm(normal)


def _field(shape: Shape, points: Floats) -> tuple[Floats, Floats]:
    """A value below 0 inside the nut and above 0 outside, (n,), and its gradient, (3, n), at ``points`` (3, n)."""
    u, v, w = points[0] / shape.half_length, points[1], points[2]
    v = v - shape.bend * u * u
    c0, c1, c2, c3 = shape.taper
    t = np.clip(u, -1, 1)  # beyond the ends the cubic may change its sign and show a ghost of the nut
    taper, slope = c0 + t * (c1 + t * (c2 + t * c3)), c1 + t * (2 * c2 + t * (3 * c3))
    room = 1 - u * u
    value = v * v * shape.flatness + w * w + shape.lobes * v * (v * v - 3 * w * w) - room * taper
    dv = 2 * shape.flatness * v + 3 * shape.lobes * (v * v - w * w)
    dw = 2 * w - 6 * shape.lobes * v * w
    du = 2 * u * taper - room * slope - 2 * shape.bend * u * dv
    return value, np.stack([du / shape.half_length, dv, dw])


def _ray_curvature(shape: Shape, pose: Pose) -> float:
    """About how fast the field bends along a ray: exact for an ellipsoid, near enough for a nut."""
    u, v, w = (float(part) for part in pose.frame[:, 2])
    return 2 * ((u / shape.half_length) ** 2 + shape.flatness * v * v + w * w)


def _approach(shape: Shape, pose: Pose, rays: Floats, curvature: float) -> tuple[Floats, Floats, Floats]:
    """The rays where they are deepest in the nut or pass it closest, the field there, its slope across the image."""
    for _ in range(2):  # the outline is then smooth, if not that of the equation to the last pixel
        value, gradient = _field(shape, pose.frame @ rays)
        rays[2] -= (pose.frame[:, 2] @ gradient) / curvature
    value, gradient = _field(shape, pose.frame @ rays)
    return rays, value, np.hypot(*(pose.frame[:, :2].T @ gradient))


def _land(shape: Shape, pose: Pose, rays: Floats) -> tuple[Floats, Floats]:
    """Newton's steps from a good guess to the front of the nut: object-space points and camera-space unit normals."""
    for _ in range(3):
        value, gradient = _field(shape, pose.frame @ rays)
        rays[2] -= np.clip(value / np.maximum(pose.frame[:, 2] @ gradient, 0.1), -0.2, 0.2)
    points = pose.frame @ rays
    normals = pose.frame.T @ _field(shape, points)[1]
    return points, normals / np.sqrt(np.einsum("cn,cn->n", normals, normals))
