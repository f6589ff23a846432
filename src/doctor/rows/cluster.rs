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
    UNANSWERED "RDK-CLU-05" Problem
        "A broker does not say what its cluster is"
        why "A client finds topics and their brokers by this answer; without it nothing else works."
        found "After the login the broker is asked for Metadata, and no answer comes that can be read."
        fix "Look into this broker's log at the time of the check. If something stands between the component and the broker, such as a proxy or a mesh, let Kafka's protocol through as it is.";
    NO_BROKERS "RDK-CLU-06" Problem
        "The cluster names no broker"
        why "A client connects to the brokers that the cluster names, wherever its first connection went. With none there is nobody to publish to or to read from."
        found "The answer to Metadata lists no broker."
        fix "Start the cluster's brokers, and see in their logs that they have registered. Each listener needs an address that it is advertised as: `advertised.listeners` (Kafka), `advertised_kafka_api` (Redpanda).";
    NO_CONTROLLER "RDK-CLU-07" Warning
        "The cluster has no controller"
        why "What is there can still be used, but no topic is made and no leader chosen until there is one: the next broker that fails takes its partitions with it."
        found "The answer to Metadata names no controller."
        fix "See in the brokers' and controllers' logs why none is elected: most often more than half of them are down.";
    TWO_CLUSTERS "RDK-CLU-08" Problem
        "`brokers` names brokers of more than one cluster"
        why "A client takes them for one cluster and connects to any: topics and groups seem to vanish and come back."
        found "The brokers in `brokers` answer Metadata with different cluster ids."
        fix "Name the brokers of one cluster alone in `brokers`.";
    OTHER_CLUSTER "RDK-CLU-09" Problem
        "An advertised address leads to another cluster"
        why "Records for this broker would go to a broker that has nothing to do with its topics."
        found "The broker that answers at an advertised address tells another cluster id than the broker that advertised it."
        fix "Let the broker advertise its own address: `advertised.listeners` (Kafka), `advertised_kafka_api` (Redpanda). If a forwarded port or a name's entry in DNS leads elsewhere, mend that.";
    ONE_ADDRESS "RDK-CLU-10" Problem
        "Several brokers are advertised at one address"
        why "Only one of them can be behind it: requests for the others reach the wrong broker and are refused, again and again. Forwarded ports and load balancers do this."
        found "The answer to Metadata has the same host and port for more than one broker."
        fix "Give each broker an address of its own: `advertised.listeners` (Kafka), `advertised_kafka_api` (Redpanda).";
    OTHER_NODE "RDK-CLU-11" Problem
        "An advertised address leads to another broker"
        why "Requests for one broker's partitions reach another one and are refused, again and again."
        found "The broker that answers at an advertised address is asked for its settings by the node id that is advertised there, and says that it is another node. Brokers tell it to those who may describe their settings."
        fix "Let each broker advertise its own address: `advertised.listeners` (Kafka), `advertised_kafka_api` (Redpanda). If forwarded ports or names are mixed up, mend that.";
    LOOPBACK "RDK-CLU-12" Problem
        "A broker is advertised as this machine itself"
        why "The cluster tells every client to connect to the client's own machine (`localhost`, 127.0.0.1, 0.0.0.0), where there is no broker. The first connection works, and then nothing does. It is a warning where the brokers run on this very machine, so that it works all the same."
        found "The bootstrap broker is at another address, and the answer to Metadata names a host that is the client's own."
        fix "Let the broker advertise an address that clients can reach: `advertised.listeners` (Kafka), `advertised_kafka_api` (Redpanda).";
    CLIENT_UNANSWERED "RDK-CLU-13" Problem "The client gets no answer, although the checks do"
    why "The checks speak to brokers by themselves; records go through librdkafka. As long as it has no answer, nothing is published and nothing is read."
    found "At Init a broker is reached as it is advertised, and in the same time librdkafka has no answer to its request for metadata."
    fix "See the brokers' logs and their load: they may be too slow for Init's few seconds. If it stays so, report it with the component's log at the level `debug`: it is a difference between the checks and librdkafka.";
}
