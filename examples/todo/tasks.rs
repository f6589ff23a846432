//! The tasks, and the API that changes them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::App;

/// One task.
#[derive(Clone, Serialize)]
pub struct Task {
    pub id: String,
    pub title: String,
    pub done: bool,
    /// When it is due, in seconds since the Unix epoch.
    pub due: Option<u64>,
    /// For a recurring task: how many seconds until it is due again.
    pub every: Option<u64>,
    /// It was told that the task is due soon.
    #[serde(skip)]
    pub told: bool,
}

/// What a request may set.
#[derive(Deserialize)]
pub struct Change {
    title: Option<String>,
    due: Option<u64>,
    every: Option<u64>,
}

/// All tasks, by id.
#[derive(Default)]
pub struct Tasks(Mutex<BTreeMap<String, Task>>);

impl Tasks {
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Task>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: &str) -> Result<Task, Refused> {
        let task = self.lock().get(id).cloned();
        task.ok_or_else(|| (StatusCode::NOT_FOUND, format!("there is no task {id}\n")))
    }
}

type Refused = (StatusCode, String);

/// `GET /api/tasks`
pub async fn list(State(app): State<Arc<App>>) -> Json<Vec<Task>> {
    Json(app.tasks.lock().values().cloned().collect())
}

/// `POST /api/tasks`
pub async fn create(
    State(app): State<Arc<App>>,
    Json(change): Json<Change>,
) -> Result<(StatusCode, Json<Task>), Refused> {
    let task = Task {
        id: new_id(),
        title: change.title.unwrap_or_else(|| "untitled".into()),
        done: false,
        due: change.due,
        every: change.every,
        told: false,
    };
    save(&app, "task-created", task)
        .await
        .map(|task| (StatusCode::CREATED, task))
}

/// `PUT /api/tasks/{id}`
pub async fn update(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Json(change): Json<Change>,
) -> Result<Json<Task>, Refused> {
    let mut task = app.tasks.get(&id)?;
    task.title = change.title.unwrap_or(task.title);
    task.due = change.due.or(task.due);
    task.every = change.every.or(task.every);
    task.told = false;
    save(&app, "task-updated", task).await
}

/// `POST /api/tasks/{id}/complete`
pub async fn complete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Task>, Refused> {
    let mut task = app.tasks.get(&id)?;
    task.done = true;
    save(&app, "task-completed", task).await
}

/// `DELETE /api/tasks/{id}`
pub async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    let task = app.tasks.get(&id)?;
    publish(&app, "task-deleted", &task).await?;
    app.tasks.lock().remove(&id);
    Ok(Json(json!({ "deleted": id })))
}

/// Publishes first: what nobody can be told is not done either.
async fn save(app: &App, topic: &str, task: Task) -> Result<Json<Task>, Refused> {
    publish(app, topic, &task).await?;
    app.tasks.lock().insert(task.id.clone(), task.clone());
    Ok(Json(task))
}

async fn publish(app: &App, topic: &str, task: &Task) -> Result<(), Refused> {
    let event = json!(task);
    let published = app.dapr.publish(topic, &task.id, &event).await;
    published.map_err(|problem| (StatusCode::BAD_GATEWAY, format!("{problem}\n")))
}

/// Seconds since the Unix epoch.
pub fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| elapsed.as_secs())
}

fn new_id() -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    format!("{:x}", elapsed.map_or(0, |elapsed| elapsed.as_nanos()))
}
