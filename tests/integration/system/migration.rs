//! From the built-in component to this one, and back.

use std::{ops::Range, sync::Arc, time::Duration};

use harness::{Daprd, Result};

use crate::{
    ensure,
    support::{
        Fixture, Place, SOON, admin,
        app::App,
        members::{GroupMember, settled},
        notebook::{Notebook, write},
    },
};

const PARTITIONS: i32 = 6;

/// How long the app works on an event: so that a daprd which is told to stop does
/// so long before the topic is empty.
const WORK: Duration = Duration::from_millis(5);

/// Streams of the app while this component serves it.
const LANES: usize = 3;

/// The built-in's YAML, as it is for all.
fn built_in<'a>(brokers: &'a str, client: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("brokers", brokers),
        ("authType", "none"),
        ("initialOffset", "oldest"),
        ("disableTls", "true"),
        ("version", "2.0.0"),
        ("clientID", client),
    ]
}

/// Whether daprd has loaded this component, and not the built-in one.
async fn is_ours(daprd: &Daprd) -> Result<bool> {
    let metadata = daprd.metadata().await?;
    let loaded = metadata["components"][0].to_string();
    ensure!(loaded.contains("pubsub.kafka"), "{metadata}");
    Ok(loaded.contains("DAPR_RDKAFKA/"))
}

/// Stops a daprd in order, as Kubernetes does.
async fn stop(daprd: Daprd) -> Result<()> {
    daprd.process.stop(SOON * 2).await.map(drop)
}

/// One YAML, one group, one topic that fills while its reader changes twice; with
/// lanes as long as this component reads.
pub async fn the_component_takes_over_and_gives_back(fixture: Arc<Fixture>) -> Result<()> {
    const MESSAGES: usize = 1200;
    const EACH: usize = 150;
    let kafka = fixture.kafka().await?;
    let (topic, group) = (fixture.name("takeover"), fixture.name("group"));
    admin::create_topic(kafka, &topic, PARTITIONS, &[]).await?;
    write(kafka, &topic, 0..MESSAGES).await?;
    let place = Place::new()?;
    place.put_component("pubsub.kafka", &built_in(kafka, "todo"))?;
    let notebook = Notebook::new(WORK);

    let plain = notebook.app("built-in", &[&topic]).await?;
    let daprd = place.daprd(fixture.daprd, &group, Some(plain.port)).await?;
    ensure!(!is_ours(&daprd).await?, "not the built-in");
    notebook.until(EACH).await?;
    stop(daprd).await?;
    let taken_over = notebook.len();
    ensure!(taken_over < MESSAGES, "nothing is left to take over");

    let component = place.component_with(&["kafka"], &[]).await?;
    let more: Vec<_> = (1..LANES).map(|lane| format!("{topic}#{lane}")).collect();
    let names: Vec<_> = [topic.as_str()]
        .into_iter()
        .chain(more.iter().map(String::as_str))
        .collect();
    let lanes = notebook.app("component", &names).await?;
    let daprd = place.daprd(fixture.daprd, &group, Some(lanes.port)).await?;
    ensure!(is_ours(&daprd).await?, "the built-in");
    notebook.until(taken_over + EACH).await?;
    stop(daprd).await?;
    let stopped = component.stop().await?;
    ensure!(stopped.status.success(), "{}", stopped.output);
    let given_back = notebook.len();
    ensure!(given_back < MESSAGES, "nothing is left to give back");

    lanes_are_removed_first(&fixture, &place, &group, &lanes, &notebook).await?;
    let daprd = place.daprd(fixture.daprd, &group, Some(plain.port)).await?;
    notebook.until_all(&topic, 0..MESSAGES).await?;
    admin::all_committed(kafka, &group, &topic, PARTITIONS, MESSAGES).await?;
    stop(daprd).await?;

    // At each of the two switches, what the app had of each partition and a daprd
    // that ends did not tell any more.
    let repeats = notebook.judge(&topic, 0..MESSAGES)?;
    let in_flight = 2 * usize::try_from(PARTITIONS)?;
    println!("taken over at {taken_over}, given back at {given_back}, {repeats} came again");
    ensure!(repeats <= in_flight, "{repeats} came again");
    Ok(())
}

/// No Kafka topic has the name of a lane, and the built-in reads nothing at all
/// as long as one of its topics can't be.
async fn lanes_are_removed_first(
    fixture: &Fixture,
    place: &Place,
    group: &str,
    lanes: &App,
    notebook: &Notebook,
) -> Result<()> {
    let before = notebook.len();
    let mut daprd = place.daprd(fixture.daprd, group, Some(lanes.port)).await?;
    let refused = |line: &str| line.contains("Error consuming");
    daprd
        .process
        .line("that it can't consume", SOON, refused)
        .await?;
    stop(daprd).await?;
    ensure!(notebook.len() == before, "it read its topics all the same");
    Ok(())
}

/// A rolling migration: one pod has the built-in, the other this component.
pub async fn a_group_may_hold_both(fixture: Arc<Fixture>) -> Result<()> {
    const STEP: usize = 200;
    let kafka = fixture.kafka().await?;
    let group = fixture.name("group");
    let (large, small) = (fixture.name("mixed"), fixture.name("mixed"));
    admin::create_topic(kafka, &large, 6, &[]).await?;
    admin::create_topic(kafka, &small, 3, &[]).await?;
    let topics = [large.as_str(), small.as_str()];
    let publish = |step: usize| write_both(kafka, topics, step * STEP..(step + 1) * STEP);
    let notebook = Notebook::new(WORK);
    let (old, new) = (Place::new()?, Place::new()?);
    for (place, client) in [(&old, "built-in"), (&new, "component")] {
        // A key of ours, which the built-in ignores.
        let metadata = [&built_in(kafka, client)[..], &[("ordering", "partition")]].concat();
        place.put_component("pubsub.kafka", &metadata)?;
    }
    let component = new.component_with(&["kafka"], &[]).await?;
    let old_app = notebook.app("built-in", &topics).await?;
    let new_app = notebook.app("component", &topics).await?;
    let shared = |members: &[GroupMember]| is_shared(members, &large, &small);
    let alone = |who: &'static str| move |members: &[GroupMember]| is_alone(members, who);

    publish(0).await?;
    let daprd = old.daprd(fixture.daprd, &group, Some(old_app.port)).await?;
    ensure!(!is_ours(&daprd).await?, "not the built-in");
    notebook.until(STEP / 2).await?;
    publish(1).await?;
    let ours = new.daprd(fixture.daprd, &group, Some(new_app.port)).await?;
    ensure!(is_ours(&ours).await?, "the built-in");
    settled(kafka, &group, "both share the topics", shared).await?;
    let joined = notebook.len();
    publish(2).await?;
    all_came(&notebook, &topics, 3 * STEP).await?;
    for member in ["built-in", "component"] {
        let since = notebook.entries().split_off(joined);
        for topic in topics {
            let received = since
                .iter()
                .any(|entry| entry.member == member && entry.topic == topic);
            ensure!(received, "{member} received nothing of {topic}");
        }
    }

    publish(3).await?;
    stop(daprd).await?;
    settled(kafka, &group, "the built-in has left", alone("component")).await?;
    publish(4).await?;
    let daprd = old.daprd(fixture.daprd, &group, Some(old_app.port)).await?;
    settled(kafka, &group, "both share them again", shared).await?;
    publish(5).await?;
    stop(ours).await?;
    settled(kafka, &group, "the component has left", alone("built-in")).await?;
    all_came(&notebook, &topics, 6 * STEP).await?;
    for (topic, partitions) in [(&large, 6), (&small, 3)] {
        admin::all_committed(kafka, &group, topic, partitions, 6 * STEP).await?;
        let repeats = notebook.judge(topic, 0..6 * STEP)?;
        println!("of {topic} {repeats} came again");
        // Four rebalances, each with one event of each partition under way.
        let under_way = 4 * usize::try_from(partitions)?;
        ensure!(repeats <= under_way, "of {topic} {repeats} came again");
    }
    stop(daprd).await?;
    component.stop().await?;
    Ok(())
}

async fn write_both(brokers: &str, topics: [&str; 2], numbers: Range<usize>) -> Result<()> {
    for topic in topics {
        write(brokers, topic, numbers.clone()).await?;
    }
    Ok(())
}

async fn all_came(notebook: &Notebook, topics: &[&str], count: usize) -> Result<()> {
    for topic in topics {
        notebook.until_all(topic, 0..count).await?;
    }
    Ok(())
}

/// Kafka's `range`: of each topic the first half for the one, the rest for the
/// other, whoever leads the group.
fn is_shared(members: &[GroupMember], large: &str, small: &str) -> bool {
    let [built_in, component] = members else {
        return false;
    };
    let of = |member: &GroupMember| {
        let of = |topic| member.partitions.get(topic).cloned().unwrap_or_default();
        (of(large), of(small))
    };
    let (first, second) = ((vec![0, 1, 2], vec![0, 1]), (vec![3, 4, 5], vec![2]));
    let shares = (of(built_in), of(component));
    (built_in.client.as_str(), component.client.as_str()) == ("built-in", "component")
        && (shares == (first.clone(), second.clone()) || shares == (second, first))
}

fn is_alone(members: &[GroupMember], who: &str) -> bool {
    matches!(members, [member] if member.client == who
        && member.partitions.values().map(Vec::len).sum::<usize>() == 9)
}
