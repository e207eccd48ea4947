// s + penalties[b] I - product[b] = factor[b] factor[b]^T, for one block of 64 x 64 on the diagonal of every
// matrix b
//
//   s          [64][s_pitch]                   the block, the same for all matrices; its lower half is read
//   penalties  [batch]
//   product    [batch][product_stride]         rows of 64: what the columns before the block contribute
//   factor     [batch][64][pitch]              lower triangle of the block, zeros above
//   inverse    [batch][2][64][64]              the triangle's inverse, and its transpose
//   pivots     [batch][blocks]                 smallest pivot over the diagonal's entry before any was taken
//                                              away; -1 where one is not positive: the matrix is not positive
//                                              definite
//
// A workgroup a matrix, a thread a row. The triangle is packed row by row in workgroup memory, factored
// column by column, and then inverted in its place from the last column to the first. Every thread reaches
// every barrier.

struct Params {
    s_pitch: u32, product_stride: u32, pitch: u32, factor_stride: u32,
    // The block's number, how many there are, and whether there is a product.
    block: u32, blocks: u32, products: u32,
}
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> s: array<f32>;
@group(0) @binding(1) var<storage, read> penalties: array<f32>;
@group(0) @binding(2) var<storage, read> product: array<f32>;
@group(0) @binding(3) var<storage, read_write> factor: array<f32>;
@group(0) @binding(4) var<storage, read_write> inverse: array<f32>;
@group(0) @binding(5) var<storage, read_write> pivots: array<f32>;

const SIDE: u32 = 64u;

var<workgroup> packed: array<f32, 2080>;
var<workgroup> diagonal: array<f32, 64>;

// Word of an element on or below the diagonal.
fn at(row: u32, column: u32) -> u32 {
    return row * (row + 1u) / 2u + column;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) row: u32) {
    let penalty = penalties[group.z];
    for (var c = 0u; c <= row; c++) {
        var value = s[row * p.s_pitch + c];
        if c == row {
            value += penalty;
            diagonal[row] = value;
        }
        if p.products > 0u { value -= product[group.z * p.product_stride + row * SIDE + c]; }
        packed[at(row, c)] = value;
    }
    workgroupBarrier();
    var least = 1.0;
    for (var k = 0u; k < SIDE; k++) {
        let pivot = packed[at(k, k)];
        let positive = pivot > 0.0;
        least = select(-1.0, min(least, pivot / diagonal[k]), positive && least > 0.0);
        let root = sqrt(select(1.0, pivot, positive));
        workgroupBarrier();
        if row == k { packed[at(k, k)] = root; }
        if row > k { packed[at(row, k)] = packed[at(row, k)] / root; }
        workgroupBarrier();
        if row > k {
            let own = packed[at(row, k)];
            for (var c = k + 1u; c <= row; c++) { packed[at(row, c)] -= own * packed[at(c, k)]; }
        }
        workgroupBarrier();
    }
    let to = group.z * p.factor_stride + row * p.pitch;
    for (var c = 0u; c < SIDE; c++) {
        factor[to + c] = select(0.0, packed[at(row, c)], c <= row);
    }
    if row == 0u { pivots[group.z * p.blocks + p.block] = least; }
    workgroupBarrier();
    for (var step = 0u; step < SIDE; step++) {
        let column = SIDE - 1u - step;
        let own = 1.0 / packed[at(column, column)];
        var sum = 0.0;
        for (var k = column + 1u; k <= row; k++) { sum += packed[at(row, k)] * packed[at(k, column)]; }
        workgroupBarrier();
        if row == column { packed[at(row, column)] = own; }
        if row > column { packed[at(row, column)] = -sum * own; }
        workgroupBarrier();
    }
    let half = group.z * 2u * SIDE * SIDE;
    for (var c = 0u; c < SIDE; c++) {
        let value = select(0.0, packed[at(row, c)], c <= row);
        inverse[half + row * SIDE + c] = value;
        inverse[half + SIDE * SIDE + c * SIDE + row] = value;
    }
}
