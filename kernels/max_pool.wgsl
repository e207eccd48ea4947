// y[image, quad, row, column] = max over a square window of x, NaN if one of them is
//
//   x  [images * quads][in_height][in_width]      vec4 of four neighbouring channels
//   y  [images * quads][out_height][out_width]    the same
//
// One invocation an output quad. Every window lies wholly inside: the output's size is rounded down.
//!use grid
//!use nan
//!use pool_interface

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let at = corner(index);
    var best = x[at];
    for (var r = 0u; r < SIDE; r++) {
        for (var c = 0u; c < SIDE; c++) {
            let v = x[at + r * p.in_width + c];
            best = keep(best, v, v > best);
        }
    }
    y[index] = best;
}
