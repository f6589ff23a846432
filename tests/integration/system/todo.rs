use std::{sync::Arc, time::Duration};

use harness::{
    Daprd, DaprdBuild, DaprdOptions, Result, TODO_TOPICS, Todo, build_folder, copy_sample,
    free_port,
};
use serde_json::{Value, json};

use crate::support::{Fixture, Place, admin};

/// How long an event may take: daprd's start and the group's first join are part
/// of it.
const ROUND_TRIP: Duration = Duration::from_secs(30);

/// The user's situation: the sample Component, the Todo app, nothing changed.
pub async fn all_six_topics_go_around(fixture: Arc<Fixture>) -> Result<()> {
    let kafka = fixture.todo_kafka().await?;
    let place = Place::new()?;
    copy_sample("todo-pubsub.yaml", &place.resources(), kafka)?;
    let component = place.component().await?;
    let played = goes_around(fixture.daprd, &place, "todo").await;
    played.map_err(|error| format!("{error}; {}", component.process.failed("ran")).into())
}

/// Creates the app's topics.
pub async fn create_topics(kafka: &str) -> Result<()> {
    for topic in TODO_TOPICS {
        admin::create_topic(kafka, topic, 3, &[]).await?;
    }
    Ok(())
}

/// The Todo app with a daprd, by the Component and perhaps the socket of a place: an event
/// of each topic goes around.
pub async fn goes_around(build: DaprdBuild, place: &Place, app_id: &str) -> Result<()> {
    let (app_port, dapr_port) = (free_port()?, free_port()?);
    let app = build_folder()?.join("examples/todo");
    let todo = Todo::start(&app, app_port, dapr_port).await?;
    let options = DaprdOptions {
        app_id,
        app_port: Some(app_port),
        resources: &place.resources(),
        sockets: &place.sockets(),
    };
    let mut daprd = Daprd::spawn(&build.program(), &options, dapr_port)?;
    daprd.ready().await?;
    play(&todo).await
}

/// An event of each topic goes from the app to the broker and back.
pub async fn play(todo: &Todo) -> Result<()> {
    // Due at once: both timers have something to tell.
    let task = todo
        .call("POST", "/api/tasks", &json!({ "title": "one", "due": 1 }))
        .await?;
    let id = id(&task)?;
    todo.event("task-created", id, ROUND_TRIP).await?;
    todo.event("task-due-soon", id, ROUND_TRIP).await?;
    let path = format!("/api/tasks/{id}");
    todo.call("PUT", &path, &json!({ "title": "two" })).await?;
    let updated = todo.event("task-updated", id, ROUND_TRIP).await?;
    if updated["data"]["title"] != "two" {
        return Err(format!("the event is not what was published: {updated}").into());
    }
    todo.call("POST", &format!("{path}/complete"), &Value::Null)
        .await?;
    todo.event("task-completed", id, ROUND_TRIP).await?;
    todo.call("DELETE", &path, &Value::Null).await?;
    todo.event("task-deleted", id, ROUND_TRIP).await?;

    let recurring = json!({ "title": "again", "due": 1, "every": 1 });
    let task = todo.call("POST", "/api/tasks", &recurring).await?;
    todo.event("recurring-task-due", self::id(&task)?, ROUND_TRIP)
        .await?;
    Ok(())
}

fn id(task: &Value) -> Result<&str> {
    task["id"]
        .as_str()
        .ok_or_else(|| format!("no id in {task}").into())
}
