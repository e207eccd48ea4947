// What both families of winograd_output share: parameters, bindings, and what an invocation does.

override ROWS: u32 = 6u;
override COLUMNS: u32 = 6u;
override HEIGHT: u32 = 4u;
override WIDTH: u32 = 4u;
override RELU: bool = false;
override POOL: bool = false;

struct Params {
    first: u32, tiles: u32, tiles_down: u32, tiles_across: u32,
    out_quads: u32, out_height: u32, out_width: u32, group_quads: u32, pitch_quads: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> m: array<Quad>;
@group(0) @binding(1) var<storage, read> bias: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<Quad>;

fn load(i: u32, j: u32, at: u32, step: u32) -> vec4f {
    if i >= ROWS { return vec4f(); }
    return words(m[at + (i * COLUMNS + j) * step]);
}

// A column of the tile's results.
fn down(j: u32, at: u32, step: u32) -> Line {
    if j >= COLUMNS { return Line(); }
    return after(ROWS, HEIGHT, Line(
        load(0u, j, at, step), load(1u, j, at, step), load(2u, j, at, step), load(3u, j, at, step),
        load(4u, j, at, step), load(5u, j, at, step), load(6u, j, at, step), load(7u, j, at, step),
    ));
}

fn finish_one(value: vec4f, add: vec4f) -> vec4f {
    let sum = value + add;
    // NaN is not less than zero.
    if RELU { return select(sum, vec4f(), sum < vec4f()); }
    return sum;
}

// Bias and ReLU of a row of results.
fn finish(row: Line, add: vec4f) -> Line {
    return Line(
        finish_one(row.a, add), finish_one(row.b, add), finish_one(row.c, add),
        finish_one(row.d, add), finish_one(row.e, add), finish_one(row.f, add), vec4f(), vec4f(),
    );
}

// A row of the tile's results, finished before they are pooled: drivers may change the order of a sum with
// what is made of it, and pooled results are to have the bits of those that are not.
fn across(row: Line, add: vec4f) -> Line {
    let t = after(COLUMNS, WIDTH, row);
    return finish(t, add);
}

// The largest of every two results of two rows. The family says what is larger.
fn pooled(r: Line, s: Line) -> Line {
    return Line(
        larger(larger(r.a, r.b), larger(s.a, s.b)),
        larger(larger(r.c, r.d), larger(s.c, s.d)),
        larger(larger(r.e, r.f), larger(s.e, s.f)),
        vec4f(), vec4f(), vec4f(), vec4f(), vec4f(),
    );
}

// Stores `width` results from column `left` on; beyond the edge the last inside stands again.
fn put(width: u32, at: u32, left: u32, row: Line) {
    let last = p.out_width - 1u;
    y[at + left] = quad(row.a);
    if width < 2u { return; }
    let b = select(row.b, row.a, left + 1u > last);
    y[at + min(left + 1u, last)] = quad(b);
    if width < 3u { return; }
    let c = select(row.c, b, left + 2u > last);
    y[at + min(left + 2u, last)] = quad(c);
    if width < 4u { return; }
    let d = select(row.d, c, left + 3u > last);
    y[at + min(left + 3u, last)] = quad(d);
    if width < 6u { return; }
    let e = select(row.e, d, left + 4u > last);
    y[at + min(left + 4u, last)] = quad(e);
    let f = select(row.f, e, left + 5u > last);
    y[at + min(left + 5u, last)] = quad(f);
}

fn choose(row: Line, before: Line, beyond: bool) -> Line {
    return Line(
        select(row.a, before.a, beyond), select(row.b, before.b, beyond), select(row.c, before.c, beyond),
        select(row.d, before.d, beyond), select(row.e, before.e, beyond), select(row.f, before.f, beyond),
        vec4f(), vec4f(),
    );
}

// The word of the first column of a row of y.
fn start(plane: u32, row: u32) -> u32 {
    return plane + min(row, p.out_height - 1u) * p.out_width;
}

// Pooled rows may all lie beyond the edge, which the first one cannot otherwise: an odd map ends in a row
// that nobody pools.
fn put_pooled(plane: u32, top: u32, left: u32, a: Line, b: Line, c: Line) {
    if top >= p.out_height || left >= p.out_width { return; }
    put(WIDTH / 2u, start(plane, top), left, a);
    if HEIGHT < 4u { return; }
    let second = choose(b, a, top + 1u >= p.out_height);
    put(WIDTH / 2u, start(plane, top + 1u), left, second);
    if HEIGHT < 6u { return; }
    put(WIDTH / 2u, start(plane, top + 2u), left, choose(c, second, top + 2u >= p.out_height));
}

// A tile of the launch and a quad of the results of a group.
fn transform(id: vec3u) {
    let tile = p.first + id.y;
    let image = tile / (p.tiles_down * p.tiles_across);
    let place = tile - image * p.tiles_down * p.tiles_across;
    let tile_row = place / p.tiles_across;
    let tile_column = place - tile_row * p.tiles_across;
    let at = (id.z * ROWS * COLUMNS * p.tiles + id.y) * p.pitch_quads + id.x;
    let step = p.tiles * p.pitch_quads;
    let quad = id.z * p.group_quads + id.x;
    let add = bias[quad];
    let c0 = down(0u, at, step);
    let c1 = down(1u, at, step);
    let c2 = down(2u, at, step);
    let c3 = down(3u, at, step);
    let c4 = down(4u, at, step);
    let c5 = down(5u, at, step);
    let c6 = down(6u, at, step);
    let c7 = down(7u, at, step);
    let r0 = across(Line(c0.a, c1.a, c2.a, c3.a, c4.a, c5.a, c6.a, c7.a), add);
    let r1 = across(Line(c0.b, c1.b, c2.b, c3.b, c4.b, c5.b, c6.b, c7.b), add);
    let r2 = across(Line(c0.c, c1.c, c2.c, c3.c, c4.c, c5.c, c6.c, c7.c), add);
    let r3 = across(Line(c0.d, c1.d, c2.d, c3.d, c4.d, c5.d, c6.d, c7.d), add);
    let r4 = across(Line(c0.e, c1.e, c2.e, c3.e, c4.e, c5.e, c6.e, c7.e), add);
    let r5 = across(Line(c0.f, c1.f, c2.f, c3.f, c4.f, c5.f, c6.f, c7.f), add);
    let plane = (image * p.out_quads + quad) * p.out_height * p.out_width;
    if POOL {
        let up = tile_row * (HEIGHT / 2u);
        let side = tile_column * (WIDTH / 2u);
        put_pooled(plane, up, side, pooled(r0, r1), pooled(r2, r3), pooled(r4, r5));
        return;
    }
    let top = tile_row * HEIGHT;
    let left = tile_column * WIDTH;
    let end = p.out_height;
    put(WIDTH, start(plane, top), left, r0);
    let s1 = choose(r1, r0, top + 1u >= end);
    put(WIDTH, start(plane, top + 1u), left, s1);
    if HEIGHT < 3u { return; }
    let s2 = choose(r2, s1, top + 2u >= end);
    put(WIDTH, start(plane, top + 2u), left, s2);
    if HEIGHT < 4u { return; }
    let s3 = choose(r3, s2, top + 3u >= end);
    put(WIDTH, start(plane, top + 3u), left, s3);
    if HEIGHT < 6u { return; }
    let s4 = choose(r4, s3, top + 4u >= end);
    put(WIDTH, start(plane, top + 4u), left, s4);
    put(WIDTH, start(plane, top + 5u), left, choose(r5, s4, top + 5u >= end));
}
