// y[i, o, r, c] = relu?(bias[o] + sum over q, s, t of
//                         w[o, q, s, t] x[i, q, stride r + s - padding, stride c + t - padding])
//
//   x        [images][in_quads][in_height][in_width]      vec4 of channels
//   weights  [groups][rows][kernel_height kernel_width][group_quads]   vec4 of input channels
//   bias     [groups][rows / 4]                            vec4 of output channels
//   y        [images][out_quads][out_height][out_width]   vec4 of channels
//
// An implicit matrix product: rows are output channels, columns the output pixels of all images, z the group.
// GPUs: 64 threads make 64 channels x 64 pixels, each 8 x 8 of it in registers, walking the depth (tap, then quad) four
// quads at a time through workgroup memory. Ragged edges load zeros, so every thread reaches every barrier.
//!use conv2d_interface
//!use columns

const TILE_ROWS: u32 = 64u;
const TILE_COLUMNS: u32 = 64u;
const DEPTH: u32 = 4u;
// One quad of padding a row keeps neighbouring threads in different banks.
const PITCH: u32 = 5u;
alias Quad = vec4f;
alias Sums = array<vec4f, 16>;

var<workgroup> w_tile: array<vec4f, 320>;
var<workgroup> x_tile: array<vec4f, 320>;

// Four channels of one pixel; row is a multiple of four.
fn put(index: u32, row: u32, group: u32, sums: vec4f) {
    if index < pixels() && row < p.rows {
        y[place(index, group) + row / 4u * p.out_height * p.out_width] = finish(row, group, sums);
    }
}

// Four channels of a thread's pixels, which are eight apart.
fn put_quads(index: u32, row: u32, group: u32, r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f) {
    put(index, row, group, vec4f(r0.x, r1.x, r2.x, r3.x));
    put(index + 8u, row, group, vec4f(r0.y, r1.y, r2.y, r3.y));
    put(index + 16u, row, group, vec4f(r0.z, r1.z, r2.z, r3.z));
    put(index + 24u, row, group, vec4f(r0.w, r1.w, r2.w, r3.w));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) thread: u32) {
    let row = tile.y * TILE_ROWS;
    let group = tile.z;
    let first = tile.x * TILE_COLUMNS;
    // A thread owns eight neighbouring channels, so that four of them are one store.
    let down = thread / 8u;
    let across = thread % 8u;
    let here = pixel(first + thread);
    let plane = p.in_height * p.in_width;
    let depth = p.kernel_height * p.kernel_width * p.group_quads;
    let w_from = (group * p.rows + min(row + thread, p.rows - 1u)) * depth;
    var sums: Sums;
    let steps = (depth + DEPTH - 1u) / DEPTH;
    for (var step = 0u; step < steps; step++) {
        for (var d = 0u; d < DEPTH; d++) {
            let k = step * DEPTH + d;
            var w_quad = vec4f();
            var x_quad = vec4f();
            if k < depth {
                w_quad = weights[w_from + k];
                let tap = k / p.group_quads;
                let found = source(here, tap / p.kernel_width, tap % p.kernel_width, group);
                if found.inside { x_quad = x[found.at + k % p.group_quads * plane]; }
            }
            w_tile[thread * PITCH + d] = w_quad;
            x_tile[thread * PITCH + d] = x_quad;
        }
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
            let at = across * PITCH + d;
            let columns = turn(
                x_tile[at], x_tile[at + 8u * PITCH], x_tile[at + 16u * PITCH], x_tile[at + 24u * PITCH],
                x_tile[at + 32u * PITCH], x_tile[at + 40u * PITCH], x_tile[at + 48u * PITCH], x_tile[at + 56u * PITCH],
            );
            for (var r = 0u; r < 8u; r++) {
                one_row(&sums, 2u * r, w_tile[(8u * down + r) * PITCH + d], columns);
            }
        }
        workgroupBarrier();
    }
    let index = first + across;
    for (var r = 0u; r < 8u; r += 4u) {
        let s = 2u * r;
        put_quads(index, row + 8u * down + r, group, sums[s], sums[s + 2u], sums[s + 4u], sums[s + 6u]);
        put_quads(index + 32u, row + 8u * down + r, group, sums[s + 1u], sums[s + 3u], sums[s + 5u], sums[s + 7u]);
    }
}
