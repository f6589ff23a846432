//! When daprd was asked to shut down, kept over restarts of this process: seconds
//! since the Unix epoch, a line each.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::decide::HOUR;
use crate::model::time;

/// The file. It stands in the admin folder beside the sockets: whoever shares the
/// sockets with daprd over restarts keeps it too, and daprd does not look there.
#[derive(Clone, Debug)]
pub(super) struct Times(PathBuf);

impl Times {
    pub(super) fn new(file: &Path) -> Self {
        Self(file.to_owned())
    }

    /// What the file says; nothing if it is not there yet.
    pub(super) fn read(&self) -> io::Result<Vec<SystemTime>> {
        let text = match std::fs::read_to_string(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        };
        let time = |line: &str| {
            let seconds = line.parse().ok().filter(|seconds| *seconds <= time::LAST)?;
            Some(UNIX_EPOCH + Duration::from_secs(seconds))
        };
        let times: Option<_> = text.lines().map(time).collect();
        times.ok_or_else(|| {
            let path = self.0.display();
            io::Error::new(
                ErrorKind::InvalidData,
                format!("{path} is damaged; remove it"),
            )
        })
    }

    /// Adds a time, and leaves out what is too old to matter.
    pub(super) fn add(&self, now: SystemTime) -> io::Result<()> {
        let old = |time: &SystemTime| now.duration_since(*time).is_ok_and(|age| age >= HOUR);
        let mut times = self.read()?;
        times.retain(|time| !old(time));
        times.push(now);
        self.write(&times)
    }

    /// Takes back the time that was added last: what was asked for then was refused.
    pub(super) fn take_back(&self) -> io::Result<()> {
        let mut times = self.read()?;
        times.pop();
        self.write(&times)
    }

    fn write(&self, times: &[SystemTime]) -> io::Result<()> {
        let lines = times.iter().map(|time| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("{}\n", since.as_secs())
        });
        // Renamed when it is whole: a process killed in between leaves the old one.
        let whole = self.0.with_extension("heals.new");
        std::fs::write(&whole, lines.collect::<String>())?;
        std::fs::rename(&whole, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_and_old_ones_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rdkafka.heals");
        let times = Times::new(&path);
        assert!(times.read().expect("none yet").is_empty());
        let begun = UNIX_EPOCH + 100 * HOUR;
        times.add(begun).expect("written");
        times.add(begun + HOUR / 2).expect("written");
        let again = Times::new(&path);
        assert_eq!(again.read().expect("kept"), [begun, begun + HOUR / 2]);
        again.add(begun + HOUR).expect("written");
        assert_eq!(
            again.read().expect("kept"),
            [begun + HOUR / 2, begun + HOUR]
        );
        again.take_back().expect("written");
        assert_eq!(times.read().expect("kept"), [begun + HOUR / 2]);
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_there_is_times_or_damaged(text in "([0-9]{1,20}\n|.{0,9}\n?){0,4}") {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("rdkafka.heals");
            std::fs::write(&path, &text).expect("written");
            if let Ok(times) = Times::new(&path).read() {
                proptest::prop_assert_eq!(times.len(), text.lines().count());
                // They are told and counted with.
                for at in times {
                    let until = time::parse(&time::rfc3339(at + HOUR));
                    proptest::prop_assert!(until.is_some());
                }
            }
        }
    }

    #[test]
    fn a_damaged_file_is_told_and_not_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rdkafka.heals");
        std::fs::write(&path, "yesterday\n").expect("written");
        let error = Times::new(&path).read().expect_err("damaged");
        assert!(error.to_string().contains("rdkafka.heals"), "{error}");
        assert!(Times::new(&path).add(SystemTime::now()).is_err());
    }
}
