// product[m, n] = sum_k left[m, k] right[n, k] of two matrices of small whole numbers, whose product is exact.
enable f16;
enable wgpu_cooperative_matrix;

override LANES: u32 = 32u;

@group(0) @binding(0) var<storage, read_write> product: array<f32>;

var<workgroup> left: array<f16, 256>;
var<workgroup> right: array<f16, 256>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    for (var i = lane; i < 256u; i += LANES) {
        left[i] = f16(f32(i * 7u % 13u));
        right[i] = f16(f32(i * 5u % 11u));
    }
    workgroupBarrier();
    let a = coopLoadT<coop_mat16x16<f16, A>>(&left[0], 16u);
    let b = coopLoad<coop_mat16x16<f16, B>>(&right[0], 16u);
    var sums: coop_mat16x16<f32, C>;
    sums = coopMultiplyAdd(a, b, sums);
    coopStoreT(sums, &product[0], 16u);
}
