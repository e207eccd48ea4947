// product[m, n] = sum_k left[m, k] right[n, k] of two matrices of small whole numbers, whose product is
// exact. Odd rows of left are divided by 2^24, which f16 holds below its normal range: a device that takes
// such numbers for zero shows it. What stands before this declares SIZE, Left, Right and Sums.

override LANES: u32 = 32u;

@group(0) @binding(0) var<storage, read_write> product: array<f32>;

var<workgroup> left: array<f16, SIZE * SIZE>;
var<workgroup> right: array<f16, SIZE * SIZE>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    for (var i = lane; i < SIZE * SIZE; i += LANES) {
        left[i] = f16(f32(i * 7u % 13u) * select(1.0, 1.0 / 16777216.0, i / SIZE % 2u == 1u));
        right[i] = f16(f32(i * 5u % 11u));
    }
    workgroupBarrier();
    let a = coopLoadT<Left>(&left[0], SIZE);
    let b = coopLoad<Right>(&right[0], SIZE);
    var sums: Sums;
    sums = coopMultiplyAdd(a, b, sums);
    coopStoreT(sums, &product[0], SIZE);
}
