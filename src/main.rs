//! The command `striate`.

fn main() {}
