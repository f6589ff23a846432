//! What can be found in the stage `topics`.

use crate::doctor::row::rows;

rows! { Topics:
    BAD_NAME "RDK-TOP-01" Problem
        "No Kafka topic can have this name"
        why "Brokers refuse every request for it, so nothing can be published there and nothing arrives."
        found "The name is compared with what Kafka allows: 1 to 249 of a-z A-Z 0-9 . _ - and neither . nor .. alone."
        fix "Name another topic where the app publishes or subscribes.";
    MISSING "RDK-TOP-02" Problem
        "A topic does not exist"
        why "Publish fails after a few seconds, and a subscription waits for the topic without end."
        found "The brokers are asked for the topic, without making it, and do not know it. The broker's `auto.create.topics.enable` is asked for too: it is false."
        fix "Create the topic.";
    NOT_YET "RDK-TOP-03" Note
        "A topic does not exist yet"
        why "The first Publish makes it, with as many partitions and replicas as the brokers give every new topic. That is rarely what one wants: often a single one."
        found "The brokers are asked for the topic, without making it, and do not know it. The broker's `auto.create.topics.enable` is true."
        fix "Create the topic with the partitions and replicas that it needs.";
    NO_LEADER "RDK-TOP-04" Problem
        "Partitions have no leader"
        why "What is published to such a partition waits and fails, and nothing arrives from it. Records with a key have only one partition where they can go."
        found "The answer to Metadata names no leader for the partition: the brokers that hold it are down."
        fix "Start the brokers that hold the partition's replicas. They are named in the finding.";
    FEW_IN_SYNC "RDK-TOP-05" Problem
        "Too few replicas are in sync to publish"
        why "With `producerRequiredAcks` all, the leader refuses records (NOT_ENOUGH_REPLICAS) as long as fewer replicas are in sync than the topic's `min.insync.replicas`."
        found "Metadata's in-sync replicas of each partition are counted and compared with the topic's `min.insync.replicas`."
        fix "Start the brokers that hold the missing replicas. They are named in the finding.";
    MIN_ABOVE_REPLICAS "RDK-TOP-06" Warning
        "A topic asks for more replicas in sync than it has"
        why "Brokers that take `min.insync.replicas` as it stands refuse every record that wants all acknowledgements (NOT_ENOUGH_REPLICAS). Others take the number of replicas instead. Either way it is not what somebody meant: one lost broker stops the topic."
        found "Metadata's replicas of each partition are counted and compared with the topic's `min.insync.replicas`."
        fix "Set the topic's `min.insync.replicas` to less than its replicas, or give it more replicas.";
    ONE_REPLICA "RDK-TOP-07" Warning
        "A topic has one replica in a cluster of several brokers"
        why "When the one broker that holds a partition stops, the partition stops, and if its disk is lost so are its records."
        found "Metadata lists one replica for a partition, and at least three brokers."
        fix "Give the topic three replicas, by `kafka-reassign-partitions.sh` or by making it anew.";
    DEAD_LETTER_NAME "RDK-TOP-08" Problem
        "The dead-letter topic can't be used for a topic"
        why "The subscription is refused: refused records would have nowhere to go."
        found "`deadLetterTopic`, with the topic's name for `{topic}`, is compared with what Kafka allows and with the topic itself."
        fix "Name in `deadLetterTopic` another topic, such as `{topic}.dlq`.";
    DEAD_LETTER_MISSING "RDK-TOP-09" Problem
        "A dead-letter topic does not exist"
        why "A record that the app keeps refusing can't be given up: it holds its key, and then its partition, until the topic is there."
        found "The brokers are asked for the topic, without making it, and do not know it; `topicCreation` is never."
        fix "Let the component make it with `topicCreation: dlq`, which needs the right to create topics, or create it.";
    DEAD_LETTER_COMPACTED "RDK-TOP-10" Problem
        "A dead-letter topic is compacted"
        why "Of several dead letters with one key only the last is kept, and those without a key are refused: records are lost, or hold their partition."
        found "The topic's `cleanup.policy` is asked for and has `compact`."
        fix "Set the topic's `cleanup.policy` to `delete`.";
    DEAD_LETTER_SHORT "RDK-TOP-11" Warning
        "Dead letters are kept for less time than the records they are made of"
        why "A dead letter waits for a person to look at it. What is gone before that is lost, though the source still kept such records."
        found "Both topics' `retention.ms` are asked for and compared."
        fix "Set the dead-letter topic's `retention.ms` to that of its source or more.";
    COMPACTED "RDK-TOP-12" Warning
        "A topic that is published to is compacted"
        why "The brokers refuse records without a key there, and daprd sends none unless the app gives one with each Publish, as `partitionKey`."
        found "The topic's `cleanup.policy` is asked for and has `compact`."
        fix "Give every Publish to this topic a `partitionKey`, or set the topic's `cleanup.policy` to `delete`.";
    UNREADABLE "RDK-TOP-13" Problem
        "The brokers do not answer for the topics"
        why "A client finds the brokers of a topic's partitions by this answer; without it nothing is published and nothing arrives."
        found "A broker that answered before is asked for the topics, and no answer comes that can be read, or it answers with an error."
        fix "Look into the broker's log at the time of the check.";
}
