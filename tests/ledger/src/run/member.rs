use std::{path::PathBuf, time::Duration};

use harness::{Component, Daprd, DaprdBuild, DaprdOptions, Result, Stopped};
use serde_json::Value;

use super::{Doors, Moody, place::Place, server::Server};
use crate::Side;

/// How long daprd may take to end after SIGTERM.
const ENDS: Duration = Duration::from_secs(40);

/// One member of the group: a daprd with its component, if that is a process of its own,
/// and a door to the app.
pub struct Member {
    /// A name that no other member has; brokers know it as the client's id too.
    pub name: String,
    setup: Setup,
    component: Option<Component>,
    daprd: Daprd,
    server: Server,
    place: Place,
}

/// What members have in common.
#[derive(Clone)]
pub struct Setup {
    pub side: Side,
    /// The daprd beside each member.
    pub daprd: DaprdBuild,
    /// The component's program.
    pub program: PathBuf,
    pub app_id: String,
    pub app: Moody,
    /// The names under which the app subscribes: the topic, and lanes of it.
    pub names: Vec<String>,
    /// Topics that the app subscribes to as well.
    pub beside: Vec<String>,
    /// The Component's metadata.
    pub metadata: Vec<(&'static str, String)>,
    /// The subscriptions' metadata.
    pub subscription: Value,
    pub doors: Doors,
}

impl Setup {
    /// Starts a member under a name that none had before.
    pub async fn join(&self, name: &str) -> Result<Member> {
        let metadata = self.metadata.iter();
        let metadata = metadata.map(|(key, value)| (*key, value.as_str()));
        let metadata: Vec<_> = metadata.chain([("clientID", name)]).collect();
        let place = Place::new(self.side, &metadata)?;
        let component = match self.side {
            Side::Component => {
                let sockets = place.sockets();
                Some(Component::start(&self.program, &sockets, &["rdkafka"]).await?)
            }
            Side::BuiltIn => None,
        };
        let (server, daprd) = self.daprd(name, &place, component.as_ref()).await?;
        Ok(Member {
            name: name.to_owned(),
            setup: self.clone(),
            component,
            daprd,
            server,
            place,
        })
    }

    async fn daprd(
        &self,
        name: &str,
        place: &Place,
        component: Option<&Component>,
    ) -> Result<(Server, Daprd)> {
        let server = self
            .app
            .serve(name, &self.names, &self.beside, &self.subscription)
            .await?;
        let options = DaprdOptions {
            app_id: &self.app_id,
            app_port: Some(server.port),
            resources: &place.resources(),
            sockets: &place.sockets(),
        };
        let daprd = Daprd::start(&self.daprd.program(), options).await;
        let daprd = daprd.map_err(|error| match component {
            Some(component) => component.process.failed(&format!("ran; {error}")),
            None => error,
        })?;
        self.doors.open(&daprd.url(""));
        Ok((server, daprd))
    }
}

impl Member {
    /// SIGKILL to the component, and then to the daprd, which would never find a
    /// new one. Publishers still call until nobody answers.
    pub async fn kill(self) -> Result<()> {
        let url = self.daprd.url("");
        if let Some(component) = self.component {
            component.process.kill().await?;
        }
        self.daprd.process.kill().await?;
        self.setup.doors.close(&url);
        Ok(())
    }

    /// SIGTERM to both at once, as a pod ends. Returns what they printed.
    pub async fn leave(self) -> Result<String> {
        let url = self.daprd.url("");
        self.setup.doors.close(&url);
        let component = async {
            match self.component {
                Some(component) => Some(component.stop().await),
                None => None,
            }
        };
        let (daprd, component) = tokio::join!(self.daprd.process.stop(ENDS), component);
        let daprd = daprd?.output;
        match component.transpose()? {
            Some(Stopped { status, output }) if !status.success() => {
                Err(format!("{status}: {output}").into())
            }
            Some(Stopped { output, .. }) => Ok(format!("{daprd}\n{output}")),
            None => Ok(daprd),
        }
    }

    /// SIGKILL to the daprd alone; another takes its place, which is another member for
    /// whoever judges.
    pub async fn kill_daprd(self, successor: &str) -> Result<Self> {
        let url = self.daprd.url("");
        self.daprd.process.kill().await?;
        self.setup.doors.close(&url);
        let component = self.component.as_ref();
        let (server, daprd) = self.setup.daprd(successor, &self.place, component).await?;
        Ok(Self {
            name: successor.to_owned(),
            daprd,
            server,
            ..self
        })
    }

    /// The app ends as a killed process does.
    pub fn app_down(&mut self) {
        self.server.down();
    }

    /// It listens again, on the same port.
    pub async fn app_up(&mut self) -> Result<()> {
        self.server.up().await
    }

    /// The root of its daprd's API.
    pub fn url(&self) -> String {
        self.daprd.url("")
    }

    /// The component's process id.
    pub fn component_id(&self) -> Option<u32> {
        self.component.as_ref()?.process.id()
    }

    /// Whether the component or its daprd ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let component = self.component.as_mut();
        component.is_some_and(|component| component.process.has_ended())
            || self.daprd.process.has_ended()
    }

    /// The end of what it printed, for an error about the run.
    pub fn printed(&self, error: &str) -> harness::Error {
        let what = format!("of member {} ran; {error}", self.name);
        match &self.component {
            Some(component) => component.process.failed(&what),
            None => self.daprd.process.failed(&what),
        }
    }
}
