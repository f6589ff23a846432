//! What can be found in the stage `names`.

use crate::doctor::row::rows;

rows! { Names:
    UNKNOWN "RDK-NAM-01" Problem "The broker's name is not known"
    why "Without an address there is nothing to connect to."
    found "The system's name resolution says that there is no such name."
    fix "Write a name that is known where this component runs in `brokers`. In Kubernetes a short name is known in its own namespace only: write `name.namespace.svc.cluster.local`.";
    SILENT "RDK-NAM-02" Problem "Name resolution does not answer"
    why "Without an address there is nothing to connect to."
    found "The system's name resolution gives no answer in time, or says that it got none itself."
    fix "See that the name servers in /etc/resolv.conf can be reached from here: in Kubernetes that CoreDNS runs, and that no network policy forbids UDP and TCP to port 53.";
}
