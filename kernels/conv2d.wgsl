// y[i, o, r, c] = relu?(bias[o] + sum over q, s, t of
//                         w[o, q, s, t] x[i, q, stride r + s - padding, stride c + t - padding])
//
//   x        [images][in_quads][in_height][in_width]      vec4 of channels
//   weights  [groups][rows][kernel_height kernel_width][group_quads]   vec4 of input channels
//   bias     [groups][rows / 4]                            vec4 of output channels
//   y        [images][out_quads][out_height][out_width]   vec4 of channels
//
// An implicit matrix product: rows are output channels, columns the output pixels of all images, z the group.
// GPUs: a workgroup makes a tile, eight depth values (tap, then quad) at a time through workgroup memory
// (part `panels`), and loads the next panel to registers meanwhile. Taps are counted on, not divided. Ragged
// edges load zeros, so every thread reaches every barrier.
//!use conv2d_interface
//!use panels

// Four pixels that a thread loads: their first rows and columns in the input, which may be negative, and the
// word of that position in the group's first quad.
struct Pixels { tops: vec4i, lefts: vec4i, words: vec4i }

fn pixels_from(index: u32, group: u32) -> Pixels {
    let q0 = pixel(index);
    let q1 = pixel(index + 1u);
    let q2 = pixel(index + 2u);
    let q3 = pixel(index + 3u);
    let tops = vec4i(first_tap(q0.row), first_tap(q1.row), first_tap(q2.row), first_tap(q3.row));
    let lefts = vec4i(first_tap(q0.column), first_tap(q1.column), first_tap(q2.column), first_tap(q3.column));
    let planes = vec4u(q0.image, q1.image, q2.image, q3.image) * p.in_quads + group * p.group_quads;
    let words = vec4i(planes * p.in_height * p.in_width) + tops * i32(p.in_width) + lefts;
    return Pixels(tops, lefts, words);
}

// Where the depth stands: a quad of input channels, and the kernel's row and column.
struct Tap { quad: u32, row: u32, column: u32 }

// A quad too many carried over to the next column of the kernel, and a column too many to the next row.
fn carry(tap: Tap) -> Tap {
    let wide = tap.quad >= p.group_quads;
    let column = tap.column + u32(wide);
    let tall = column >= p.kernel_width;
    return Tap(
        tap.quad - select(0u, p.group_quads, wide),
        tap.row + u32(tall),
        column - select(0u, p.kernel_width, tall),
    );
}

// At most a panel of quads further, which are two taps at most.
fn further(tap: Tap, quads: u32) -> Tap {
    return carry(carry(Tap(tap.quad + quads, tap.row, tap.column)));
}

fn load_x(here: Pixels, tap: Tap, loads: bool) -> Block {
    var block: Block;
    if loads && tap.row < p.kernel_height {
        let rows = here.tops + i32(tap.row);
        let columns = here.lefts + i32(tap.column);
        let inside = (rows >= vec4i()) & (rows < vec4i(i32(p.in_height)))
            & (columns >= vec4i()) & (columns < vec4i(i32(p.in_width)));
        let offset = (tap.quad * p.in_height + tap.row) * p.in_width + tap.column;
        let at = vec4u(here.words + i32(offset));
        if inside.x { block.q0 = x[at.x]; }
        if inside.y { block.q1 = x[at.y]; }
        if inside.z { block.q2 = x[at.z]; }
        if inside.w { block.q3 = x[at.w]; }
    }
    return block;
}

fn load_weights(starts: vec4u, k: u32, depth: u32, loads: bool) -> Block {
    var block: Block;
    if loads && k < depth {
        block = Block(weights[starts.x + k], weights[starts.y + k], weights[starts.z + k], weights[starts.w + k]);
    }
    return block;
}

// One depth value, for sums whose vectors lie along the channels, as they are stored.
fn add_turned(sums: ptr<function, Sums>, k: u32, place: Place) {
    let r = k * ROW_PITCH + place.down;
    let c = k * COLUMN_PITCH + place.across;
    outer(sums, column_panel[c], column_panel[c + THREAD_COLUMNS], row_panel[r], row_panel[r + THREAD_ROWS]);
}

// Four channels of one pixel; row is a multiple of four.
fn put(index: u32, row: u32, group: u32, sums: vec4f) {
    if index < pixels() && row < p.rows {
        y[place(pixel(index), group) + row / 4u * p.out_height * p.out_width] = finish(sums, bias_of(row, group));
    }
}

fn put_pixel(index: u32, row: u32, group: u32, upper: vec4f, lower: vec4f) {
    put(index, row, group, upper);
    put(index, row + 4u * THREAD_ROWS, group, lower);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) thread: u32) {
    let row = tile.y * TILE_ROWS;
    let first = tile.x * TILE_COLUMNS;
    let group = tile.z;
    let depth = p.kernel_height * p.kernel_width * p.group_quads;
    let steps = (depth + PANEL - 1u) / PANEL;
    let rows = loads_rows(thread);
    let columns = loads_columns(thread);
    let number = column_block(thread);
    let last = p.rows - 1u;
    let channels = min(vec4u(row + thread / PANEL * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(last));
    let starts = (group * p.rows + channels) * depth;
    let here = pixels_from(first + number / PANEL * 4u, group);
    let at = place_of(thread);
    var sums: Sums;
    var tap = further(Tap(), number % PANEL);
    var w_next = load_weights(starts, thread % PANEL, depth, rows);
    var x_next = load_x(here, tap, columns);
    for (var step = 0u; step < steps; step++) {
        if rows { store_rows(thread, w_next); }
        if columns { store_columns(number, x_next); }
        workgroupBarrier();
        tap = further(tap, PANEL);
        w_next = load_weights(starts, (step + 1u) * PANEL + thread % PANEL, depth, rows);
        x_next = load_x(here, tap, columns);
        add_turned(&sums, 0u, at);
        add_turned(&sums, 1u, at);
        add_turned(&sums, 2u, at);
        add_turned(&sums, 3u, at);
        add_turned(&sums, 4u, at);
        add_turned(&sums, 5u, at);
        add_turned(&sums, 6u, at);
        add_turned(&sums, 7u, at);
        workgroupBarrier();
    }
    let left = first + 4u * at.across;
    let right = left + 4u * THREAD_COLUMNS;
    let top = row + 4u * at.down;
    put_pixel(left, top, group, sums[0], sums[1]);
    put_pixel(left + 1u, top, group, sums[2], sums[3]);
    put_pixel(left + 2u, top, group, sums[4], sums[5]);
    put_pixel(left + 3u, top, group, sums[6], sums[7]);
    put_pixel(right, top, group, sums[8], sums[9]);
    put_pixel(right + 1u, top, group, sums[10], sums[11]);
    put_pixel(right + 2u, top, group, sums[12], sums[13]);
    put_pixel(right + 3u, top, group, sums[14], sums[15]);
}
