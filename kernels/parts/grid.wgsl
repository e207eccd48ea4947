// The linear number of an invocation in a grid that the runtime folded into two dimensions.
fn item(id: vec3u, groups: vec3u, group_size: u32) -> u32 {
    return id.y * groups.x * group_size + id.x;
}
