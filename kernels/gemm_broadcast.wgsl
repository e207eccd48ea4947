// c[b, m, n] = alpha sum_k a[b, m, k] b[b, n, k]
//
//   a  [batch][rows][a_pitch]      vec4 along k, zero beyond the last k
//   b  [batch][columns][b_pitch]   vec4 along k, zero beyond the last k
//   c  [batch][rows][c_pitch]
//
// CPU adapters: one subgroup of eight lanes makes 32 rows x 64 columns in registers; no workgroup memory, no barrier.
// Rows and columns beyond the end are copies of the last one and are stored over it: the same value twice costs less
// than 256 branches, which take LLVM seconds to compile. Stores are unrolled because an index that is not a constant
// would move the sums to memory (measured: 3 times slower). With UPPER, tiles that lie wholly
// below the diagonal are left alone. A lane's columns are two times four neighbours: with WHOLE a store is one vec4f
// instead of four words (18 % faster at a depth of 64, and compiled in half the time).
//!use gemm_interface
//!use eight_rows
//!use pairs

const TILE_ROWS: u32 = 32u;
const TILE_COLUMNS: u32 = 64u;
// Four words of c. Without WHOLE they are stored one by one.
alias Stored = vec4f;
alias Sums = array<vec4f, 64>;

fn put(at: u32, column: u32, sum: f32) {
    let word = at + min(column, p.columns - 1u);
    c[word / 4u][word % 4u] = p.alpha * sum;
}

// The sums of a row's columns from `left` and from `right` on.
fn put_row(row: u32, base: u32, left: u32, right: u32, lo: vec4f, hi: vec4f) {
    let at = base + min(row, p.rows - 1u) * p.c_pitch;
    if WHOLE {
        c[(at + left) / 4u] = p.alpha * lo;
        c[(at + right) / 4u] = p.alpha * hi;
    } else {
        put(at, left + 0u, lo.x);
        put(at, left + 1u, lo.y);
        put(at, left + 2u, lo.z);
        put(at, left + 3u, lo.w);
        put(at, right + 0u, hi.x);
        put(at, right + 1u, hi.y);
        put(at, right + 2u, hi.z);
        put(at, right + 3u, hi.w);
    }
}

// The first of a lane's four columns: with WHOLE, beyond the end, those of the last four.
fn first_column(column: u32) -> u32 {
    return select(column, min(column, p.columns - 4u), WHOLE);
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let row = group.y * TILE_ROWS;
    if UPPER && (group.x + 1u) * TILE_COLUMNS <= row { return; }
    let left = first_column(group.x * TILE_COLUMNS + 4u * lane);
    let right = first_column(group.x * TILE_COLUMNS + 32u + 4u * lane);
    let b0 = b_start(left + 0u, group.z);
    let b1 = b_start(left + 1u, group.z);
    let b2 = b_start(left + 2u, group.z);
    let b3 = b_start(left + 3u, group.z);
    let b4 = b_start(right + 0u, group.z);
    let b5 = b_start(right + 1u, group.z);
    let b6 = b_start(right + 2u, group.z);
    let b7 = b_start(right + 3u, group.z);
    let a0 = a_start(row + 0u + lane, group.z);
    let a1 = a_start(row + 8u + lane, group.z);
    let a2 = a_start(row + 16u + lane, group.z);
    let a3 = a_start(row + 24u + lane, group.z);
    var sums: Sums;
    for (var k = 0u; k < p.depth_quads; k++) {
        let r0 = words(a[a0 + k]);
        let r1 = words(a[a1 + k]);
        let r2 = words(a[a2 + k]);
        let r3 = words(a[a3 + k]);
        let lo = four(words(b[b0 + k]), words(b[b1 + k]), words(b[b2 + k]), words(b[b3 + k]));
        let hi = four(words(b[b4 + k]), words(b[b5 + k]), words(b[b6 + k]), words(b[b7 + k]));
        rows_of_four(&sums, 0u, r0, r1, r2, r3, lo);
        rows_of_four(&sums, 1u, r0, r1, r2, r3, hi);
    }
    let base = group.z * p.c_batch;
    put_row(row + 0u, base, left, right, sums[0], sums[1]);
    put_row(row + 1u, base, left, right, sums[2], sums[3]);
    put_row(row + 2u, base, left, right, sums[4], sums[5]);
    put_row(row + 3u, base, left, right, sums[6], sums[7]);
    put_row(row + 4u, base, left, right, sums[8], sums[9]);
    put_row(row + 5u, base, left, right, sums[10], sums[11]);
    put_row(row + 6u, base, left, right, sums[12], sums[13]);
    put_row(row + 7u, base, left, right, sums[14], sums[15]);
    put_row(row + 8u, base, left, right, sums[16], sums[17]);
    put_row(row + 9u, base, left, right, sums[18], sums[19]);
    put_row(row + 10u, base, left, right, sums[20], sums[21]);
    put_row(row + 11u, base, left, right, sums[22], sums[23]);
    put_row(row + 12u, base, left, right, sums[24], sums[25]);
    put_row(row + 13u, base, left, right, sums[26], sums[27]);
    put_row(row + 14u, base, left, right, sums[28], sums[29]);
    put_row(row + 15u, base, left, right, sums[30], sums[31]);
    put_row(row + 16u, base, left, right, sums[32], sums[33]);
    put_row(row + 17u, base, left, right, sums[34], sums[35]);
    put_row(row + 18u, base, left, right, sums[36], sums[37]);
    put_row(row + 19u, base, left, right, sums[38], sums[39]);
    put_row(row + 20u, base, left, right, sums[40], sums[41]);
    put_row(row + 21u, base, left, right, sums[42], sums[43]);
    put_row(row + 22u, base, left, right, sums[44], sums[45]);
    put_row(row + 23u, base, left, right, sums[46], sums[47]);
    put_row(row + 24u, base, left, right, sums[48], sums[49]);
    put_row(row + 25u, base, left, right, sums[50], sums[51]);
    put_row(row + 26u, base, left, right, sums[52], sums[53]);
    put_row(row + 27u, base, left, right, sums[54], sums[55]);
    put_row(row + 28u, base, left, right, sums[56], sums[57]);
    put_row(row + 29u, base, left, right, sums[58], sums[59]);
    put_row(row + 30u, base, left, right, sums[60], sums[61]);
    put_row(row + 31u, base, left, right, sums[62], sums[63]);
}
