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
// One invocation a tile and quad. Neighbours along the quads write one after the other; no barrier.
//!use winograd
//!use vectors
//!use winograd_input_interface

const TILE_ROWS: u32 = 8u;
const TILE_COLUMNS: u32 = 8u;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.depth_quads || id.y >= p.tiles { return; }
    transform(id);
}
