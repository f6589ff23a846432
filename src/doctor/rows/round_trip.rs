//! What can be found in the stage `round_trip`.

use crate::doctor::row::rows;

rows! { RoundTrip:
    FORBIDDEN "RDK-TRIP-01" Warning
        "It may not make a topic for the round trip"
        why "`--round-trip` sends a record through a topic of its own. The component itself need not \
             be allowed this."
        found "A broker refuses to make the topic, to write to it or to read it because that is not \
               allowed."
        fix "Allow the client's principal to use topics whose names begin with \
             `dapr-rdkafka-doctor-`, or leave out `--round-trip`.";
    NOT_MADE "RDK-TRIP-02" Warning
        "A topic can't be made"
        why "No new topic can be made with the brokers' defaults, and what a record does was not seen."
        found "A broker refuses to make a topic of one partition with its own defaults, or the topic \
               gets no leader."
        fix "Do what the broker's own words say; often default.replication.factor is higher than the \
             number of brokers.";
    REFUSED "RDK-TRIP-03" Problem
        "A record is refused"
        why "What is published to such a topic fails in the same way."
        found "A small record is written to a topic with the brokers' defaults, to be acknowledged by \
               all replicas that are in sync."
        fix "Do what the error says; NOT_ENOUGH_REPLICAS means that min.insync.replicas is higher than \
             the number of replicas in sync.";
    NOT_BACK "RDK-TRIP-04" Problem
        "A record does not come back"
        why "What was written and acknowledged can't be read, so nothing would be delivered."
        found "The record that was acknowledged is read from its partition."
        fix "See the brokers' logs and the connections between them.";
    NOT_DELETED "RDK-TRIP-05" Warning
        "The topic of the round trip is still there"
        why "It is of no more use, and takes a little room."
        found "A broker refuses to delete the topic, or does not answer."
        fix "Delete it with kafka-topics.sh.";
}
