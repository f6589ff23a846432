//! A group of this component and daprd's built-in one, whose apps work on a record for 40 s.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use harness::{Result, eventually};
use serde_json::json;

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::{App, Event, subscription},
        members::{GroupMember, settled},
        notebook::write,
    },
};

const PARTITIONS: i32 = 4;
const RECORDS: usize = 16;

/// How long an app works on a record: less than `rebalanceDrain` (60 s).
const WORK: Duration = Duration::from_secs(40);

/// How long all records may take: the built-in works on one of each partition at a time.
const ALL: Duration = Duration::from_secs(600);

/// The built-in joins while the component's app is at work. The component drains before it gives
/// partitions up, so no record is worked on by two apps at once, and none is lost.
pub async fn a_built_in_that_joins_waits_for_handlers_of_40_s(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("mixed"), fixture.name("group"));
    admin::create_topic(kafka, &topic, PARTITIONS, &[]).await?;
    write(kafka, &topic, 0..RECORDS).await?;
    let (new, old) = (Place::new()?, Place::new()?);
    for (place, client) in [(&new, "component"), (&old, "built-in")] {
        let metadata = [
            ("brokers", kafka),
            ("authType", "none"),
            ("initialOffset", "oldest"),
            ("clientID", client),
        ];
        place.put_component("pubsub.kafka", &metadata)?;
    }
    let _component = new.component_with(&["kafka"], &[]).await?;
    let lanes = (0..PARTITIONS).map(|lane| subscription(&format!("{topic}#{lane}"), &json!({})));
    let ours = App::working(lanes.collect(), WORK).await?;
    let plain = json!([subscription(&topic, &json!({}))]);
    let theirs = App::working(plain, WORK).await?;
    let _ours = new.daprd(fixture.daprd, &group, Some(ours.port)).await?;
    eventually("the component's app is at work", SOON, || async {
        (ours.at_work() > 1).then_some(())
    })
    .await?;
    let _theirs = old.daprd(fixture.daprd, &group, Some(theirs.port)).await?;
    let both = |members: &[GroupMember]| {
        members.len() == 2 && members.iter().all(|member| !member.partitions.is_empty())
    };
    // The component drains meanwhile.
    let joined = settled(kafka, &group, "both share the topic", both).await;
    let events = || [ours.seen(), theirs.seen()].concat();
    let all = eventually("all records are answered", ALL, || async {
        let numbers: Vec<_> = (0..RECORDS as u64).collect();
        let events = events();
        let came = |number: &u64| events.iter().any(|event| number_of(event) == Some(*number));
        numbers.iter().all(came).then_some(())
    });
    let all = all.await;
    let (twice, at_once) = repeats(&events());
    println!(
        "{RECORDS} records of {WORK:?}: the component's app answered {}, the built-in's {}; again: \
         {twice}, two at once: {at_once}; calls that were cut: {} and {}",
        ours.seen().len(),
        theirs.seen().len(),
        ours.at_work(),
        theirs.at_work(),
    );
    joined?;
    all?;
    ensure!(
        twice == 0 && ours.at_work() + theirs.at_work() == 0,
        "records were worked on again"
    );
    admin::all_committed(kafka, &group, &topic, PARTITIONS, RECORDS).await
}

/// How many answers were not the first of their record, and how many of those overlapped with
/// another one.
fn repeats(events: &[Event]) -> (usize, usize) {
    let mut known: BTreeMap<Option<u64>, Vec<&Event>> = BTreeMap::new();
    let (mut twice, mut at_once) = (0, 0);
    for event in events {
        let before = known.entry(number_of(event)).or_default();
        let overlaps = |other: &&Event| other.begun < event.ended && event.begun < other.ended;
        twice += usize::from(!before.is_empty());
        at_once += usize::from(before.iter().any(overlaps));
        before.push(event);
    }
    (twice, at_once)
}

fn number_of(event: &Event) -> Option<u64> {
    event.body["data"]["number"].as_u64()
}
