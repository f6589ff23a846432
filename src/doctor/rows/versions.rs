//! What can be found in the stage `versions`.

use crate::doctor::row::rows;

rows! { Versions:
    UNSERVED "RDK-VER-01" Problem "The broker does not serve what the component asks"
    why "The component's client, librdkafka, publishes, subscribes and commits by these requests. \
         Without one of them a part of that never works."
    found "The broker's answer to ApiVersions has a request that the component needs in no version \
           that librdkafka 2.12 knows, or not at all. Records with headers need Produce from \
           version 3 and Fetch from version 4."
    fix "Write the address of another cluster in `brokers`, or update the brokers: Apache Kafka \
         from 0.11 on and Redpanda serve all of them.";
    NO_IDEMPOTENCE "RDK-VER-02" Problem "The broker knows no idempotent producer"
    why "With `idempotence` the producer asks for an id before its first record, and publishes \
         nothing until it has one."
    found "The broker's answer to ApiVersions has no InitProducerId that librdkafka 2.12 knows, \
           and `idempotence` is true."
    fix "Set `idempotence` to \"false\": one request at a time keeps the order, and a retry may \
         write a record twice.";
    NO_ZSTD "RDK-VER-03" Warning "The broker does not take zstd"
    why "The component's client then sends its records without any compression."
    found "`compression` is zstd, and the broker serves Produce below version 7 or Fetch below \
           version 10."
    fix "Set `compression` to \"lz4\", which every broker takes.";
    REFUSED "RDK-VER-04" Problem "The broker does not tell what it serves"
    why "Without the answer no client knows how to ask for anything else."
    found "The answer to ApiVersions is an error."
    fix "Look into the broker's log for why it refuses ApiVersions.";
}
