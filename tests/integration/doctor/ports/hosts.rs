//! Names that are known to one program alone.

use harness::{Result, SecureKafka, Way};
use tokio::process::Command;

use crate::support::{Place, program};

/// Where the listener is whose name has a dot at its end, by this name.
pub fn at(kafka: &SecureKafka, name: &str) -> Result<String> {
    let port = kafka.port(Way::Dotted).ok_or("no such listener")?;
    Ok(format!("{name}:{port}"))
}

/// The program with these names of 127.0.0.1. What begins with a line break is a line of
/// its own, with an address.
pub fn command(place: &Place, names: &[&str]) -> Result<Command> {
    let file = place.sockets().with_extension("hosts");
    SecureKafka::with_hosts(program(), &file, names)
}

/// The same with other files in place of the system's, while it runs.
pub fn command_with(place: &Place, files: &[(&str, &str)]) -> Result<Command> {
    command_among(place, &["this-host.test"], files)
}

/// Both: these names, and these files in place of the system's.
pub fn command_among(place: &Place, names: &[&str], files: &[(&str, &str)]) -> Result<Command> {
    let hosts = place.sockets().with_extension("hosts");
    let mut command = SecureKafka::with_hosts("/bin/sh".as_ref(), &hosts, names)?;
    let mut mounts = Vec::new();
    for (number, (file, text)) in files.iter().enumerate() {
        let own = place.sockets().with_extension(format!("file{number}"));
        std::fs::write(&own, text)?;
        mounts.push(format!("mount --bind '{}' {file} && ", own.display()));
    }
    let script = format!("{}exec \"$0\" \"$@\"", mounts.concat());
    command.args(["-c", &script]).arg(program());
    Ok(command)
}
