// losses[l, n] = sum over images i of (targets[n, i] - sum_k left[i, k] shrinkage[l, k] right[n, k])^2
//
//   left       [images][depth]       held-out kernel rows times the training kernel's eigenvectors
//   shrinkage  [penalties][depth]    1 / (eigenvalue + penalty)
//   right      [neurons][depth]      training responses times the eigenvectors
//   targets    [neurons][images]     held-out responses, zero beyond the last image
//   losses     [penalties][neurons]
//
// Predictions of all penalties are made and scored in one pass and never written. Rows are images, columns
// neurons, z the penalty; a workgroup walks all images, so that every sum has one fixed order. CPU adapters:
// one subgroup of eight lanes makes 32 images x 64 neurons at a time in registers.
//!use ridge_losses_interface
//!use columns
//!use eight_rows
//!use pairs

const TILE_IMAGES: u32 = 32u;
const TILE_COLUMNS: u32 = 64u;
alias Sums = array<vec4f, 64>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let neuron = group.x * TILE_COLUMNS + lane;
    let penalty = group.z * p.shrinkage_pitch_quads;
    let b0 = right_start(neuron + 0u);
    let b1 = right_start(neuron + 8u);
    let b2 = right_start(neuron + 16u);
    let b3 = right_start(neuron + 24u);
    let b4 = right_start(neuron + 32u);
    let b5 = right_start(neuron + 40u);
    let b6 = right_start(neuron + 48u);
    let b7 = right_start(neuron + 56u);
    let t0 = targets_start(neuron + 0u);
    let t1 = targets_start(neuron + 8u);
    let t2 = targets_start(neuron + 16u);
    let t3 = targets_start(neuron + 24u);
    let t4 = targets_start(neuron + 32u);
    let t5 = targets_start(neuron + 40u);
    let t6 = targets_start(neuron + 48u);
    let t7 = targets_start(neuron + 56u);
    var sum = Losses(vec4f(), vec4f());
    for (var image = 0u; image < p.images; image += TILE_IMAGES) {
        let a0 = left_start(image + 0u + lane);
        let a1 = left_start(image + 8u + lane);
        let a2 = left_start(image + 16u + lane);
        let a3 = left_start(image + 24u + lane);
        var sums = Sums();
        for (var k = 0u; k < p.depth_quads; k++) {
            let shrink = words(shrinkage[penalty + k]);
            let r0 = shrink * words(left[a0 + k]);
            let r1 = shrink * words(left[a1 + k]);
            let r2 = shrink * words(left[a2 + k]);
            let r3 = shrink * words(left[a3 + k]);
            let lo = four(words(right[b0 + k]), words(right[b1 + k]), words(right[b2 + k]), words(right[b3 + k]));
            let hi = four(words(right[b4 + k]), words(right[b5 + k]), words(right[b6 + k]), words(right[b7 + k]));
            rows_of_four(&sums, 0u, r0, r1, r2, r3, lo);
            rows_of_four(&sums, 1u, r0, r1, r2, r3, hi);
        }
        let i0 = images_quad(image + 0u);
        let y0 = turn(
            words(targets[t0 + i0]), words(targets[t1 + i0]), words(targets[t2 + i0]), words(targets[t3 + i0]),
            words(targets[t4 + i0]), words(targets[t5 + i0]), words(targets[t6 + i0]), words(targets[t7 + i0]),
        );
        sum = quad_losses(sum, image + 0u, y0, sums[0], sums[2], sums[4], sums[6],
            sums[1], sums[3], sums[5], sums[7]);
        let i1 = images_quad(image + 4u);
        let y1 = turn(
            words(targets[t0 + i1]), words(targets[t1 + i1]), words(targets[t2 + i1]), words(targets[t3 + i1]),
            words(targets[t4 + i1]), words(targets[t5 + i1]), words(targets[t6 + i1]), words(targets[t7 + i1]),
        );
        sum = quad_losses(sum, image + 4u, y1, sums[8], sums[10], sums[12], sums[14],
            sums[9], sums[11], sums[13], sums[15]);
        let i2 = images_quad(image + 8u);
        let y2 = turn(
            words(targets[t0 + i2]), words(targets[t1 + i2]), words(targets[t2 + i2]), words(targets[t3 + i2]),
            words(targets[t4 + i2]), words(targets[t5 + i2]), words(targets[t6 + i2]), words(targets[t7 + i2]),
        );
        sum = quad_losses(sum, image + 8u, y2, sums[16], sums[18], sums[20], sums[22],
            sums[17], sums[19], sums[21], sums[23]);
        let i3 = images_quad(image + 12u);
        let y3 = turn(
            words(targets[t0 + i3]), words(targets[t1 + i3]), words(targets[t2 + i3]), words(targets[t3 + i3]),
            words(targets[t4 + i3]), words(targets[t5 + i3]), words(targets[t6 + i3]), words(targets[t7 + i3]),
        );
        sum = quad_losses(sum, image + 12u, y3, sums[24], sums[26], sums[28], sums[30],
            sums[25], sums[27], sums[29], sums[31]);
        let i4 = images_quad(image + 16u);
        let y4 = turn(
            words(targets[t0 + i4]), words(targets[t1 + i4]), words(targets[t2 + i4]), words(targets[t3 + i4]),
            words(targets[t4 + i4]), words(targets[t5 + i4]), words(targets[t6 + i4]), words(targets[t7 + i4]),
        );
        sum = quad_losses(sum, image + 16u, y4, sums[32], sums[34], sums[36], sums[38],
            sums[33], sums[35], sums[37], sums[39]);
        let i5 = images_quad(image + 20u);
        let y5 = turn(
            words(targets[t0 + i5]), words(targets[t1 + i5]), words(targets[t2 + i5]), words(targets[t3 + i5]),
            words(targets[t4 + i5]), words(targets[t5 + i5]), words(targets[t6 + i5]), words(targets[t7 + i5]),
        );
        sum = quad_losses(sum, image + 20u, y5, sums[40], sums[42], sums[44], sums[46],
            sums[41], sums[43], sums[45], sums[47]);
        let i6 = images_quad(image + 24u);
        let y6 = turn(
            words(targets[t0 + i6]), words(targets[t1 + i6]), words(targets[t2 + i6]), words(targets[t3 + i6]),
            words(targets[t4 + i6]), words(targets[t5 + i6]), words(targets[t6 + i6]), words(targets[t7 + i6]),
        );
        sum = quad_losses(sum, image + 24u, y6, sums[48], sums[50], sums[52], sums[54],
            sums[49], sums[51], sums[53], sums[55]);
        let i7 = images_quad(image + 28u);
        let y7 = turn(
            words(targets[t0 + i7]), words(targets[t1 + i7]), words(targets[t2 + i7]), words(targets[t3 + i7]),
            words(targets[t4 + i7]), words(targets[t5 + i7]), words(targets[t6 + i7]), words(targets[t7 + i7]),
        );
        sum = quad_losses(sum, image + 28u, y7, sums[56], sums[58], sums[60], sums[62],
            sums[57], sums[59], sums[61], sums[63]);
    }
    // Neurons beyond the end are copies of the last one and are stored over it.
    let base = group.z * p.losses_pitch;
    let last = p.neurons - 1u;
    losses[base + min(neuron, last)] = sum.lo.x;
    losses[base + min(neuron + 8u, last)] = sum.lo.y;
    losses[base + min(neuron + 16u, last)] = sum.lo.z;
    losses[base + min(neuron + 24u, last)] = sum.lo.w;
    losses[base + min(neuron + 32u, last)] = sum.hi.x;
    losses[base + min(neuron + 40u, last)] = sum.hi.y;
    losses[base + min(neuron + 48u, last)] = sum.hi.z;
    losses[base + min(neuron + 56u, last)] = sum.hi.w;
}
