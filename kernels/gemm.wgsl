// c[b, m, n] = alpha sum_k a[b, m, k] b[b, n, k]
//
//   a  [batch][rows][a_pitch]      vec4 along k, zero beyond the last k
//   b  [batch][columns][b_pitch]   vec4 along k, zero beyond the last k
//   c  [batch][rows][c_pitch]      vec4 along columns, zero beyond the last column
//
// GPUs: a workgroup makes a tile, eight depth values at a time through workgroup memory (part `panels`), and
// loads the next panel to registers meanwhile. Ragged edges load the last row or zeros, so every thread
// reaches every barrier. With UPPER, tiles that lie wholly below the diagonal are left alone: they walk no
// panel.
//!use gemm_interface
//!use panels

alias Stored = Quad;

fn load_a(starts: vec4u, k: u32, loads: bool) -> Block {
    var block: Block;
    if loads && k < p.depth_quads { block = Block(a[starts.x + k], a[starts.y + k], a[starts.z + k], a[starts.w + k]); }
    return block;
}

fn load_b(starts: vec4u, k: u32, loads: bool) -> Block {
    var block: Block;
    if loads && k < p.depth_quads { block = Block(b[starts.x + k], b[starts.y + k], b[starts.z + k], b[starts.w + k]); }
    return block;
}

fn put_quad(at: u32, column: u32, sums: vec4f) {
    if column < p.columns { c[at + column / 4u] = product(column, sums); }
}

fn put_row(row: u32, column: u32, base: u32, left: vec4f, right: vec4f) {
    if row < p.rows {
        let at = base + row * p.c_pitch_quads;
        put_quad(at, column, left);
        put_quad(at, column + 4u * THREAD_COLUMNS, right);
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let row = group.y * TILE_ROWS;
    let column = group.x * TILE_COLUMNS;
    let leaves = UPPER && column + TILE_COLUMNS <= row;
    let steps = select((p.depth_quads + PANEL - 1u) / PANEL, 0u, leaves);
    let rows = loads_rows(thread);
    let columns = loads_columns(thread);
    let number = column_block(thread);
    let m = row + thread / PANEL * 4u;
    let n = column + number / PANEL * 4u;
    let a_from = vec4u(a_start(m, group.z), a_start(m + 1u, group.z), a_start(m + 2u, group.z), a_start(m + 3u, group.z));
    let b_from = vec4u(b_start(n, group.z), b_start(n + 1u, group.z), b_start(n + 2u, group.z), b_start(n + 3u, group.z));
    let place = place_of(thread);
    var sums: Sums;
    var a_next = load_a(a_from, thread % PANEL, rows && !leaves);
    var b_next = load_b(b_from, number % PANEL, columns && !leaves);
    for (var step = 0u; step < steps; step++) {
        if rows { store_rows(thread, a_next); }
        if columns { store_columns(number, b_next); }
        workgroupBarrier();
        let k = (step + 1u) * PANEL;
        a_next = load_a(a_from, k + thread % PANEL, rows);
        b_next = load_b(b_from, k + number % PANEL, columns);
        add_panel(&sums, place);
        workgroupBarrier();
    }
    if leaves { return; }
    let base = group.z * p.c_batch_quads;
    let top = row + 4u * place.down;
    let half = top + 4u * THREAD_ROWS;
    let left = column + 4u * place.across;
    put_row(top, left, base, sums[0], sums[1]);
    put_row(top + 1u, left, base, sums[2], sums[3]);
    put_row(top + 2u, left, base, sums[4], sums[5]);
    put_row(top + 3u, left, base, sums[6], sums[7]);
    put_row(half, left, base, sums[8], sums[9]);
    put_row(half + 1u, left, base, sums[10], sums[11]);
    put_row(half + 2u, left, base, sums[12], sums[13]);
    put_row(half + 3u, left, base, sums[14], sums[15]);
}
