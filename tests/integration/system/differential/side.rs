use std::time::Duration;

use harness::{Component, Daprd, Result, eventually, write_component};
use serde_json::Value;

use crate::support::{
    Fixture, Place,
    app::{App, Event},
};

/// How long a few hundred events may take on a busy machine.
const DELIVERED: Duration = Duration::from_secs(120);

/// One of the two that are compared: the real daprd with the Component
/// `todo-pubsub` of the type `pubsub.kafka`, and perhaps an app.
pub struct Side {
    pub daprd: Daprd,
    app: Option<App>,
    _component: Option<Component>,
    _place: Place,
}

/// Whose `pubsub.kafka` is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    BuiltIn,
    Ours,
}

impl Side {
    /// Starts one with these settings, and the same Component once more, as
    /// `escaped`, with `escapeHeaders`. An app has these subscriptions.
    pub async fn start(
        fixture: &Fixture,
        whose: Whose,
        settings: &[(&str, &str)],
        subscriptions: Option<Value>,
    ) -> Result<Self> {
        let kafka = fixture.kafka().await?;
        let place = Place::new()?;
        std::fs::create_dir_all(place.sockets())?;
        for (name, escape) in [("todo-pubsub", "false"), ("escaped", "true")] {
            let group = fixture.name("group");
            let given = [
                ("brokers", kafka),
                ("authType", "none"),
                ("initialOffset", "oldest"),
                ("consumerGroup", group.as_str()),
                ("escapeHeaders", escape),
            ];
            let settings = [&given, settings].concat();
            write_component(&place.resources(), name, "pubsub.kafka", &settings)?;
        }
        let component = match whose {
            Whose::BuiltIn => None,
            Whose::Ours => Some(place.component_with(&["kafka"], &[]).await?),
        };
        let app = match subscriptions {
            Some(subscriptions) => {
                Some(App::with(subscriptions, |_| axum::http::StatusCode::OK).await?)
            }
            None => None,
        };
        let port = app.as_ref().map(|app| app.port);
        // The app's id stands in every CloudEvent, as its source.
        let daprd = place.daprd(fixture.daprd, "same-app", port).await?;
        let loaded = daprd.metadata().await?.to_string();
        if loaded.contains("DAPR_RDKAFKA/") != (whose == Whose::Ours) {
            return Err(format!("not the pubsub.kafka that was wanted: {loaded}").into());
        }
        Ok(Self {
            daprd,
            app,
            _component: component,
            _place: place,
        })
    }

    /// Waits until the app got so many events, and returns all.
    pub async fn events(&self, count: usize) -> Result<Vec<Event>> {
        let app = self.app.as_ref().ok_or("there is no app")?;
        let what = format!("{count} events");
        let got = eventually(&what, DELIVERED, || async {
            Some(app.seen()).filter(|seen| seen.len() >= count)
        });
        let got = got.await;
        got.map_err(|error| format!("{error}; there were {}", app.seen().len()).into())
    }
}
