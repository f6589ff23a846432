//! The probes of the component's container, as its manifests have them.

use std::time::{Duration, Instant};

use harness::{Result, STARTUP};
use tokio::time::sleep;

use super::pod::Pod;
use crate::ensure;

/// `periodSeconds` of the startup probe.
const PERIOD: Duration = Duration::from_secs(1);

impl Pod {
    /// The startup probe: the kubelet asks again until the answer is yes.
    pub(super) async fn startup_probe(&mut self) -> Result<()> {
        let until = Instant::now() + STARTUP;
        loop {
            let asked = self.exec(&["probe", "socket"]).await?;
            if asked.status.success() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(self.failed(&asked.output));
            }
            sleep(PERIOD).await;
        }
    }

    /// The `postStart` hook: one that asks again by itself.
    pub(super) async fn post_start(&mut self) -> Result<()> {
        let asked = self.exec(&["probe", "socket", "--wait", "60s"]).await?;
        ensure!(asked.status.success(), "{}", asked.output);
        Ok(())
    }
}
