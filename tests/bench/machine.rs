//! What the machine is, since figures mean nothing without it.

/// One line: processor, cores, memory, kernel, and what else it was busy with.
pub(crate) fn describe() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    format!(
        "{processor}, {cores} cores, {memory} of memory, Linux {kernel}, load {load} at the start",
        processor = after(&read("/proc/cpuinfo"), "model name"),
        memory = after(&read("/proc/meminfo"), "MemTotal"),
        kernel = kernel.trim(),
        load = load.split(' ').next().unwrap_or_default(),
    )
}
