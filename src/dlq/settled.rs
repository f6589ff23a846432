//! Which dead letters are settled, and how.
//!
//! A dead letter is *open* until it is sent back or resolved; then it is *settled*. What is
//! settled is kept by blocks of [`BLOCK`] offsets of one partition. Each block is one record of
//! the topic [`super::store::TOPIC`], whose key is `orders.dlq/0/3` for the fourth block of
//! partition 0.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::model::Offset;

/// Offsets in a block. A full one takes some 30 KB, far below what any broker accepts.
pub const BLOCK: i64 = 1024;

/// The version of the form in which blocks are kept.
const VERSION: u8 = 1;

/// How a dead letter was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate<'a> {
    /// It was sent to this place.
    Sent(&'a Target, Offset),
    /// Somebody decided that it need not be sent.
    Resolved,
    /// Version 0.1 has sent it. Where it is was not noted.
    SentBefore,
}

/// Where records were sent: a partition, and the group that they are for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The group; `None` is every group.
    pub group: Option<String>,
}

/// A dead letter that was settled. It shows that the topic is the one that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Its offset.
    pub offset: i64,
    /// Its time, in milliseconds since the Unix epoch.
    pub time: Option<i64>,
}

/// The same, with a target's place in [`Settled::targets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Sent(usize, Offset),
    Resolved,
    SentBefore,
}

/// The settled offsets of one block.
#[derive(Clone, Debug, Default)]
struct Block {
    fates: BTreeMap<i64, Kept>,
    witness: Option<Witness>,
}

/// A block as it is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Written {
    version: u8,
    /// How many partitions the dead-letter topic had.
    partitions: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    witness: Option<Witness>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    targets: Vec<Target>,
    /// Offset, place in `targets`, and offset there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sent: Vec<(i64, usize, i64)>,
    /// First and last offsets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resolved: Vec<(i64, i64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sent_before: Vec<(i64, i64)>,
}

/// What is settled of one dead-letter topic.
#[derive(Debug, Default)]
pub struct Settled {
    topic: String,
    /// The most partitions that the topic had when something was settled.
    partitions: i32,
    targets: Vec<Target>,
    places: HashMap<Target, usize>,
    blocks: BTreeMap<(i32, i64), Block>,
    /// Blocks that differ from what is kept; one that is not there any more is deleted.
    changed: BTreeSet<(i32, i64)>,
}

/// A key and its value; without one it is deleted.
pub type Change = (String, Option<Vec<u8>>);

fn block(offset: Offset) -> i64 {
    offset.0.div_euclid(BLOCK)
}

impl Settled {
    /// Nothing of this topic is settled.
    pub fn of(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            ..Self::default()
        }
    }

    /// Reads a record of the store that is about this topic. The last one of a key counts.
    ///
    /// # Errors
    /// When this version can't read it.
    pub fn read(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), String> {
        let at = self.place(key).ok_or("its key is not known")?;
        let Some(value) = value else {
            self.blocks.remove(&at);
            return Ok(());
        };
        let written: Written = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        if written.version != VERSION {
            return Err(format!("version {} wrote it", written.version));
        }
        let first = at.1.saturating_mul(BLOCK);
        let inside = |offset: i64| (first..first.saturating_add(BLOCK)).contains(&offset);
        let mut fates = BTreeMap::new();
        for (offset, target, sent_to) in written.sent {
            let target = written.targets.get(target).ok_or("a target is missing")?;
            let kept = Kept::Sent(self.target(target), Offset(sent_to));
            fates.insert(offset, kept);
        }
        let ranges = [
            (&written.resolved, Kept::Resolved),
            (&written.sent_before, Kept::SentBefore),
        ];
        for (ranges, kept) in ranges {
            for (first, last) in ranges {
                if !(inside(*first) && inside(*last)) {
                    return Err("an offset belongs to another block".to_owned());
                }
                fates.extend((*first..=*last).map(|offset| (offset, kept)));
            }
        }
        if !fates.keys().all(|offset| inside(*offset)) {
            return Err("an offset belongs to another block".to_owned());
        }
        self.partitions = self.partitions.max(written.partitions);
        let witness = written.witness;
        self.blocks.insert(at, Block { fates, witness });
        Ok(())
    }

    /// The partition and the block that a key names.
    fn place(&self, key: &str) -> Option<(i32, i64)> {
        let rest = key.strip_prefix(&self.topic)?.strip_prefix('/')?;
        let (partition, block) = rest.split_once('/')?;
        Some((partition.parse().ok()?, block.parse().ok()?))
    }

    fn target(&mut self, target: &Target) -> usize {
        if let Some(place) = self.places.get(target) {
            return *place;
        }
        let place = self.targets.len();
        self.targets.push(target.clone());
        self.places.insert(target.clone(), place);
        place
    }

    /// Where records were sent.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Whether anything is kept of a partition, even if nothing in it is settled.
    pub fn knows(&self, partition: i32) -> bool {
        self.of_partition(partition).next().is_some()
    }

    /// Whether something must be kept of a partition, because it was there when something of
    /// the topic was settled.
    pub fn must_know(&self, partition: i32) -> bool {
        partition < self.partitions
    }

    fn of_partition(&self, partition: i32) -> impl DoubleEndedIterator<Item = (i64, &Block)> {
        let all = self
            .blocks
            .range((partition, i64::MIN)..=(partition, i64::MAX));
        all.map(|((_, number), block)| (*number, block))
    }

    /// Begins to keep what is settled of a topic with so many partitions.
    pub fn begin(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.partitions = self.partitions.max(partition.saturating_add(1));
            if !self.knows(partition) {
                self.change((partition, 0));
            }
        }
    }

    fn change(&mut self, at: (i32, i64)) -> &mut Block {
        self.changed.insert(at);
        self.blocks.entry(at).or_default()
    }

    /// How an offset was settled, if it was.
    pub fn fate(&self, partition: i32, offset: Offset) -> Option<Fate<'_>> {
        let block = self.blocks.get(&(partition, block(offset)))?;
        Some(match *block.fates.get(&offset.0)? {
            Kept::Sent(target, offset) => Fate::Sent(self.targets.get(target)?, offset),
            Kept::Resolved => Fate::Resolved,
            Kept::SentBefore => Fate::SentBefore,
        })
    }

    /// Notes that a dead letter with this time was sent.
    pub fn sent(&mut self, partition: i32, letter: Witness, target: &Target, offset: Offset) {
        let kept = Kept::Sent(self.target(target), offset);
        self.settle(partition, letter, kept);
    }

    /// Notes that a dead letter need not be sent.
    pub fn resolve(&mut self, partition: i32, letter: Witness) {
        self.settle(partition, letter, Kept::Resolved);
    }

    fn settle(&mut self, partition: i32, letter: Witness, kept: Kept) {
        let block = self.change((partition, block(Offset(letter.offset))));
        block.fates.insert(letter.offset, kept);
        let newest = block.witness.filter(|newest| newest.offset > letter.offset);
        block.witness = newest.or(Some(letter));
    }

    /// Makes a dead letter open again.
    pub fn reopen(&mut self, partition: i32, offset: Offset) {
        let at = (partition, block(offset));
        if let Some(block) = self.blocks.get_mut(&at)
            && block.fates.remove(&offset.0).is_some()
        {
            self.changed.insert(at);
        }
    }

    /// Takes over what version 0.1 has sent: all offsets of this range.
    pub fn sent_before(&mut self, partition: i32, first: Offset, end: Offset) {
        for offset in first.0..end.0 {
            let block = self.change((partition, block(Offset(offset))));
            block.fates.insert(offset, Kept::SentBefore);
        }
    }

    /// The first offset of a range that is open, or its end.
    pub fn first_open(&self, partition: i32, low: Offset, high: Offset) -> Offset {
        let mut next = low.0;
        let blocks = self
            .of_partition(partition)
            .flat_map(|(_, block)| block.fates.keys());
        for offset in blocks.skip_while(|offset| **offset < low.0) {
            if *offset != next || next >= high.0 {
                break;
            }
            next += 1;
        }
        Offset(next)
    }

    /// How many offsets of a range are settled.
    pub fn count(&self, partition: i32, low: Offset, high: Offset) -> u64 {
        let blocks = self.of_partition(partition);
        let counts = blocks.map(|(_, block)| block.fates.range(low.0..high.0.max(low.0)).count());
        counts.filter_map(|count| u64::try_from(count).ok()).sum()
    }

    /// The newest settled dead letter of a partition whose time is known.
    pub fn witness(&self, partition: i32) -> Option<Witness> {
        let mut blocks = self.of_partition(partition).rev();
        blocks.find_map(|(_, block)| block.witness)
    }

    /// The end of what is settled of a partition.
    pub fn end(&self, partition: i32) -> Option<Offset> {
        let mut blocks = self.of_partition(partition).rev();
        let last = blocks.find_map(|(_, block)| block.fates.keys().next_back())?;
        Some(Offset(*last).next())
    }

    /// Forgets what was settled of a partition: its topic is another one.
    pub fn forget(&mut self, partition: i32) {
        let numbers: Vec<_> = self
            .of_partition(partition)
            .map(|(number, _)| number)
            .collect();
        for number in numbers {
            self.blocks.remove(&(partition, number));
            self.changed.insert((partition, number));
        }
        self.change((partition, 0));
    }

    /// Drops what was settled of records that are deleted. The newest block of a partition
    /// stays: it shows that the partition is known.
    pub fn drop_before(&mut self, partition: i32, low: Offset) {
        let newest = self
            .of_partition(partition)
            .map(|(number, _)| number)
            .next_back();
        let numbers = self.of_partition(partition).map(|(number, _)| number);
        let old = numbers.filter(|number| *number < block(low) && Some(*number) != newest);
        for number in old.collect::<Vec<_>>() {
            self.blocks.remove(&(partition, number));
            self.changed.insert((partition, number));
        }
    }

    /// Takes what must be written. What could not be is to be given back to
    /// [`Settled::unwritten`].
    pub fn changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_iter()
            .map(|(partition, number)| {
                let key = format!("{}/{partition}/{number}", self.topic);
                let block = self.blocks.get(&(partition, number));
                (key, block.map(|block| self.write(block)))
            })
            .collect()
    }

    /// Notes that a change was not written.
    pub fn unwritten(&mut self, key: &str) {
        self.changed.extend(self.place(key));
    }

    fn write(&self, block: &Block) -> Vec<u8> {
        let mut written = Written {
            version: VERSION,
            partitions: self.partitions,
            witness: block.witness,
            ..Written::default()
        };
        let mut places = HashMap::new();
        for (offset, kept) in &block.fates {
            let ranges = match *kept {
                Kept::Sent(target, sent_to) => {
                    let place = *places.entry(target).or_insert_with(|| {
                        written.targets.extend(self.targets.get(target).cloned());
                        written.targets.len() - 1
                    });
                    written.sent.push((*offset, place, sent_to.0));
                    continue;
                }
                Kept::Resolved => &mut written.resolved,
                Kept::SentBefore => &mut written.sent_before,
            };
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *offset => *last = *offset,
                _ => ranges.push((*offset, *offset)),
            }
        }
        // Numbers and texts can always be written.
        serde_json::to_vec(&written).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(partition: i32, group: Option<&str>) -> Target {
        Target {
            topic: "orders".into(),
            partition,
            group: group.map(str::to_owned),
        }
    }

    fn letter(offset: i64) -> Witness {
        Witness {
            offset,
            time: Some(offset * 10),
        }
    }

    /// What is there after all changes were written and read again.
    fn reread(settled: &mut Settled) -> Settled {
        let mut read = Settled::of(&settled.topic);
        for (key, value) in settled.changes() {
            read.read(&key, value.as_deref()).expect("it can be read");
        }
        read
    }

    #[test]
    fn what_is_settled_is_kept() {
        let mut settled = Settled::of("orders.dlq");
        settled.begin([0, 1]);
        settled.sent(0, letter(3), &target(1, Some("todo")), Offset(70));
        settled.sent(0, letter(1), &target(0, None), Offset(50));
        settled.resolve(0, letter(2));
        settled.sent_before(1, Offset(1020), Offset(1030));
        let read = reread(&mut settled);
        let todo = target(1, Some("todo"));
        assert_eq!(read.fate(0, Offset(3)), Some(Fate::Sent(&todo, Offset(70))));
        assert_eq!(read.fate(0, Offset(2)), Some(Fate::Resolved));
        assert_eq!(read.fate(0, Offset(0)), None);
        assert_eq!(read.fate(1, Offset(1025)), Some(Fate::SentBefore));
        assert_eq!(read.witness(0), Some(letter(3)));
        assert_eq!(read.end(0), Some(Offset(4)));
        assert_eq!(read.first_open(0, Offset(1), Offset(9)), Offset(4));
        assert_eq!(read.first_open(0, Offset(0), Offset(9)), Offset(0));
        assert_eq!(read.first_open(1, Offset(1022), Offset(1028)), Offset(1028));
        assert_eq!(read.count(1, Offset(1022), Offset(1028)), 6);
        assert!(read.must_know(1) && read.knows(1) && !read.must_know(2));
        assert!(settled.changes().is_empty(), "all is written");
    }

    #[test]
    fn what_is_open_again_is_kept_as_open() {
        let mut settled = Settled::of("orders.dlq");
        settled.resolve(0, letter(1));
        settled.resolve(0, letter(2));
        settled.reopen(0, Offset(2));
        let read = reread(&mut settled);
        assert_eq!(read.fate(0, Offset(2)), None);
        assert_eq!(read.count(0, Offset(0), Offset(9)), 1);
    }

    #[test]
    fn what_was_not_written_is_written_again() {
        let mut settled = Settled::of("orders.dlq");
        settled.resolve(0, letter(1));
        let lost = settled.changes();
        settled.unwritten(&lost[0].0);
        assert_eq!(reread(&mut settled).count(0, Offset(0), Offset(9)), 1);
    }

    #[test]
    fn the_newest_block_of_a_partition_outlives_its_records() {
        let mut settled = Settled::of("orders.dlq");
        settled.begin([0]);
        for offset in [1, 2000, 5000] {
            settled.resolve(0, letter(offset));
        }
        settled.changes();
        settled.drop_before(0, Offset(9000));
        let deleted = settled.changes();
        assert_eq!(deleted.len(), 2, "{deleted:?}");
        assert!(deleted.iter().all(|(_, value)| value.is_none()));
        assert!(settled.knows(0));
        settled.forget(0);
        assert!(settled.knows(0) && settled.end(0).is_none() && settled.witness(0).is_none());
    }

    #[test]
    fn what_others_wrote_is_refused() {
        let mut settled = Settled::of("orders.dlq");
        for (key, value) in [
            ("orders.dlq/0/0", "{}"),
            ("orders.dlq/0/0", r#"{"version":2,"partitions":1}"#),
            ("orders.dlq/0", r#"{"version":1,"partitions":1}"#),
            (
                "orders.dlq/0/0",
                r#"{"version":1,"partitions":1,"sent":[[1,0,1]]}"#,
            ),
            (
                "orders.dlq/0/0",
                r#"{"version":1,"partitions":1,"resolved":[[0,9000000000]]}"#,
            ),
        ] {
            let read = settled.read(key, Some(value.as_bytes()));
            assert!(read.is_err(), "{key} {value}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_settled_is_read_again(
            steps in prop::collection::vec((0..3_i32, 0..3000_i64, 0..4_i32), 0..200),
        ) {
            let mut settled = Settled::of("a.dlq");
            let mut naive = BTreeMap::new();
            for (partition, offset, how) in steps {
                if how == 0 {
                    settled.resolve(partition, letter(offset));
                } else {
                    settled.sent(partition, letter(offset), &target(how, None), Offset(offset + 1));
                }
                naive.insert((partition, offset), how);
            }
            let read = reread(&mut settled);
            for partition in 0..3 {
                let of = naive.keys().filter(|(of, _)| *of == partition);
                let of: BTreeSet<_> = of.map(|(_, offset)| *offset).collect();
                prop_assert_eq!(read.count(partition, Offset(0), Offset(3000)), of.len() as u64);
                let open = (0..3000).find(|offset| !of.contains(offset)).unwrap_or(3000);
                prop_assert_eq!(read.first_open(partition, Offset(0), Offset(3000)), Offset(open));
                prop_assert_eq!(read.witness(partition), of.last().map(|last| letter(*last)));
            }
            for ((partition, offset), how) in naive {
                let sent_to = target(how, None);
                let wanted = if how == 0 { Fate::Resolved } else { Fate::Sent(&sent_to, Offset(offset + 1)) };
                prop_assert_eq!(read.fate(partition, Offset(offset)), Some(wanted));
            }
        }

        /// Anyone with the right to write to the topic may have written it.
        #[test]
        fn nothing_that_is_kept_breaks_it(key in "a.dlq/?[0-9-]{0,20}/?[0-9-]{0,20}", value in "(\\{\"version\":1,\"partitions\":1)?.{0,40}") {
            let _ = Settled::of("a.dlq").read(&key, Some(value.as_bytes()));
        }
    }
}
