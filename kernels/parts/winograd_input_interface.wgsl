// What both families of winograd_input share: parameters, bindings, and what an invocation does.

override ROWS: u32 = 6u;
override COLUMNS: u32 = 6u;
override STRIDE: u32 = 1u;

struct Params {
    first: u32, tiles: u32, tiles_down: u32, tiles_across: u32, tile_height: u32, tile_width: u32,
    in_quads: u32, in_height: u32, in_width: u32, padding: u32,
    // Quads of the map that a group reads, the same with all phases, and quads from one tile's to the next
    // one's.
    group_quads: u32, depth_quads: u32, pitch_quads: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<Quad>;
@group(0) @binding(1) var<storage, read_write> v: array<Quad>;

// A row or column of pixels: whether it is inside the map, and which one it is, at the edge if it is not.
struct Pixel { inside: bool, at: u32 }

fn pixel(at: i32, size: u32) -> Pixel {
    return Pixel(at >= 0 && at < i32(size), u32(clamp(at, 0, i32(size) - 1)));
}

fn load(points: u32, i: u32, top: i32, column: Pixel, plane: u32) -> vec4f {
    if i >= points { return vec4f(); }
    let row = pixel(top + i32(STRIDE * i), p.in_height);
    return select(vec4f(), words(x[plane + row.at * p.in_width + column.at]), row.inside && column.inside);
}

// A column of the tile, transformed.
fn down(j: u32, top: i32, left: i32, plane: u32) -> Line {
    if j >= COLUMNS { return Line(); }
    let column = pixel(left + i32(STRIDE * j), p.in_width);
    return before(ROWS, Line(
        load(ROWS, 0u, top, column, plane), load(ROWS, 1u, top, column, plane),
        load(ROWS, 2u, top, column, plane), load(ROWS, 3u, top, column, plane),
        load(ROWS, 4u, top, column, plane), load(ROWS, 5u, top, column, plane),
        load(ROWS, 6u, top, column, plane), load(ROWS, 7u, top, column, plane),
    ));
}

fn put(i: u32, at: u32, step: u32, row: Line) {
    if i >= ROWS { return; }
    let t = before(COLUMNS, row);
    let start = at + i * COLUMNS * step;
    v[start] = quad(t.a);
    v[start + step] = quad(t.b);
    v[start + 2u * step] = quad(t.c);
    v[start + 3u * step] = quad(t.d);
    if COLUMNS > 4u { v[start + 4u * step] = quad(t.e); }
    if COLUMNS > 5u { v[start + 5u * step] = quad(t.f); }
    if COLUMNS > 6u { v[start + 6u * step] = quad(t.g); }
    if COLUMNS > 7u { v[start + 7u * step] = quad(t.h); }
}

// A tile of the launch and a quad of the depth of a group.
fn transform(id: vec3u) {
    let tile = p.first + id.y;
    let image = tile / (p.tiles_down * p.tiles_across);
    let place = tile - image * p.tiles_down * p.tiles_across;
    let tile_row = place / p.tiles_across;
    let tile_column = place - tile_row * p.tiles_across;
    var top = i32(tile_row * p.tile_height * STRIDE) - i32(p.padding);
    var left = i32(tile_column * p.tile_width * STRIDE) - i32(p.padding);
    var quad = id.x;
    if STRIDE > 1u {
        let phase = id.x / p.group_quads;
        quad -= phase * p.group_quads;
        top += i32(phase / STRIDE);
        left += i32(phase % STRIDE);
    }
    let plane = (image * p.in_quads + id.z * p.group_quads + quad) * p.in_height * p.in_width;
    let c0 = down(0u, top, left, plane);
    let c1 = down(1u, top, left, plane);
    let c2 = down(2u, top, left, plane);
    let c3 = down(3u, top, left, plane);
    let c4 = down(4u, top, left, plane);
    let c5 = down(5u, top, left, plane);
    let c6 = down(6u, top, left, plane);
    let c7 = down(7u, top, left, plane);
    let at = (id.z * ROWS * COLUMNS * p.tiles + id.y) * p.pitch_quads + id.x;
    let step = p.tiles * p.pitch_quads;
    put(0u, at, step, Line(c0.a, c1.a, c2.a, c3.a, c4.a, c5.a, c6.a, c7.a));
    put(1u, at, step, Line(c0.b, c1.b, c2.b, c3.b, c4.b, c5.b, c6.b, c7.b));
    put(2u, at, step, Line(c0.c, c1.c, c2.c, c3.c, c4.c, c5.c, c6.c, c7.c));
    put(3u, at, step, Line(c0.d, c1.d, c2.d, c3.d, c4.d, c5.d, c6.d, c7.d));
    put(4u, at, step, Line(c0.e, c1.e, c2.e, c3.e, c4.e, c5.e, c6.e, c7.e));
    put(5u, at, step, Line(c0.f, c1.f, c2.f, c3.f, c4.f, c5.f, c6.f, c7.f));
    put(6u, at, step, Line(c0.g, c1.g, c2.g, c3.g, c4.g, c5.g, c6.g, c7.g));
    put(7u, at, step, Line(c0.h, c1.h, c2.h, c3.h, c4.h, c5.h, c6.h, c7.h));
}
