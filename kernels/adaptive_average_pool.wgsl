// y[image, quad, row, column] = mean over the part of x that this output pixel stands for
//
//   x  [images * quads][in_height][in_width]      vec4 of four neighbouring channels
//   y  [images * quads][out_height][out_width]    the same
//
// Output i of S covers inputs floor(i H / S) to ceil((i + 1) H / S) of H, as PyTorch's adaptive pooling does:
// windows overlap where S does not divide H, and repeat pixels where S > H. One invocation an output quad.
//!use grid
//!use average

struct Params { items: u32, in_height: u32, in_width: u32, out_height: u32, out_width: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

// First pixel and the one after the last.
fn span(output: u32, outputs: u32, inputs: u32) -> vec2u {
    return vec2u(output * inputs / outputs, ((output + 1u) * inputs + outputs - 1u) / outputs);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = item(id, groups, 64u);
    if index >= p.items { return; }
    let area = p.out_height * p.out_width;
    let rows = span(index % area / p.out_width, p.out_height, p.in_height);
    let columns = span(index % p.out_width, p.out_width, p.in_width);
    let plane = index / area * p.in_height;
    var sum = vec4f();
    for (var r = rows.x; r < rows.y; r++) {
        for (var c = columns.x; c < columns.y; c++) {
            sum += x[(plane + r) * p.in_width + c];
        }
    }
    y[index] = average(sum, (rows.y - rows.x) * (columns.y - columns.x));
}
