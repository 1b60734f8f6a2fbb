#!/usr/bin/env python
"""Says what the official library makes of regions: those on standard input, and random ones.

    region_envelopes.py --seed 1 --count 1000 < REGIONS > LINES

REGIONS has a region per line, its bytes in hexadecimal digits. Each of LINES has, between tabs:
the family that the region is of ("given" for those of REGIONS), its bytes in hexadecimal digits,
what the library encodes it as once it has decoded it, in base64, and the ranges of the level-7
pixels of its envelope ("131072-131080,131090-131091"). The same seed and count give the same lines.

The families look for trouble: regions of all sizes, thin ones, ones across the poles, the
antimeridian and the mesh's edges and corners, ones that share edges with the mesh, and bytes that
no client would write but that the library accepts.
"""

import argparse
import base64
import math
import random
import struct
import sys

from lsst.sphgeom import (
    Angle,
    Box,
    Circle,
    CompoundRegion,
    ConvexPolygon,
    Ellipse,
    HtmPixelization,
    IntersectionRegion,
    LonLat,
    Region,
    UnionRegion,
    UnitVector3d,
    Vector3d,
)

HTM = HtmPixelization(7)
HALF_PI = math.pi / 2
SMALLEST, LARGEST = 1e-9, 0.8


def size(rng, smallest=SMALLEST, largest=LARGEST):
    """Any order of magnitude is as likely as another."""
    return math.exp(rng.uniform(math.log(smallest), math.log(largest)))


def point(rng):
    """Any point of the sky."""
    return UnitVector3d(Angle(rng.uniform(0, 2 * math.pi)), Angle(math.asin(rng.uniform(-1, 1))))


def lon_lat(lon, lat):
    return UnitVector3d(Angle(lon), Angle(lat))


def near(rng, centre, distance):
    """A point at this distance."""
    return offset(centre, distance, rng.uniform(0, 2 * math.pi))


def offset(centre, distance, direction):
    """The point at this distance in this direction (0 is east, if there is an east)."""
    east = UnitVector3d.orthogonalTo(centre, UnitVector3d.Z())
    north = UnitVector3d(centre.cross(east))
    across = east * math.cos(direction) + north * math.sin(direction)
    return UnitVector3d(centre * math.cos(distance) + across * math.sin(distance))


def hull(points):
    """The convex hull; none if the points have none."""
    try:
        return ConvexPolygon(list(points))
    except (ValueError, RuntimeError):
        return None


def ring(rng, centre, radius, vertices):
    """Vertices all around."""
    return hull(near(rng, centre, radius) for _ in range(vertices))


def rectangle(centre, length, width, turn):
    """Corners a length and a width apart, in directions that meet at right angles."""
    half, corner = math.hypot(length, width) / 2, math.atan2(width, length)
    directions = (corner, math.pi - corner, math.pi + corner, -corner)
    return hull(offset(centre, half, turn + direction) for direction in directions)


def trixel(rng, coarsest=0, finest=12):
    """A triangle of the mesh's, at any level."""
    level = rng.randint(coarsest, finest)
    return HtmPixelization(level).triangle(rng.randrange(8 << 2 * level, 16 << 2 * level))


def vertex(rng):
    """A vertex of the mesh's."""
    return rng.choice(trixel(rng, 0, 8).getVertices())


# Polygons.


def detector(rng):
    return rectangle(point(rng), rng.uniform(5e-4, 2e-2), rng.uniform(5e-4, 2e-2), rng.uniform(0, 7))


def visit(rng):
    return ring(rng, point(rng), rng.uniform(0.01, 0.05), rng.randint(20, 100))


def any_size(rng):
    return ring(rng, point(rng), size(rng), rng.randint(3, 12))


def thin(rng):
    return rectangle(point(rng), size(rng, 1e-3, 1.5), size(rng, 1e-12, 1e-4), rng.uniform(0, 7))


def pole(rng):
    radius = size(rng)
    north = UnitVector3d.Z()
    centre = near(rng, rng.choice((north, -north)), radius * rng.random())
    return ring(rng, centre, radius, rng.randint(3, 8))


def antimeridian(rng):
    radius = size(rng)
    centre = lon_lat(math.pi + radius * rng.uniform(-1, 1), rng.uniform(-1.5, 1.5))
    return ring(rng, centre, radius, rng.randint(3, 8))


def root_edge(rng):
    """Across an edge of an octant, or a corner."""
    radius = size(rng)
    lon = rng.randrange(4) * HALF_PI
    edges = ((lon, rng.uniform(-1.5, 1.5)), (rng.uniform(0, 7), 0.0), (lon, 0.0), (lon, HALF_PI))
    centre = near(rng, lon_lat(*rng.choice(edges)), radius * rng.random())
    return ring(rng, centre, radius, rng.randint(3, 8))


def mesh_triangle(rng):
    return trixel(rng)


def mesh_neighbours(rng):
    """Two or three children of a triangle: their hull shares its edges."""
    level = rng.randint(0, 9)
    index = rng.randrange(8 << 2 * level, 16 << 2 * level)
    children = rng.sample(range(4 * index, 4 * index + 4), rng.randint(2, 3))
    finer = HtmPixelization(level + 1)
    return hull(v for child in children for v in finer.triangle(child).getVertices())


def shared_edge(rng):
    """An edge of the mesh's, and points beside it or in line with it."""
    a, b, c = trixel(rng).getVertices()
    distance = math.sqrt((a - b).getSquaredNorm())
    others = [
        near(rng, a, distance * rng.uniform(0.1, 2)),
        c,
        UnitVector3d(a + b),
        UnitVector3d(b + (b - a) * rng.random()),
    ]
    return hull([a, b] + rng.sample(others, rng.randint(1, 3)))


def corner(rng):
    """A vertex of the mesh's is a vertex, or lies on an edge."""
    at, radius = vertex(rng), size(rng)
    around = [near(rng, at, radius * rng.random()) for _ in range(rng.randint(2, 6))]
    return hull(around + [rng.choice((at, UnitVector3d(at * 2 - around[0])))])


def mesh_vertices(rng):
    """All vertices are some of the mesh's."""
    level = rng.randint(1, 7)
    mesh = HtmPixelization(level)
    centre, radius = vertex(rng), max(size(rng, 1e-3, 0.7), 2.0 / 2**level)
    triangles = (mesh.triangle(mesh.index(near(rng, centre, radius))) for _ in range(6))
    return hull(rng.choice(triangle.getVertices()) for triangle in triangles)


def aligned(rng):
    """Corners at round longitudes and latitudes."""
    step = rng.choice((HALF_PI, HALF_PI / 2, HALF_PI / 8, math.pi / 180, math.pi / 1800))
    half = int(round(HALF_PI / step))
    lon, lat = rng.randrange(4 * half) * step, rng.randint(-half, half - 1) * step
    width, height = (step * rng.randint(1, 4) for _ in range(2))
    lats = (lat, min(lat + height, HALF_PI))
    return hull(lon_lat(lon + dx, y) for dx in (0, min(width, 1.5)) for y in lats)


# Bytes that are polygons to the library, though no client would write them.


def polygon_bytes(vertices):
    numbers = (number for v in vertices for number in (v.x(), v.y(), v.z()))
    return b"p" + b"".join(struct.pack("<d", number) for number in numbers)


def not_convex(rng):
    centre, radius = point(rng), size(rng, 1e-6)
    around = (near(rng, centre, radius * rng.random()) for _ in range(rng.randint(3, 12)))
    return polygon_bytes(around)


def clockwise(rng):
    polygon = any_size(rng)
    return polygon and polygon_bytes(polygon.getVertices()[::-1])


def not_of_unit_length(rng):
    polygon = any_size(rng)
    scales = (1e-300, 1e-160, 1e-100, 1e-5, 1 - 1e-9, 1 + 1e-15, 3.0, 1e5, 1e100, 1e160)
    if rng.random() < 0.5:
        scales = rng.sample(scales, 1)
    return polygon and polygon_bytes(Vector3d(v) * rng.choice(scales) for v in polygon.getVertices())


def degenerate(rng):
    """Vertices that are repeated, opposite, or in line."""
    a, b = rng.choice((point, vertex))(rng), rng.choice((point, vertex))(rng)
    middle = UnitVector3d(a + b) if a != -b else a
    return polygon_bytes(rng.choice((a, b, -a, middle, -middle)) for _ in range(rng.randint(3, 6)))


# Other regions.


def circle(rng):
    radius = rng.choice((size(rng), size(rng), rng.uniform(0, math.pi), math.pi - size(rng)))
    centre = rng.choice((point(rng), point(rng), vertex(rng), near(rng, vertex(rng), radius)))
    return Circle(centre, Angle(radius))


def touching_circle(rng):
    """The boundary just touches, or just misses, a vertex or an edge of the mesh's."""
    if rng.random() < 0.3:
        limit = vertex(rng)
        centre = rng.choice((point(rng), near(rng, limit, size(rng))))
    else:
        a, b, _ = trixel(rng, 6, 7).getVertices()
        limit, across = UnitVector3d(a + b * rng.random()), UnitVector3d.orthogonalTo(a, b)
        radius = rng.choice((size(rng), rng.uniform(0, 1.5)))
        centre = UnitVector3d(limit * math.cos(radius) + across * math.sin(radius))
    squared = (centre - limit).getSquaredNorm()
    return Circle(centre, squared * rng.choice((1.0, 1 + rng.uniform(-2e-14, 2e-14))))


def odd_circle(rng):
    return rng.choice(
        (
            Circle.empty(),
            Circle.full(),
            Circle(point(rng)),
            Circle(vertex(rng)),
            Circle(point(rng), Angle(-1.0)),
            Circle(point(rng), Angle(4.0)),
            Circle(point(rng), 4.0 - rng.choice((1e-15, 1e-12, 1e-9))),
        )
    )


def ellipse(rng):
    if rng.random() < 0.1:
        return rng.choice((Ellipse.empty(), Ellipse.full()))
    centre = rng.choice((point(rng), vertex(rng)))
    if rng.random() < 0.3:
        return Ellipse(centre, near(rng, centre, size(rng)), Angle(size(rng)))
    axes = [size(rng), size(rng)]
    if rng.random() < 0.2:
        axes = [math.pi - size(rng), math.pi - size(rng)]
    elif rng.random() < 0.5:
        # The bounding circle, a little wider than the ellipse, just touches a vertex.
        distance = size(rng, 1e-3)
        centre = near(rng, vertex(rng), distance)
        axes[0] = distance - rng.uniform(0, 6e-8)
        axes[1] = axes[0] * rng.random()
    return Ellipse(centre, *map(Angle, axes), Angle(rng.uniform(0, 7)))


def box(rng):
    """As bytes, which the library may have to make into other numbers."""
    step = rng.choice((HALF_PI, HALF_PI / 8, math.pi / 180, 1e-9))
    west = rng.choice((rng.uniform(-7, 7), round(rng.uniform(-4, 4) / step) * step))
    south = rng.choice((rng.uniform(-2, 1.6), round(rng.uniform(-1.6, 1.6) / step) * step))
    width, height = rng.choice((size(rng), step, 1.0)), rng.choice((size(rng), step))
    if rng.random() < 0.3:
        width = rng.uniform(0, 7)
    return box_bytes(west, west + width, south, south + height)


def mesh_box(rng):
    """Bounded by the meridians and parallels that bound triangles of the mesh's, or near them."""
    bounds = [trixel(rng, 0, 8).getBoundingBox() for _ in range(2)]
    lons = [lon for box in bounds for lon in (box.getLon().getA(), box.getLon().getB())]
    lats = [lat for box in bounds for lat in (box.getLat().getA(), box.getLat().getB())]
    margin = rng.choice((0.0, 0.0, 5e-10, 1e-9))
    west, east = (lon.asRadians() for lon in rng.sample(lons, 2))
    south, north = sorted(lat.asRadians() for lat in rng.sample(lats, 2))
    west, east = max(west - margin, 0.0), min(east + margin, 2 * math.pi)
    return box_bytes(west, east, south - margin, north + margin)


def odd_box(rng):
    if rng.random() < 0.3:
        return rng.choice((Box.empty(), Box.full()))
    numbers = (0.0, -0.0, 1.0, -1.0, HALF_PI, -HALF_PI, math.pi, 2 * math.pi, 7.0, 1e-20, -1e-20)
    west, east = sorted(rng.sample(numbers, 2))
    if rng.random() < 0.1:
        west = math.nan
    south, north = rng.choices(numbers + (math.nan, math.inf, -math.inf), k=2)
    return box_bytes(west, east, south, north)


def box_bytes(*numbers):
    return b"b" + struct.pack("<4d", *numbers)


def compound(rng, depth=3):
    """A union or an intersection of regions that may meet."""
    kind = rng.choice((UnionRegion, IntersectionRegion))
    centre = point(rng)
    operands = []
    for _ in range(rng.choice((0, 1, 2, 2, 3, 4))):
        if depth and rng.random() < 0.3:
            operand = compound(rng, depth - 1)
        else:
            radius = size(rng, 1e-3)
            beside = near(rng, centre, radius * rng.random())
            operand = rng.choice(
                (
                    ring(rng, beside, radius, rng.randint(3, 6)),
                    Circle(beside, Angle(radius)),
                    Ellipse(beside, Angle(radius), Angle(radius / 2), Angle(1.0)),
                    Box(LonLat(beside), Angle(radius), Angle(radius)),
                )
            )
        if operand is not None:
            operands.append(operand)
    return kind(*operands)


def nested(rng, depth=4):
    """Compounds within compounds, as bytes: a client would have dissolved some of them."""
    if depth == 0 or rng.random() < 0.2:
        return compound(rng, 0).encode()
    operands = [nested(rng, depth - 1) for _ in range(rng.choice((0, 1, 2, 2)))]
    lengths = [len(operand).to_bytes(8, "little") for operand in operands]
    return rng.choice((b"u", b"i")) + b"".join(map(bytes.__add__, lengths, operands))


POLYGONS = (
    detector,
    visit,
    any_size,
    thin,
    pole,
    antimeridian,
    root_edge,
    mesh_triangle,
    mesh_neighbours,
    shared_edge,
    corner,
    mesh_vertices,
    aligned,
)
OTHERS = (
    not_convex,
    clockwise,
    not_of_unit_length,
    degenerate,
    circle,
    touching_circle,
    odd_circle,
    ellipse,
    box,
    mesh_box,
    odd_box,
    compound,
    nested,
)


def without_ellipses(region):
    """The region with circles for ellipses.

    That is how the library means to find their envelopes, but it looks at the circle when it has
    already freed it, and mostly crashes.
    """
    if isinstance(region, Ellipse):
        return region.getBoundingCircle()
    if isinstance(region, CompoundRegion):
        return type(region)(*map(without_ellipses, Region.getRegions(region)))
    return region


def write(family, encoded):
    region = Region.decode(encoded)
    again = base64.b64encode(region.encode()).decode()
    envelope = HTM.envelope(without_ellipses(region))
    ranges = ",".join(f"{start}-{end}" for start, end in envelope.ranges())
    print(family, encoded.hex(), again, ranges, sep="\t")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True, help="polygons of each family")
    options = parser.parse_args()
    for line in sys.stdin:
        write("given", bytes.fromhex(line))
    for family in POLYGONS + OTHERS:
        rng = random.Random(f"{options.seed} {family.__name__}")
        left = options.count if family in POLYGONS else options.count // 4
        while left:
            region = family(rng)
            if region is not None:
                write(family.__name__, region if isinstance(region, bytes) else region.encode())
                left -= 1


if __name__ == "__main__":
    main()
