//! What can be found in the stage `clock`.

use crate::doctor::row::rows;

rows! { Clock:
    SKEW "RDK-CLK-01" Warning
        "The clocks of this machine and of the brokers differ"
        why "Tokens and certificates count as expired or not yet valid, records are deleted too early or too late, and times in logs and dead letters mislead."
        found "Brokers with KRaft tell, by DescribeQuorum, when the quorum's leader was up to date with itself: now, by its own clock. It is compared with this machine's clock before and after the request."
        fix "Have both clocks set by NTP (chrony, systemd-timesyncd). In containers it is the host's clock.";
}
