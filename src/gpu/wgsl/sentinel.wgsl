// The last dispatch of every submission: proves to the host that the device came this far.
//
// It reads what the last launch wrote, so that it cannot run before that has ended. What it cannot show is a
// driver that skips work and goes on.

struct Params { submission: u32, launches: u32 }
var<immediate> p: Params;

@group(0) @binding(0) var<storage, read_write> sentinel: array<u32>;
@group(0) @binding(1) var<storage, read> last: array<u32>;

@compute @workgroup_size(1)
fn main() {
    sentinel[0] = p.submission;
    sentinel[1] = p.launches;
    sentinel[2] = last[0];
}
