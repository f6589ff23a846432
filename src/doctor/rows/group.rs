//! What can be found in the stage `group`.

use crate::doctor::row::rows;

rows! { Group:
    OFFSETS_TOPIC "RDK-GROUP-01" Problem
        "The topic for groups' offsets can't be made"
        why "Brokers make `__consumer_offsets` when the first group is used. As long as it is not \
             there, no group works."
        found "The topic is not there, and the brokers' setting offsets.topic.replication.factor is \
               higher than their number."
        fix "Make the topic with as many replicas as there are brokers, and lower \
             offsets.topic.replication.factor; or start more brokers.";
    COORDINATOR "RDK-GROUP-02" Problem
        "The group has no coordinator"
        why "The group can't be joined, and nothing can be committed."
        found "A broker is asked again and again which one coordinates the group, and knows none."
        fix "See in the brokers' logs why the group's partition of `__consumer_offsets` has no leader.";
    OTHER_KIND "RDK-GROUP-03" Problem
        "The group belongs to something else"
        why "A group's members must be of one kind. This component would be refused with \
             INCONSISTENT_GROUP_PROTOCOL."
        found "The group's coordinator says that its members are no consumers, but Kafka Connect's \
               workers, for example."
        fix "Name a group of the component's own in `consumerGroup`.";
    STRATEGY "RDK-GROUP-04" Problem
        "The group's members share out partitions in another way"
        why "A group's members must have an assignment strategy in common. This component offers \
             range and roundrobin, and would be refused with INCONSISTENT_GROUP_PROTOCOL."
        found "The group's coordinator says on which strategy its members agreed. Asked by a member \
               that does not exist, which changes nothing, it refuses what this component offers."
        fix "Name a group of the component's own in `consumerGroup`, or let the other members use \
             range or roundrobin.";
    OUT_OF_RANGE "RDK-GROUP-05" Warning
        "The group is at records that are not there"
        why "What was removed before the group had read it is lost to it. This component goes on at \
             the oldest record that is left."
        found "The group's committed offsets are compared with the first and the last one of each \
               partition."
        fix "Nothing must be done. To have the group stand at the oldest records already now, reset \
             its offsets while it has no members. A longer retention.ms of the topic prevents it.";
}
