// c[b, m, n] = alpha sum_k a[b, m, k] b[b, n, k]
//
//   a  [batch][rows][a_pitch]      vec4 along k, zero beyond the last k
//   b  [batch][columns][b_pitch]   vec4 along k, zero beyond the last k
//   c  [batch][rows][c_pitch]      vec4 along columns, zero beyond the last column
//
// GPUs with cooperative matrices of 8 x 8: a subgroup makes 16 x 16 sums by three products of f16 a term
// (part `split_product`). Ragged edges load the last row, so every lane reaches every barrier. With UPPER,
// tiles that lie wholly below the diagonal are left alone.
enable f16;
enable wgpu_cooperative_matrix;
//!use gemm_interface
//!use split_product

const SIZE: u32 = 8u;
alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sums = coop_mat8x8<f32, C>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    multiply(group, lane);
}
