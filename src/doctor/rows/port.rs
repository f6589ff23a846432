//! What can be found in the stage `port`.

use crate::doctor::row::rows;

rows! { Port:
    NOT_KAFKA "RDK-PRT-01" Problem "The port does not speak Kafka"
    why "Nothing works with what is no Kafka broker."
    found "The first request gets no answer that a Kafka broker writes."
    fix "Write the host and port of the brokers' Kafka listener in `brokers`.";
}
