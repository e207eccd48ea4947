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
// below the diagonal are left alone.
//!use gemm_interface
//!use columns
//!use eight_rows

const TILE_ROWS: u32 = 32u;
const TILE_COLUMNS: u32 = 64u;
alias Sums = array<vec4f, 64>;

// Words of a lane's eight columns in a row of c.
struct Places { lo: vec4u, hi: vec4u }

fn put_row(row: u32, base: u32, places: Places, lo: vec4f, hi: vec4f) {
    let at = base + min(row, p.rows - 1u) * p.c_pitch;
    c[at + places.lo.x] = p.alpha * lo.x;
    c[at + places.lo.y] = p.alpha * lo.y;
    c[at + places.lo.z] = p.alpha * lo.z;
    c[at + places.lo.w] = p.alpha * lo.w;
    c[at + places.hi.x] = p.alpha * hi.x;
    c[at + places.hi.y] = p.alpha * hi.y;
    c[at + places.hi.z] = p.alpha * hi.z;
    c[at + places.hi.w] = p.alpha * hi.w;
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let row = group.y * TILE_ROWS;
    if UPPER && (group.x + 1u) * TILE_COLUMNS <= row { return; }
    let column = group.x * TILE_COLUMNS + lane;
    let b0 = b_start(column + 0u, group.z);
    let b1 = b_start(column + 8u, group.z);
    let b2 = b_start(column + 16u, group.z);
    let b3 = b_start(column + 24u, group.z);
    let b4 = b_start(column + 32u, group.z);
    let b5 = b_start(column + 40u, group.z);
    let b6 = b_start(column + 48u, group.z);
    let b7 = b_start(column + 56u, group.z);
    let a0 = a_start(row + 0u + lane, group.z);
    let a1 = a_start(row + 8u + lane, group.z);
    let a2 = a_start(row + 16u + lane, group.z);
    let a3 = a_start(row + 24u + lane, group.z);
    var sums: Sums;
    for (var k = 0u; k < p.depth_quads; k++) {
        let columns = turn(b[b0 + k], b[b1 + k], b[b2 + k], b[b3 + k], b[b4 + k], b[b5 + k], b[b6 + k], b[b7 + k]);
        eight_rows(&sums, 0u, a[a0 + k], columns);
        eight_rows(&sums, 16u, a[a1 + k], columns);
        eight_rows(&sums, 32u, a[a2 + k], columns);
        eight_rows(&sums, 48u, a[a3 + k], columns);
    }
    let base = group.z * p.c_batch;
    let last = vec4u(p.columns - 1u);
    let places = Places(min(column + vec4u(0, 8, 16, 24), last), min(column + vec4u(32, 40, 48, 56), last));
    put_row(row + 0u, base, places, sums[0], sums[1]);
    put_row(row + 1u, base, places, sums[2], sums[3]);
    put_row(row + 2u, base, places, sums[4], sums[5]);
    put_row(row + 3u, base, places, sums[6], sums[7]);
    put_row(row + 4u, base, places, sums[8], sums[9]);
    put_row(row + 5u, base, places, sums[10], sums[11]);
    put_row(row + 6u, base, places, sums[12], sums[13]);
    put_row(row + 7u, base, places, sums[14], sums[15]);
    put_row(row + 8u, base, places, sums[16], sums[17]);
    put_row(row + 9u, base, places, sums[18], sums[19]);
    put_row(row + 10u, base, places, sums[20], sums[21]);
    put_row(row + 11u, base, places, sums[22], sums[23]);
    put_row(row + 12u, base, places, sums[24], sums[25]);
    put_row(row + 13u, base, places, sums[26], sums[27]);
    put_row(row + 14u, base, places, sums[28], sums[29]);
    put_row(row + 15u, base, places, sums[30], sums[31]);
    put_row(row + 16u, base, places, sums[32], sums[33]);
    put_row(row + 17u, base, places, sums[34], sums[35]);
    put_row(row + 18u, base, places, sums[36], sums[37]);
    put_row(row + 19u, base, places, sums[38], sums[39]);
    put_row(row + 20u, base, places, sums[40], sums[41]);
    put_row(row + 21u, base, places, sums[42], sums[43]);
    put_row(row + 22u, base, places, sums[44], sums[45]);
    put_row(row + 23u, base, places, sums[46], sums[47]);
    put_row(row + 24u, base, places, sums[48], sums[49]);
    put_row(row + 25u, base, places, sums[50], sums[51]);
    put_row(row + 26u, base, places, sums[52], sums[53]);
    put_row(row + 27u, base, places, sums[54], sums[55]);
    put_row(row + 28u, base, places, sums[56], sums[57]);
    put_row(row + 29u, base, places, sums[58], sums[59]);
    put_row(row + 30u, base, places, sums[60], sums[61]);
    put_row(row + 31u, base, places, sums[62], sums[63]);
}
