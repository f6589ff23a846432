//! Whether a user may use a file, as the system decides it.

use std::{
    fs::Metadata,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    str::FromStr,
};

pub(super) const WRITE: u32 = 0o2;
pub(super) const SEARCH: u32 = 0o1;
pub(super) const LIST: u32 = 0o5;

/// A user, as far as files are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub id: u32,
    /// The numbers of all groups; the first is the user's own.
    pub groups: Vec<u32>,
    /// Whether files' modes do not matter to it, as to root.
    pub above_modes: bool,
}

impl FromStr for User {
    type Err = String;

    /// `USER` or `USER:GROUP`, in numbers; without one the group has the user's.
    fn from_str(text: &str) -> Result<Self, String> {
        let (id, group) = text.split_once(':').unwrap_or((text, text));
        let number = |text: &str| {
            text.parse()
                .map_err(|_| "expected numbers, such as 65532 or 65532:65532".to_owned())
        };
        let id = number(id)?;
        Ok(Self {
            id,
            groups: vec![number(group)?],
            above_modes: id == 0,
        })
    }
}

impl User {
    /// Whether it has all of these permissions: those of the owner, the group or others,
    /// whichever it is first.
    pub(super) fn may(&self, wanted: u32, file: &Metadata) -> bool {
        let (mode, owner, group) = (file.permissions().mode(), file.uid(), file.gid());
        self.above_modes || self.class(mode, owner, group) & wanted == wanted
    }

    fn class(&self, mode: u32, owner: u32, group: u32) -> u32 {
        let shift = match () {
            () if self.id == owner => 6,
            () if self.groups.contains(&group) => 3,
            () => 0,
        };
        (mode >> shift) & 0o7
    }

    /// The first folder on the way to this one, or this one, that it can't pass.
    pub(super) fn stopped_at<'a>(&self, folder: &'a Path) -> std::io::Result<Option<&'a Path>> {
        let mut way: Vec<_> = folder.ancestors().collect();
        way.reverse();
        for step in way {
            let wanted = if step == folder { LIST } else { SEARCH };
            if !self.may(wanted, &std::fs::metadata(step)?) {
                return Ok(Some(step));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_from_numbers() {
        let user = |text: &str| text.parse::<User>();
        let of = |id, group| User {
            id,
            groups: vec![group],
            above_modes: id == 0,
        };
        assert_eq!(user("65532"), Ok(of(65532, 65532)));
        assert_eq!(user("1000:0"), Ok(of(1000, 0)));
        assert!(user("0").is_ok_and(|root| root.above_modes));
        for wrong in ["", "nobody", "1:", ":1", "-1", "1:2:3"] {
            assert!(user(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let user = User {
            id: 7,
            groups: vec![8, 9],
            above_modes: false,
        };
        // The owner's permissions count for the owner even where others have more.
        for (mode, owner, group, expected) in [
            (0o600, 7, 1, 0o6),
            (0o077, 7, 8, 0o0),
            (0o660, 1, 9, 0o6),
            (0o606, 1, 9, 0o0),
            (0o660, 1, 1, 0o0),
            (0o667, 1, 1, 0o7),
        ] {
            assert_eq!(user.class(mode, owner, group), expected, "{mode:o}");
        }
    }
}
