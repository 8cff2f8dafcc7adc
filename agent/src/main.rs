//! The doorbell of the agent: everything is in the library.

fn main() {
    std::process::exit(quarterdeck_agent::run(std::env::args_os()));
}
