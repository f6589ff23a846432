//! The liveness probe that Dapr's injector gives to daprd.

use std::time::Duration;

use tokio::net::TcpStream;

/// It connects to daprd's public port, first after 3 s, then every 6 s; the third failure in a row
/// ends daprd (dapr/dapr v1.16.5, `pkg/injector/patcher/sidecar.go`).
const FIRST_LOOK: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_secs(6);
const FAILURES: u32 = 3;

/// Looks at daprd's port now and then.
#[derive(Default)]
pub struct Liveness {
    looked: u32,
    failures: u32,
    /// How often daprd was ended for it.
    pub kills: u32,
}

impl Liveness {
    /// Whether a daprd that was started so long ago is to be ended now.
    pub async fn ends(&mut self, started: Duration, port: u16) -> bool {
        if started < FIRST_LOOK {
            // It may be another one than before.
            (self.looked, self.failures) = (0, 0);
        }
        if started < FIRST_LOOK + LOOK * self.looked {
            return false;
        }
        self.looked += 1;
        let answered = TcpStream::connect(("127.0.0.1", port)).await;
        self.failures = answered.map_or(self.failures + 1, |_| 0);
        let ends = self.failures == FAILURES;
        self.kills += u32::from(ends);
        ends
    }
}
