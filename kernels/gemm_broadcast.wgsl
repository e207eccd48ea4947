// c[b, m, n] = alpha sum_k a[b, m, k] b[b, n, k]
//
//   a  [batch][rows][a_pitch]      vec4 along k, zero beyond the last k
//   b  [batch][columns][b_pitch]   vec4 along k, zero beyond the last k
//   c  [batch][rows][c_pitch]      vec4 along columns, zero beyond the last column
//
// CPU adapters: one subgroup of eight lanes makes 32 or 16 rows x 64 columns in registers; no workgroup memory, no
// barrier. Rows beyond the end are copies of the last one, quads beyond that of the last quad, and are stored
// over it: the same value twice costs less than 64 branches, which take LLVM seconds to compile. Stores are
// unrolled because an index that is not a constant would move the sums to memory (measured: 3 times slower).
// With UPPER, tiles that lie wholly below the diagonal are left alone. A lane's columns are two times four
// neighbours, so that a store is a quad.
//!use gemm_interface
//!use eight_rows
//!use pairs

// 4 or 2, for tiles of 32 or 16 rows.
override THREAD_ROWS: u32 = 4u;
// Always 8: a lane has two quads of columns.
override THREAD_COLUMNS: u32 = 8u;
override TILE_ROWS: u32 = 8u * THREAD_ROWS;
override TILE_COLUMNS: u32 = 8u * THREAD_COLUMNS;
alias Stored = Quad;
alias Sums = array<vec4f, 64>;

// Where a row's two quads from columns `left` and `right` on are in c.
struct Place { left: u32, right: u32 }

fn put_row(row: u32, base: u32, place: Place, lo: vec4f, hi: vec4f) {
    let at = base + min(row, p.rows - 1u) * p.c_pitch_quads;
    c[at + place.left / 4u] = quad(product(place.left, lo));
    c[at + place.right / 4u] = quad(product(place.right, hi));
}

// The first of four columns; beyond the end those of the last quad.
fn first_column(column: u32) -> u32 {
    return min(column, (p.columns - 1u) / 4u * 4u);
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
        var r2: vec4f;
        var r3: vec4f;
        if THREAD_ROWS > 2u {
            r2 = words(a[a2 + k]);
            r3 = words(a[a3 + k]);
        }
        let lo = four(words(b[b0 + k]), words(b[b1 + k]), words(b[b2 + k]), words(b[b3 + k]));
        let hi = four(words(b[b4 + k]), words(b[b5 + k]), words(b[b6 + k]), words(b[b7 + k]));
        sixteen_rows(&sums, 0u, r0, r1, lo);
        if THREAD_ROWS > 2u { sixteen_rows(&sums, 32u, r2, r3, lo); }
        sixteen_rows(&sums, 1u, r0, r1, hi);
        if THREAD_ROWS > 2u { sixteen_rows(&sums, 33u, r2, r3, hi); }
    }
    let base = group.z * p.c_batch_quads;
    let place = Place(left, right);
    put_row(row + 0u, base, place, sums[0], sums[1]);
    put_row(row + 1u, base, place, sums[2], sums[3]);
    put_row(row + 2u, base, place, sums[4], sums[5]);
    put_row(row + 3u, base, place, sums[6], sums[7]);
    put_row(row + 4u, base, place, sums[8], sums[9]);
    put_row(row + 5u, base, place, sums[10], sums[11]);
    put_row(row + 6u, base, place, sums[12], sums[13]);
    put_row(row + 7u, base, place, sums[14], sums[15]);
    put_row(row + 8u, base, place, sums[16], sums[17]);
    put_row(row + 9u, base, place, sums[18], sums[19]);
    put_row(row + 10u, base, place, sums[20], sums[21]);
    put_row(row + 11u, base, place, sums[22], sums[23]);
    put_row(row + 12u, base, place, sums[24], sums[25]);
    put_row(row + 13u, base, place, sums[26], sums[27]);
    put_row(row + 14u, base, place, sums[28], sums[29]);
    put_row(row + 15u, base, place, sums[30], sums[31]);
    if THREAD_ROWS <= 2u { return; }
    put_row(row + 16u, base, place, sums[32], sums[33]);
    put_row(row + 17u, base, place, sums[34], sums[35]);
    put_row(row + 18u, base, place, sums[36], sums[37]);
    put_row(row + 19u, base, place, sums[38], sums[39]);
    put_row(row + 20u, base, place, sums[40], sums[41]);
    put_row(row + 21u, base, place, sums[42], sums[43]);
    put_row(row + 22u, base, place, sums[44], sums[45]);
    put_row(row + 23u, base, place, sums[46], sums[47]);
    put_row(row + 24u, base, place, sums[48], sums[49]);
    put_row(row + 25u, base, place, sums[50], sums[51]);
    put_row(row + 26u, base, place, sums[52], sums[53]);
    put_row(row + 27u, base, place, sums[54], sums[55]);
    put_row(row + 28u, base, place, sums[56], sums[57]);
    put_row(row + 29u, base, place, sums[58], sums[59]);
    put_row(row + 30u, base, place, sums[60], sums[61]);
    put_row(row + 31u, base, place, sums[62], sums[63]);
}
