//! The daprd process on this machine, as `/proc` shows it.

use std::{
    fs::File,
    io::Read as _,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

use super::access::User;

/// daprd's own default for its HTTP port.
const DEFAULT_PORT: &str = "3500";

/// Where daprd looks for sockets unless its environment says otherwise (dapr/dapr
/// v1.16.5, `pkg/components/pluggable/discovery.go`).
const DEFAULT_FOLDER: &str = "/tmp/dapr-components-sockets";

/// The variable that daprd reads.
pub(super) const READ: &str = "DAPR_COMPONENTS_SOCKETS_FOLDER";

/// The variable of the SDKs for components, and of Dapr's injector, which daprd does not
/// read.
pub(super) const UNREAD: &str = "DAPR_COMPONENT_SOCKETS_FOLDER";

/// The capability to pass over the modes of files (`CAP_DAC_OVERRIDE`).
const ABOVE_MODES: u64 = 1 << 1;

/// As much as is read of any file.
const LARGEST: u64 = 1024 * 1024;

/// A daprd that runs here.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: u32,
    pub(super) user: User,
    /// Where it looks for sockets; `None` if that can't be seen.
    pub(super) folder: Option<PathBuf>,
    /// Its environment has the variable that it does not read, and not the one that it
    /// reads.
    pub(super) misled: bool,
}

/// The one daprd that was started for this HTTP port; `None` if none is seen, or several.
pub(super) fn find(port: u16) -> Option<Process> {
    let entries = std::fs::read_dir("/proc").ok()?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut found = numbers.filter(|id| {
        let line = read(&place(*id).join("cmdline")).unwrap_or_default();
        is_daprd(&line, &port.to_string())
    });
    let id = found.next()?;
    if found.next().is_some() {
        return None;
    }
    let user = user(&String::from_utf8(read(&place(id).join("status"))?).ok()?)?;
    let environment = sees_our_files(id)
        .then(|| read(&place(id).join("environ")))
        .flatten();
    let variable = |name| environment.as_deref().and_then(|all| value(all, name));
    let folder = environment.as_ref().map(|_| {
        let own = variable(READ);
        own.unwrap_or_else(|| DEFAULT_FOLDER.into())
    });
    let misled = variable(READ).is_none() && variable(UNREAD).is_some();
    Some(Process {
        id,
        user,
        folder,
        misled,
    })
}

fn place(id: u32) -> PathBuf {
    Path::new("/proc").join(id.to_string())
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Whether a path means the same to it as to us.
fn sees_our_files(id: u32) -> bool {
    let of = |process: &Path| std::fs::read_link(process.join("ns/mnt")).ok();
    let theirs = of(&place(id));
    theirs.is_some() && theirs == of(Path::new("/proc/self"))
}

/// Whether a command line is that of a daprd with this HTTP port.
fn is_daprd(line: &[u8], port: &str) -> bool {
    let mut words = line.split(|byte| *byte == 0);
    let program = words.next().unwrap_or_default();
    if program.rsplit(|byte| *byte == b'/').next() != Some(b"daprd") {
        return false;
    }
    let mut found = DEFAULT_PORT.as_bytes();
    while let Some(word) = words.next() {
        if word == b"--dapr-http-port" {
            found = words.next().unwrap_or_default();
        } else if let Some(value) = word.strip_prefix(b"--dapr-http-port=") {
            found = value;
        }
    }
    found == port.as_bytes()
}

/// Who it is, from its `status`.
pub(super) fn user(status: &str) -> Option<User> {
    let line = |name| status.lines().find_map(|line| line.strip_prefix(name));
    // Real, effective, saved, and for files.
    let last = |name| line(name)?.split_whitespace().last()?.parse::<u32>().ok();
    let more = line("Groups:")?.split_whitespace();
    let own = last("Gid:")?;
    let capabilities = u64::from_str_radix(line("CapEff:")?.trim(), 16).ok()?;
    Some(User {
        id: last("Uid:")?,
        groups: std::iter::once(own)
            .chain(more.filter_map(|group| group.parse().ok()))
            .collect(),
        above_modes: capabilities & ABOVE_MODES != 0,
    })
}

/// A variable of an environment, unless it is empty.
fn value(environment: &[u8], name: &str) -> Option<PathBuf> {
    let mut pairs = environment.split(|byte| *byte == 0);
    let found = pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    (!found.is_empty()).then(|| std::ffi::OsString::from_vec(found.to_vec()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daprd_is_known_by_its_command_line() {
        for (line, port, expected) in [
            ("daprd", "3500", true),
            ("/usr/bin/daprd\0--app-id\0x\0", "3500", true),
            ("./daprd\0--dapr-http-port\x003501\0", "3501", true),
            ("daprd\0--dapr-http-port=3501\0", "3501", true),
            ("daprd\0--dapr-http-port=3501\0", "3500", false),
            ("daprd\0--dapr-http-port", "3500", false),
            ("not-daprd\0--dapr-http-port=3501", "3501", false),
            ("", "3500", false),
        ] {
            assert_eq!(is_daprd(line.as_bytes(), port), expected, "{line:?} {port}");
        }
    }

    #[test]
    fn its_user_is_the_one_for_files() {
        let status = "Name:\tdaprd\nUid:\t1\t2\t3\t65532\nGid:\t1\t2\t3\t65533\n\
                      Groups:\t4 5 \nCapEff:\t0000000000000002\n";
        let expected = User {
            id: 65532,
            groups: vec![65533, 4, 5],
            above_modes: true,
        };
        assert_eq!(user(status), Some(expected));
        let plain = user(&status.replace("02\n", "00\n"));
        assert!(plain.is_some_and(|user| !user.above_modes));
        assert_eq!(user("Uid:\tx\n"), None);
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let all = b"XA=1\0A=\0AB=2\0B=/a=b\0";
        assert_eq!(value(all, "A"), None);
        assert_eq!(value(all, "B"), Some("/a=b".into()));
        assert_eq!(value(all, "C"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_stand_there(bytes in ".*") {
            is_daprd(bytes.as_bytes(), "3500");
            user(&bytes);
            value(bytes.as_bytes(), "A");
        }
    }
}
