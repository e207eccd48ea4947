// Counts to p.rounds. Debian 12's lavapipe (Mesa 22.3.6) stops every loop silently after 65,535 rounds.

struct Params { rounds: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read_write> counted: array<u32>;

@compute @workgroup_size(1)
fn main() {
    var n = 0u;
    for (var i = 0u; i < p.rounds; i++) {
        n += 1u + (counted[1] & i);
    }
    counted[0] = n;
}
