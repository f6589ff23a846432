use std::collections::BTreeMap;

use kafka_protocol::protocol::Request;

/// The versions of each request that a broker serves, as it said itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::doctor) struct Ranges(BTreeMap<i16, (i16, i16)>);

impl Ranges {
    /// The oldest and the newest version of a request; `None` if it is not served.
    pub(in crate::doctor) fn of(&self, key: i16) -> Option<(i16, i16)> {
        self.0.get(&key).copied()
    }

    /// The newest version that the broker serves and that is known here, and is no newer
    /// than this.
    pub(super) fn common<R: Request>(&self, newest: i16) -> Option<i16> {
        let (first, last) = self.of(R::KEY)?;
        let known = R::VERSIONS;
        let version = last.min(known.max).min(newest);
        (version >= first.max(known.min)).then_some(version)
    }

    /// All of them: request, oldest, newest.
    pub(in crate::doctor) fn iter(&self) -> impl Iterator<Item = (i16, i16, i16)> + '_ {
        self.0
            .iter()
            .map(|(key, (first, last))| (*key, *first, *last))
    }
}

impl FromIterator<(i16, i16, i16)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (i16, i16, i16)>>(all: I) -> Self {
        let all = all.into_iter();
        Self(all.map(|(key, first, last)| (key, (first, last))).collect())
    }
}
