//! What can be found in the stage `tcp`.

use crate::doctor::row::rows;

rows! { Tcp:
    REFUSED "RDK-TCP-01" Problem "The broker's port is closed"
    why "Nothing listens there, so nothing can connect."
    found "The host refuses a connection to the port, at every address of the name."
    fix "Start the broker, or write the port of its Kafka listener in `brokers`. A broker that listens on localhost alone can't be reached from another host or container.";
    TIMED_OUT "RDK-TCP-02" Problem "The broker's host does not answer"
    why "A connection that is never answered comes up late or not at all."
    found "No address of the name takes or refuses a connection in time."
    fix "See whether a firewall, a security group or a network policy drops packets to this port, and whether the host is up.";
    UNREACHABLE "RDK-TCP-03" Problem "There is no way to the broker's host"
    why "The system can't send anything to this address."
    found "The system says that it has no route to any address of the name, or may not use it."
    fix "Write an address that can be reached from here in `brokers`, or make a route to it.";
    SOME "RDK-TCP-04" Warning "Some of the broker's addresses do not answer"
    why "Clients try the addresses in turn: each time one is tried that does not answer, the connection comes late."
    found "Of a name with several addresses some take a connection and some do not."
    fix "Remove the addresses that do not answer from the name in DNS, or start the broker there.";
}
