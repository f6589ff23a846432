//! What can be found in the stage `permissions`.

use crate::doctor::row::rows;

rows! { Permissions:
    WRITE "RDK-PERM-01" Problem
        "It may not write to a topic"
        why "Every Publish to the topic fails."
        found "The broker is asked which operations on the topic are allowed to this client."
        fix "Allow the operation Write on the topic to the client's principal.";
    READ "RDK-PERM-02" Problem
        "It may not read a topic"
        why "No record of the topic is ever delivered."
        found "The broker is asked which operations on the topic are allowed to this client; one that \
               does not tell is asked for the topic's records."
        fix "Allow the operation Read on the topic to the client's principal.";
    HIDDEN "RDK-PERM-03" Problem
        "It may not even see a topic"
        why "To this client the topic is as good as missing, whether it exists or not."
        found "The broker answers a question about the topic with TOPIC_AUTHORIZATION_FAILED."
        fix "Allow what is to be done with the topic to the client's principal: Write to publish, \
             Read to subscribe.";
    LETTERS "RDK-PERM-04" Problem
        "It may not write to a dead-letter topic"
        why "A record that is given up can't be moved there, and holds its partition."
        found "The broker is asked which operations on the topic are allowed to this client."
        fix "Allow the operation Write on the dead-letter topic to the client's principal.";
    GROUP "RDK-PERM-05" Problem
        "It may not use its consumer group"
        why "It can neither join the group nor commit, so nothing is delivered."
        found "The broker is asked which operations on the group are allowed to this client; one that \
               does not tell is sent a heartbeat of a member that does not exist."
        fix "Allow the operation Read on the group to the client's principal, or name a group in \
             `consumerGroup` that it may use.";
    IDEMPOTENT "RDK-PERM-06" Problem
        "It may not write with idempotence"
        why "With `idempotence`, which is the default, every Publish fails."
        found "The broker is asked for a producer id, and answers CLUSTER_AUTHORIZATION_FAILED."
        fix "Set `idempotence` to \"false\", or allow the operation IdempotentWrite on the cluster. \
             Since Kafka 3.0 who may write to any topic may do so with idempotence too.";
}
