use harness::{Component, Daprd, Result};

use super::{Doors, Moody, app::Server};
use crate::{
    ensure,
    support::{Place, SOON},
};

/// One member of the group: a component, a daprd and a door to the app.
pub struct Member {
    name: String,
    component: Component,
    daprd: Daprd,
    doors: Doors,
    _server: Server,
    _place: Place,
}

/// What members have in common.
#[derive(Clone)]
pub struct Setup {
    pub brokers: String,
    pub app_id: String,
    pub app: Moody,
    /// The names under which the app subscribes: the topic, and lanes of it.
    pub names: Vec<String>,
    /// The component's metadata besides the brokers.
    pub metadata: Vec<(&'static str, String)>,
    pub doors: Doors,
}

impl Setup {
    /// Starts a member under a name that none had before.
    pub async fn join(&self, name: &str) -> Result<Member> {
        let metadata: Vec<_> = self
            .metadata
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let place = Place::with_component(&self.brokers, &metadata)?;
        let server = self.app.serve(name, self.names.clone()).await?;
        let component = place.component().await?;
        let daprd = place.daprd(&self.app_id, Some(server.port)).await;
        let daprd = daprd.map_err(|error| component.process.failed(&format!("ran; {error}")))?;
        self.doors.open(&daprd.url(""));
        Ok(Member {
            name: name.to_owned(),
            component,
            daprd,
            doors: self.doors.clone(),
            _server: server,
            _place: place,
        })
    }
}

impl Member {
    /// SIGKILL to the component, and then to the daprd, which would never find a
    /// new one. Publishers still call until nobody answers.
    pub async fn kill(self) -> Result<()> {
        let url = self.daprd.url("");
        self.component.process.kill().await?;
        self.daprd.process.kill().await?;
        self.doors.close(&url);
        Ok(())
    }

    /// SIGTERM to both at once, as a pod ends.
    pub async fn leave(self) -> Result<()> {
        let url = self.daprd.url("");
        self.doors.close(&url);
        let (daprd, component) =
            tokio::join!(self.daprd.process.stop(SOON * 2), self.component.stop());
        daprd?;
        let stopped = component?;
        ensure!(
            stopped.status.success(),
            "{}: {}",
            stopped.status,
            stopped.output
        );
        Ok(())
    }

    /// The end of what the component printed, for an error about the run.
    pub fn printed(&self, error: &str) -> harness::Error {
        let name = &self.name;
        self.component
            .process
            .failed(&format!("of member {name} ran; {error}"))
    }
}
