//! The probes of the component's container.

use harness::{Result, STARTUP, eventually};
use tokio::net::UnixStream;

use super::pod::Pod;

impl Pod {
    /// Waits as a startup probe and a `postStart` do: until the component's socket is served.
    pub(super) async fn probed(&mut self) -> Result<()> {
        let socket = self.sockets().join("rdkafka.sock");
        let served = eventually("the socket is served", STARTUP, || async {
            UnixStream::connect(&socket).await.ok().map(drop)
        });
        let served = served.await;
        served.map_err(|error| self.failed(&error.to_string()))
    }
}
