// v[g, t, n, q] = (B x[tile n] Bᵀ)[t], the tile's ROWS x COLUMNS pixels of channel quad q of group g, zeros
// outside the map
//
//   x  [images][in_quads][in_height][in_width]     vec4 of channels
//   v  [groups][ROWS COLUMNS][tiles][pitch_quads]  vec4 of channels; written to depth_quads
//
// Tiles are numbered over all images, rows and columns of tiles; a launch takes some of them. With a STRIDE,
// pixels of each phase (row and column modulo STRIDE) are channels of their own, one after the other, of a
// map that is smaller.
//
// CPU adapters: eight lanes are eight quads of one tile. A workgroup is one subgroup, and lanes beyond the
// last quad do the last again: with more subgroups, or a lane that leaves, lavapipe takes half as long again.
//!use winograd
//!use pairs
//!use winograd_input_interface

const TILE_ROWS: u32 = 1u;
const TILE_COLUMNS: u32 = 8u;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u) {
    transform(vec3u(min(id.x, p.depth_quads - 1u), id.y, id.z));
}
