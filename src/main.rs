//! wanctl.
fn main() {}
