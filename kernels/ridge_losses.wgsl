// losses[l, n] = sum over images i of (targets[n, i] - sum_k left[i, k] shrinkage[l, k] right[n, k])^2
//
//   left       [images][depth]       held-out kernel rows times the training kernel's eigenvectors
//   shrinkage  [penalties][depth]    1 / (eigenvalue + penalty)
//   right      [neurons][depth]      training responses times the eigenvectors
//   targets    [neurons][images]     held-out responses, zero beyond the last image
//   losses     [penalties][neurons]
//
// Predictions of all penalties are made and scored in one pass and never written. Rows are images, columns
// neurons, z the penalty; a workgroup walks all images, so that every sum has one fixed order. GPUs: a
// workgroup makes a tile of images x neurons after the other, eight depth values at a time through workgroup
// memory (part `panels`), and loads the next panel to registers meanwhile. Losses of a column are added by
// quads of images: those whose number is j modulo eight to partial sum j, then the eight in order, whatever
// the tile: tiles are 32 or 64 images tall. Every thread reaches every barrier.
//!use ridge_losses_interface
//!use columns
//!use panels

fn load_left(starts: vec4u, penalty: u32, k: u32, loads: bool) -> Block {
    var block: Block;
    if loads && k < p.depth_quads {
        let s = shrinkage[penalty + k];
        block = Block(s * left[starts.x + k], s * left[starts.y + k], s * left[starts.z + k], s * left[starts.w + k]);
    }
    return block;
}

fn load_right(starts: vec4u, k: u32, loads: bool) -> Block {
    var block: Block;
    if loads && k < p.depth_quads {
        block = Block(right[starts.x + k], right[starts.y + k], right[starts.z + k], right[starts.w + k]);
    }
    return block;
}

// The targets of four images, for a thread's eight neurons.
fn targets_of(image: u32, neuron: u32) -> Columns {
    let i = images_quad(image);
    let far = neuron + 4u * THREAD_COLUMNS;
    return turn(
        targets[targets_start(neuron) + i], targets[targets_start(neuron + 1u) + i],
        targets[targets_start(neuron + 2u) + i], targets[targets_start(neuron + 3u) + i],
        targets[targets_start(far) + i], targets[targets_start(far + 1u) + i],
        targets[targets_start(far + 2u) + i], targets[targets_start(far + 3u) + i],
    );
}

fn put(penalty: u32, neuron: u32, loss: f32) {
    if neuron < p.neurons { losses[penalty * p.losses_pitch + neuron] = loss; }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let first = group.x * TILE_COLUMNS;
    let penalty = group.z * p.shrinkage_pitch_quads;
    let steps = (p.depth_quads + PANEL - 1u) / PANEL;
    let rows = loads_rows(thread);
    let columns = loads_columns(thread);
    let number = column_block(thread);
    let n = first + number / PANEL * 4u;
    let starts = vec4u(right_start(n), right_start(n + 1u), right_start(n + 2u), right_start(n + 3u));
    let place = place_of(thread);
    let neuron = first + 4u * place.across;
    // Partial sums of the thread's upper and lower quad of images; of a tall tile they are the same one.
    var upper = Losses(vec4f(), vec4f());
    var lower = Losses(vec4f(), vec4f());
    for (var image = 0u; image < p.images; image += TILE_ROWS) {
        let m = image + thread / PANEL * 4u;
        let begins = vec4u(left_start(m), left_start(m + 1u), left_start(m + 2u), left_start(m + 3u));
        var sums = Sums();
        var left_next = load_left(begins, penalty, thread % PANEL, rows);
        var right_next = load_right(starts, number % PANEL, columns);
        for (var step = 0u; step < steps; step++) {
            if rows { store_rows(thread, left_next); }
            if columns { store_columns(number, right_next); }
            workgroupBarrier();
            let k = (step + 1u) * PANEL;
            left_next = load_left(begins, penalty, k + thread % PANEL, rows);
            right_next = load_right(starts, k + number % PANEL, columns);
            add_panel(&sums, place);
            workgroupBarrier();
        }
        let here = image + 4u * place.down;
        let below = here + 4u * THREAD_ROWS;
        upper = quad_losses(upper, here, targets_of(here, neuron),
            sums[0], sums[2], sums[4], sums[6], sums[1], sums[3], sums[5], sums[7]);
        if THREAD_ROWS == 8u {
            upper = quad_losses(upper, below, targets_of(below, neuron),
                sums[8], sums[10], sums[12], sums[14], sums[9], sums[11], sums[13], sums[15]);
        } else {
            lower = quad_losses(lower, below, targets_of(below, neuron),
                sums[8], sums[10], sums[12], sums[14], sums[9], sums[11], sums[13], sums[15]);
        }
    }
    // Partial sum j of the tile's quads of neurons, where the panel of columns was.
    let wide = 2u * THREAD_COLUMNS;
    let at = place.down * wide + place.across;
    column_panel[at] = upper.lo;
    column_panel[at + THREAD_COLUMNS] = upper.hi;
    if THREAD_ROWS != 8u {
        column_panel[at + THREAD_ROWS * wide] = lower.lo;
        column_panel[at + THREAD_ROWS * wide + THREAD_COLUMNS] = lower.hi;
    }
    workgroupBarrier();
    if thread >= wide { return; }
    var total = vec4f();
    for (var j = 0u; j < 8u; j++) {
        total += column_panel[j * wide + thread];
    }
    put(group.z, first + 4u * thread, total.x);
    put(group.z, first + 4u * thread + 1u, total.y);
    put(group.z, first + 4u * thread + 2u, total.z);
    put(group.z, first + 4u * thread + 3u, total.w);
}
