// losses[l, n] = sum over images i of (targets[n, i] - sum_k left[i, k] shrinkage[l, k] right[n, k])^2
//
//   left       [images][depth]       held-out kernel rows times the training kernel's eigenvectors
//   shrinkage  [penalties][depth]    1 / (eigenvalue + penalty)
//   right      [neurons][depth]      training responses times the eigenvectors
//   targets    [neurons][images]     held-out responses, zero beyond the last image
//   losses     [penalties][neurons]
//
// Predictions of all penalties are made and scored in one pass and never written. Rows are images, columns neurons, z
// the penalty; a workgroup walks all images, so that every sum has one fixed order.
// GPUs: 64 threads make 64 images x 64 neurons at a time, each 8 x 8 of it in registers, through workgroup memory; the
// eight threads of a column add their losses in a fixed order at the end. Every thread reaches every barrier.
//!use ridge_losses_interface
//!use columns

const TILE_IMAGES: u32 = 64u;
const TILE_COLUMNS: u32 = 64u;
const DEPTH: u32 = 4u;
// One quad of padding a row keeps neighbouring threads in different banks.
const PITCH: u32 = 5u;
alias Quad = vec4f;
alias Sums = array<vec4f, 16>;

var<workgroup> left_tile: array<vec4f, 320>;
var<workgroup> right_tile: array<vec4f, 320>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let first = group.x * TILE_COLUMNS;
    let down = thread / 8u;
    let across = thread % 8u;
    let penalty = group.z * p.shrinkage_pitch_quads;
    let steps = (p.depth_quads + DEPTH - 1u) / DEPTH;
    let right_from = right_start(first + thread);
    var sum = Losses(vec4f(), vec4f());
    for (var image = 0u; image < p.images; image += TILE_IMAGES) {
        let left_from = left_start(image + thread);
        var sums = Sums();
        for (var step = 0u; step < steps; step++) {
            for (var d = 0u; d < DEPTH; d++) {
                let k = step * DEPTH + d;
                var left_quad = vec4f();
                var right_quad = vec4f();
                if k < p.depth_quads {
                    left_quad = shrinkage[penalty + k] * left[left_from + k];
                    right_quad = right[right_from + k];
                }
                left_tile[thread * PITCH + d] = left_quad;
                right_tile[thread * PITCH + d] = right_quad;
            }
            workgroupBarrier();
            for (var d = 0u; d < DEPTH; d++) {
                let at = across * PITCH + d;
                let columns = turn(
                    right_tile[at], right_tile[at + 8u * PITCH], right_tile[at + 16u * PITCH],
                    right_tile[at + 24u * PITCH], right_tile[at + 32u * PITCH], right_tile[at + 40u * PITCH],
                    right_tile[at + 48u * PITCH], right_tile[at + 56u * PITCH],
                );
                for (var r = 0u; r < 8u; r++) {
                    one_row(&sums, 2u * r, left_tile[(8u * down + r) * PITCH + d], columns);
                }
            }
            workgroupBarrier();
        }
        for (var q = 0u; q < 2u; q++) {
            let here = image + 8u * down + 4u * q;
            let i = images_quad(here);
            let n = first + across;
            let y = turn(
                targets[targets_start(n) + i], targets[targets_start(n + 8u) + i],
                targets[targets_start(n + 16u) + i], targets[targets_start(n + 24u) + i],
                targets[targets_start(n + 32u) + i], targets[targets_start(n + 40u) + i],
                targets[targets_start(n + 48u) + i], targets[targets_start(n + 56u) + i],
            );
            let s = 8u * q;
            sum = quad_losses(sum, here, y, sums[s], sums[s + 2u], sums[s + 4u], sums[s + 6u],
                sums[s + 1u], sums[s + 3u], sums[s + 5u], sums[s + 7u]);
        }
    }
    left_tile[2u * thread] = sum.lo;
    left_tile[2u * thread + 1u] = sum.hi;
    workgroupBarrier();
    // Thread n adds the eight partial losses of column n: column = across + 8 j, component j of the eight.
    var total = 0.0;
    let source = thread % 8u;
    let component = thread / 8u;
    for (var d = 0u; d < 8u; d++) {
        total += left_tile[2u * (8u * d + source) + component / 4u][component % 4u];
    }
    let neuron = first + source + 8u * component;
    if neuron < p.neurons { losses[group.z * p.losses_pitch + neuron] = total; }
}
