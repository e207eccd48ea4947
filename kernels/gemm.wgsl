// c[b, m, n] = alpha sum_k a[b, m, k] b[b, n, k]
//
//   a  [batch][rows][a_pitch]      vec4 along k, zero beyond the last k
//   b  [batch][columns][b_pitch]   vec4 along k, zero beyond the last k
//   c  [batch][rows][c_pitch]
//
// GPUs: 64 threads make 64 x 64, each 8 x 8 of it in registers, walking k sixteen at a time through workgroup memory.
// Ragged edges load the last row or zeros, so every thread reaches every barrier. With UPPER, tiles that lie wholly
// below the diagonal are left alone: the whole workgroup leaves before the first barrier.
//!use gemm_interface
//!use columns

const TILE_ROWS: u32 = 64u;
const TILE_COLUMNS: u32 = 64u;
const DEPTH: u32 = 4u;
// One quad of padding a row keeps neighbouring threads in different banks.
const PITCH: u32 = 5u;
alias Quad = vec4f;
alias Stored = f32;
alias Sums = array<vec4f, 16>;

var<workgroup> a_tile: array<vec4f, 320>;
var<workgroup> b_tile: array<vec4f, 320>;

fn put(at: u32, column: u32, sum: f32) {
    if column < p.columns { c[at + column] = p.alpha * sum; }
}

// A thread's eight columns are eight apart.
fn put_row(row: u32, column: u32, base: u32, lo: vec4f, hi: vec4f) {
    if row < p.rows {
        let at = base + row * p.c_pitch;
        put(at, column, lo.x);
        put(at, column + 8u, lo.y);
        put(at, column + 16u, lo.z);
        put(at, column + 24u, lo.w);
        put(at, column + 32u, hi.x);
        put(at, column + 40u, hi.y);
        put(at, column + 48u, hi.z);
        put(at, column + 56u, hi.w);
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let row = group.y * TILE_ROWS;
    let column = group.x * TILE_COLUMNS;
    let down = thread / 8u;
    let across = thread % 8u;
    let leaves = UPPER && column + TILE_COLUMNS <= row;
    let steps = select((p.depth_quads + DEPTH - 1u) / DEPTH, 0u, leaves);
    let a_from = a_start(row + thread, group.z);
    let b_from = b_start(column + thread, group.z);
    var sums: Sums;
    for (var step = 0u; step < steps; step++) {
        for (var d = 0u; d < DEPTH; d++) {
            let k = step * DEPTH + d;
            var a_quad = vec4f();
            var b_quad = vec4f();
            if k < p.depth_quads {
                a_quad = a[a_from + k];
                b_quad = b[b_from + k];
            }
            a_tile[thread * PITCH + d] = a_quad;
            b_tile[thread * PITCH + d] = b_quad;
        }
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
            let at = across * PITCH + d;
            let columns = turn(
                b_tile[at], b_tile[at + 8u * PITCH], b_tile[at + 16u * PITCH], b_tile[at + 24u * PITCH],
                b_tile[at + 32u * PITCH], b_tile[at + 40u * PITCH], b_tile[at + 48u * PITCH], b_tile[at + 56u * PITCH],
            );
            for (var r = 0u; r < 8u; r++) {
                one_row(&sums, 2u * r, a_tile[(down + 8u * r) * PITCH + d], columns);
            }
        }
        workgroupBarrier();
    }
    if leaves { return; }
    for (var r = 0u; r < 8u; r++) {
        put_row(row + down + 8u * r, column + across, group.z * p.c_batch, sums[2u * r], sums[2u * r + 1u]);
    }
}
