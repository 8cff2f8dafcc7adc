//! The doorbell of the agent: everything is in the library.

/// A first sync holds the objects of a whole environment for a moment. What glibc's allocator takes for that it keeps: with
/// the bundles of `tests/bench` twice as much at rest.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    std::process::exit(quarterdeck_agent::run(std::env::args_os()));
}
