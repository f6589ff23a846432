//! What a client may not do.

use std::sync::Arc;

use futures_util::future::try_join_all;
use harness::Result;

use super::{allow, commit, guarded, is_cured_by_command, patient, text};
use crate::{
    ensure,
    support::{Fixture, admin},
};

/// Each finding alone, and then none, after its command was run as it stands there.
pub async fn what_is_not_allowed_is_found_and_the_fix_allows_it(_: Arc<Fixture>) -> Result<()> {
    let kafka = guarded().await?;
    let brokers = kafka.address.as_str();
    for topic in ["free", "free.dlq", "readable", "writable", "hidden"] {
        admin::create_topic(brokers, topic, 1, &[]).await?;
    }
    // The topic for groups' offsets is there with the first group.
    for group in ["first", "visible"] {
        commit(brokers, group, "free", 0).await?;
    }
    let rights = [
        ("ANONYMOUS", "--operation Read --topic readable"),
        ("ANONYMOUS", "--operation Write --topic writable"),
        ("somebody", "--operation Read --topic hidden"),
        ("ANONYMOUS", "--operation Read --topic free.dlq"),
        ("somebody", "--operation Read --group others"),
        ("ANONYMOUS", "--operation Describe --group visible"),
        ("ANONYMOUS", "--operation Describe --group new"),
    ];
    try_join_all(rights.map(|(to, what)| allow(&kafka, to, what))).await?;

    let free = patient(brokers, "free")?;
    let others = patient(brokers, "others")?;
    let visible = patient(brokers, "visible")?;
    let new = patient(brokers, "new")?;
    let mut letters = patient(brokers, "free")?;
    letters.set("deadLetterTopic", "{topic}.dlq");
    let cases = [
        (&free, "RDK-PERM-01", "readable"),
        (&free, "RDK-PERM-02", "writable"),
        (&free, "RDK-PERM-03", "hidden"),
        (&letters, "RDK-PERM-04", "free"),
        (&others, "RDK-PERM-05", "free"),
        (&visible, "RDK-PERM-05", "free"),
        (&new, "RDK-PERM-05", "free"),
    ];
    for (patient, code, topic) in cases {
        is_cured_by_command(&kafka, patient, code, &["--topic", topic]).await?;
    }
    let all = ["readable", "writable", "hidden", "free"];
    let all = all.map(|topic| ["--topic", topic]).concat();
    let diagnosis = visible.diagnose(&all).await?;
    for (subject, expected) in [
        ("topic readable", "may write and read"),
        ("group visible", "may read"),
        ("idempotent writes", "it got a producer id"),
    ] {
        let found = text(&diagnosis, "permissions", subject);
        ensure!(found == Some(("fine", expected)), "{subject}: {found:?}");
    }
    kafka.stop().await
}
