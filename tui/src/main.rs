//! Doorbell. SIGPIPE stays ignored, as Rust has it: a closed pipe is an error that the output writer knows.

fn main() {
    std::process::exit(quarterdeck_tui::run(std::env::args_os()))
}
