// What the families of gemm share: parameters, bindings, where rows start, and what is stored.

override UPPER: bool = false;
// Whether columns are whole quads.
override WHOLE: bool = false;

struct Params {
    rows: u32, columns: u32, depth_quads: u32,
    a_pitch_quads: u32, b_pitch_quads: u32, c_pitch_quads: u32,
    a_batch_quads: u32, b_batch_quads: u32, c_batch_quads: u32,
    alpha: f32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> a: array<Quad>;
@group(0) @binding(1) var<storage, read> b: array<Quad>;
@group(0) @binding(2) var<storage, read_write> c: array<Stored>;

// Rows and columns beyond the end read the last one.
fn a_start(row: u32, batch: u32) -> u32 {
    return batch * p.a_batch_quads + min(row, p.rows - 1u) * p.a_pitch_quads;
}

fn b_start(column: u32, batch: u32) -> u32 {
    return batch * p.b_batch_quads + min(column, p.columns - 1u) * p.b_pitch_quads;
}

// The product's four columns from `column` on; zeros beyond the last.
fn product(column: u32, sums: vec4f) -> vec4f {
    let value = p.alpha * sums;
    if WHOLE { return value; }
    return select(vec4f(), value, vec4u(column) + vec4u(0u, 1u, 2u, 3u) < vec4u(p.columns));
}
