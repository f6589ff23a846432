//! What can be found in the stage `port`.

use crate::doctor::row::rows;

rows! { Port:
    TLS "RDK-PRT-01" Problem "The port speaks TLS, and the component does not"
    why "A TLS listener closes a connection that does not begin with a handshake. A client sees only that: Dapr's built-in component says `EOF`, librdkafka tries again for ever."
    found "Kafka's first request in plaintext gets no answer, and a TLS handshake does."
    fix "With a login remove `disableTls`; without one write `authType: certificate`, or `mtls` if the broker wants a client's certificate. Give the authority that signed the broker's certificate as `caCert`.";
    PLAINTEXT "RDK-PRT-02" Problem "The port speaks Kafka in plaintext, and the component TLS"
    why "A plaintext listener does not understand a handshake, and closes the connection."
    found "A TLS handshake gets no answer, and Kafka's first request in plaintext does."
    fix "Write the port of the TLS listener in `brokers`. If there is none: `disableTls: \"true\"` with a login, `authType: none` without one.";
    SILENT "RDK-PRT-03" Problem "The port takes connections and says nothing"
    why "Something that listens and never answers is no broker, or one that hangs."
    found "Neither Kafka's first request nor a TLS handshake nor HTTP is answered in time, and the connection stays open."
    fix "See whether the broker hangs or is just starting, and whether it is a broker at all: a proxy or load balancer with nothing behind it does this too.";
    CLOSES "RDK-PRT-04" Problem "The port closes each connection without a word"
    why "What closes connections at once is no Kafka listener, or has nothing behind it."
    found "Kafka's first request, a TLS handshake and HTTP are all answered by an end of the connection."
    fix "Look in the log of what listens there. A load balancer or port-forward whose broker is down does this, a broker that is shutting down, and one that refuses this client's address or has reached its limit of connections.";
    HTTP "RDK-PRT-05" Problem "The port speaks HTTP"
    why "A web server is no Kafka broker."
    found "`GET /` gets an answer of HTTP."
    fix "Write the host and port of the brokers' Kafka listener in `brokers`.";
    REDPANDA_ADMIN "RDK-PRT-06" Problem "The port is Redpanda's admin API"
    why "It is for operators, by HTTP; records go through the Kafka listener."
    found "`GET /v1` is answered by the description of the admin API."
    fix "Write the port of the Kafka listener (`kafka_api`; 9092 unless configured, 9093 in Redpanda's Helm chart) in `brokers`.";
    SCHEMA_REGISTRY "RDK-PRT-07" Problem "The port is a schema registry"
    why "It keeps schemas, by HTTP; records go through the Kafka listener."
    found "`GET /v1` or `GET /schemas/types` is answered as a schema registry does."
    fix "Write the host and port of the brokers' Kafka listener in `brokers`.";
    HTTP_PROXY "RDK-PRT-08" Problem "The port is an HTTP proxy for Kafka"
    why "It lets HTTP clients use Kafka; this component speaks to brokers themselves."
    found "`GET /v1` or `GET /brokers` is answered as Redpanda's HTTP proxy or the REST proxy does."
    fix "Write the host and port of the brokers' Kafka listener in `brokers`.";
    CONNECT "RDK-PRT-09" Problem "The port is Kafka Connect"
    why "It runs connectors, by HTTP; records go through the brokers' Kafka listener."
    found "`GET /` is answered by the id of the Kafka cluster that it works with."
    fix "Write the host and port of the brokers' Kafka listener in `brokers`.";
    CONTROLLER "RDK-PRT-10" Problem "The port is for controllers, not for clients"
    why "With KRaft, controllers keep the cluster's metadata, and serve brokers; clients get nothing from them."
    found "It says that it serves the requests of controllers among themselves, but neither Metadata nor Produce."
    fix "Write the port of a broker's listener for clients in `brokers`: in its configuration the one that `controller.listener.names` does not name.";
    OTHER "RDK-PRT-11" Problem "The port speaks something that is not Kafka"
    why "Nothing works with what is no Kafka broker."
    found "Kafka's first request is answered by bytes that no Kafka broker writes."
    fix "Write the host and port of the brokers' Kafka listener in `brokers`.";
}
