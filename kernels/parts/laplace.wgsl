// The Laplacian of Cocjin et al. (eq. 5) at one quad of `maps`, which the kernel declares: a row a position,
// row by row of each map, zero beyond a map's edge. It is its own adjoint.
fn laplace(at: u32, quads: u32, height: u32, width: u32) -> vec4f {
    let position = at / quads;
    let column = position % width;
    let row = position / width % height;
    let down = width * quads;
    var sides = vec4f();
    var corners = vec4f();
    if column > 0u { sides += maps[at - quads]; }
    if column + 1u < width { sides += maps[at + quads]; }
    if row > 0u {
        sides += maps[at - down];
        if column > 0u { corners += maps[at - down - quads]; }
        if column + 1u < width { corners += maps[at - down + quads]; }
    }
    if row + 1u < height {
        sides += maps[at + down];
        if column > 0u { corners += maps[at + down - quads]; }
        if column + 1u < width { corners += maps[at + down + quads]; }
    }
    return 0.5 * corners + sides - 6.0 * maps[at];
}
