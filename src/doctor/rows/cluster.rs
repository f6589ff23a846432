//! What can be found in the stage `cluster`.

use crate::doctor::row::rows;

rows! { Cluster:
    NAME_UNKNOWN "RDK-CLU-01" Problem "A broker advertises a name that is not known here"
    why "Clients connect to brokers where they are advertised; the name in `brokers` is only for the first question."
    found "The system's name resolution does not know the host that the broker advertises."
    fix "Advertise a name that clients know (`advertised.listeners`; in Redpanda `advertised_kafka_api`), use the listener that is meant for clients outside, or make the name known where this component runs.";
    ADVERTISED_REFUSED "RDK-CLU-02" Problem "A broker's advertised port is closed"
    why "Clients connect to brokers where they are advertised; the address in `brokers` is only for the first question."
    found "The host that the broker advertises refuses a connection to the advertised port."
    fix "Start the broker if it is down. If it advertises localhost or a port that is mapped otherwise, advertise what clients can reach (`advertised.listeners`; in Redpanda `advertised_kafka_api`).";
    ADVERTISED_TIMED_OUT "RDK-CLU-03" Problem "A broker does not answer where it is advertised"
    why "Clients connect to brokers where they are advertised; the address in `brokers` is only for the first question."
    found "The address that the broker advertises neither takes nor refuses a connection in time."
    fix "Advertise an address that clients can reach, or let packets to it through firewalls and network policies.";
    ADVERTISED_UNREACHABLE "RDK-CLU-04" Problem "There is no way to where a broker is advertised"
    why "Clients connect to brokers where they are advertised; the address in `brokers` is only for the first question."
    found "The system says that it has no route to the address that the broker advertises."
    fix "Advertise an address that clients can reach (`advertised.listeners`; in Redpanda `advertised_kafka_api`).";
    CLIENT_UNANSWERED "RDK-CLU-20" Problem "The client gets no answer, although the checks do"
    why "The checks speak to brokers by themselves; records go through librdkafka. As long as it has no answer, nothing is published and nothing is read."
    found "At Init a broker is reached as it is advertised, and in the same time librdkafka has no answer to its request for metadata."
    fix "See the brokers' logs and their load: they may be too slow for Init's few seconds. If it stays so, report it with the component's log at the level `debug`: it is a difference between the checks and librdkafka.";
}
