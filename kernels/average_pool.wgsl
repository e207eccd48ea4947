// y[image, quad, row, column] = mean over a square window of x
//
//   x  [images * quads][in_height][in_width]      vec4 of four neighbouring channels
//   y  [images * quads][out_height][out_width]    the same
//
// One invocation an output quad. Every window lies wholly inside: the output's size is rounded down.
//!use grid
//!use average
//!use pool_interface

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let at = corner(index);
    var sum = vec4f();
    for (var r = 0u; r < SIDE; r++) {
        for (var c = 0u; c < SIDE; c++) {
            sum += x[at + r * p.in_width + c];
        }
    }
    y[index] = average(sum, SIDE * SIDE);
}
