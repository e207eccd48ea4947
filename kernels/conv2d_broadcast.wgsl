// y[i, o, r, c] = relu?(bias[o] + sum over q, s, t of
//                         w[o, q, s, t] x[i, q, stride r + s - padding, stride c + t - padding])
//
//   x        [images][in_quads][in_height][in_width]      vec4 of channels
//   weights  [groups][rows][kernel_height kernel_width][group_quads]   vec4 of input channels
//   bias     [groups][rows / 4]                            vec4 of output channels
//   y        [images][out_quads][out_height][out_width]   vec4 of channels
//
// An implicit matrix product: rows are output channels, columns the output pixels of all images, z the group.
// CPU adapters: one subgroup of eight lanes makes 32 channels x 64 pixels in registers; no workgroup memory.
// Channels and pixels beyond the end are copies of the last ones and are stored over them: the same value
// twice costs less than branches. Stores are unrolled because an index that is not a constant would move the
// sums to memory.
//!use conv2d_interface
//!use eight_rows
//!use pairs

const TILE_ROWS: u32 = 32u;
const TILE_COLUMNS: u32 = 64u;
alias Sums = array<vec4f, 64>;

fn load(source: Source, quad: u32) -> vec4f {
    return select(vec4f(), words(x[source.at + quad]), source.inside);
}

// Rows beyond the end repeat the last quad of rows.
fn weight_start(row: u32, group: u32) -> u32 {
    let inside = select(p.rows - 4u + row % 4u, row, row < p.rows);
    return (group * p.rows + inside) * p.kernel_height * p.kernel_width * p.group_quads;
}

// Where a lane's eight pixels are in y.
struct Places { lo: vec4u, hi: vec4u }

fn put_quads(places: Places, row: u32, group: u32, s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f,
    t0: vec4f, t1: vec4f, t2: vec4f, t3: vec4f) {
    let inside = min(row, p.rows - 4u);
    // Loaded once: a compiler cannot know that a store to y leaves it alone.
    let add = bias_of(inside, group);
    let plane = inside / 4u * p.out_height * p.out_width;
    y[plane + places.lo.x] = quad(finish(vec4f(s0.x, s1.x, s2.x, s3.x), add));
    y[plane + places.lo.y] = quad(finish(vec4f(s0.y, s1.y, s2.y, s3.y), add));
    y[plane + places.lo.z] = quad(finish(vec4f(s0.z, s1.z, s2.z, s3.z), add));
    y[plane + places.lo.w] = quad(finish(vec4f(s0.w, s1.w, s2.w, s3.w), add));
    y[plane + places.hi.x] = quad(finish(vec4f(t0.x, t1.x, t2.x, t3.x), add));
    y[plane + places.hi.y] = quad(finish(vec4f(t0.y, t1.y, t2.y, t3.y), add));
    y[plane + places.hi.z] = quad(finish(vec4f(t0.z, t1.z, t2.z, t3.z), add));
    y[plane + places.hi.w] = quad(finish(vec4f(t0.w, t1.w, t2.w, t3.w), add));
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let row = tile.y * TILE_ROWS;
    let group = tile.z;
    let index = tile.x * TILE_COLUMNS + lane;
    let p0 = pixel(index + 0u);
    let p1 = pixel(index + 8u);
    let p2 = pixel(index + 16u);
    let p3 = pixel(index + 24u);
    let p4 = pixel(index + 32u);
    let p5 = pixel(index + 40u);
    let p6 = pixel(index + 48u);
    let p7 = pixel(index + 56u);
    var w0 = weight_start(row + 0u + lane, group);
    var w1 = weight_start(row + 8u + lane, group);
    var w2 = weight_start(row + 16u + lane, group);
    var w3 = weight_start(row + 24u + lane, group);
    let plane = p.in_height * p.in_width;
    var sums: Sums;
    for (var tap_row = 0u; tap_row < p.kernel_height; tap_row++) {
        for (var tap_column = 0u; tap_column < p.kernel_width; tap_column++) {
            let s0 = source(p0, tap_row, tap_column, group);
            let s1 = source(p1, tap_row, tap_column, group);
            let s2 = source(p2, tap_row, tap_column, group);
            let s3 = source(p3, tap_row, tap_column, group);
            let s4 = source(p4, tap_row, tap_column, group);
            let s5 = source(p5, tap_row, tap_column, group);
            let s6 = source(p6, tap_row, tap_column, group);
            let s7 = source(p7, tap_row, tap_column, group);
            for (var q = 0u; q < p.group_quads; q++) {
                let at = q * plane;
                let r0 = words(weights[w0 + q]);
                let r1 = words(weights[w1 + q]);
                let r2 = words(weights[w2 + q]);
                let r3 = words(weights[w3 + q]);
                let lo = four(load(s0, at), load(s1, at), load(s2, at), load(s3, at));
                let hi = four(load(s4, at), load(s5, at), load(s6, at), load(s7, at));
                rows_of_four(&sums, 0u, r0, r1, r2, r3, lo);
                rows_of_four(&sums, 1u, r0, r1, r2, r3, hi);
            }
            w0 += p.group_quads;
            w1 += p.group_quads;
            w2 += p.group_quads;
            w3 += p.group_quads;
        }
    }
    let places = Places(
        vec4u(place(p0, group), place(p1, group), place(p2, group), place(p3, group)),
        vec4u(place(p4, group), place(p5, group), place(p6, group), place(p7, group)),
    );
    put_quads(places, row + 0u, group, sums[0], sums[2], sums[4], sums[6], sums[1], sums[3], sums[5], sums[7]);
    put_quads(places, row + 4u, group, sums[8], sums[10], sums[12], sums[14], sums[9], sums[11], sums[13], sums[15]);
    put_quads(places, row + 8u, group, sums[16], sums[18], sums[20], sums[22], sums[17], sums[19], sums[21], sums[23]);
    put_quads(places, row + 12u, group, sums[24], sums[26], sums[28], sums[30], sums[25], sums[27], sums[29], sums[31]);
    put_quads(places, row + 16u, group, sums[32], sums[34], sums[36], sums[38], sums[33], sums[35], sums[37], sums[39]);
    put_quads(places, row + 20u, group, sums[40], sums[42], sums[44], sums[46], sums[41], sums[43], sums[45], sums[47]);
    put_quads(places, row + 24u, group, sums[48], sums[50], sums[52], sums[54], sums[49], sums[51], sums[53], sums[55]);
    put_quads(places, row + 28u, group, sums[56], sums[58], sums[60], sums[62], sums[57], sums[59], sums[61], sums[63]);
}
