//! What can be found in the stage `limits`.

use crate::doctor::row::rows;

rows! { Limits:
    SESSION "RDK-LIM-01" Problem
        "The brokers refuse this session timeout"
        why "The consumer group can't be joined (INVALID_SESSION_TIMEOUT), so nothing arrives."
        found "`sessionTimeout` is compared with the broker's `group.min.session.timeout.ms` and `group.max.session.timeout.ms`."
        fix "Set `sessionTimeout` to a time between the broker's bounds, and `heartbeatInterval` to a third of it.";
    MESSAGE "RDK-LIM-02" Warning
        "Publish takes larger records than the topic"
        why "A record between the two bounds is sent whole and refused by the broker then (MESSAGE_TOO_LARGE); with the same bound on both sides, Publish refuses it at once."
        found "`maxMessageBytes` is compared with the topic's `max.message.bytes`, which is the broker's `message.max.bytes` unless the topic has its own."
        fix "Set `maxMessageBytes` to what the topic takes, or raise the topic's `max.message.bytes`.";
    DEAD_LETTER "RDK-LIM-03" Warning
        "A dead-letter topic takes smaller records than its source"
        why "A large record that the app keeps refusing can't become a dead letter: it holds its key, and then its partition. Dead letters carry more headers besides, so their topic should take somewhat more."
        found "Both topics' `max.message.bytes` are asked for and compared."
        fix "Raise the dead-letter topic's `max.message.bytes` above that of its source.";
}
