// y[tile n, quad q of group g] = relu?(A m[g, , n, q] Aᵀ + bias), POOL: the largest of 2 x 2 of it, NaN if
// one of them is
//
//   m     [groups][ROWS COLUMNS][tiles][pitch_quads]   vec4 of channels
//   bias  [groups][group_quads]                        vec4 of channels
//   y     [images][out_quads][out_height][out_width]   vec4 of channels
//
// Tiles are numbered over all images, rows and columns of tiles; a launch takes some of them. HEIGHT x WIDTH
// results a tile, even if they are pooled. What lies beyond the edge of y becomes a copy of its last row or
// column, stored over it: a branch at every store takes LLVM seconds to compile.
//
// One invocation a tile and quad; no barrier.
//!use winograd
//!use vectors
//!use winograd_output_interface
//!use nan

const TILE_ROWS: u32 = 8u;
const TILE_COLUMNS: u32 = 8u;

fn larger(a: vec4f, b: vec4f) -> vec4f {
    return keep(a, b, b > a);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.group_quads || id.y >= p.tiles { return; }
    transform(id);
}
