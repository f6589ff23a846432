//! What a process has used, by Linux' `/proc`.

use std::fs;

use harness::Result;

/// `sysconf(_SC_CLK_TCK)` is 100 wherever Linux runs Rust (its `Documentation/` calls it
/// `USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of a process so far, of all its threads.
pub fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name stands in parentheses, and may hold anything.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let mut fields = fields.split(' ').skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u32>().ok());
    match (ticks(), ticks()) {
        (Some(user), Some(system)) => Ok(f64::from(user + system) / TICKS_PER_SECOND),
        _ => Err(format!("/proc/{process}/stat is {stat:?}").into()),
    }
}

/// What a process has in memory, in MiB: `VmRSS`, or `VmHWM` for the most that it was.
pub fn mebibytes(process: u32, which: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    match kibibytes.and_then(|number| number.parse::<u32>().ok()) {
        Some(kibibytes) => Ok(f64::from(kibibytes) / 1024.0),
        None => Err(format!("/proc/{process}/status has no {which}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_something() {
        let me = std::process::id();
        let begun = cpu_seconds(me).expect("it runs");
        while cpu_seconds(me).expect("it runs") <= begun {}
        assert!(mebibytes(me, "VmRSS").expect("it runs") > 1.0);
        assert!(cpu_seconds(u32::MAX).is_err());
    }
}
