//! What time does to tasks.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use crate::{
    App,
    tasks::{Task, now},
};

/// A task is due soon from this many seconds before its time.
const SOON: u64 = 60;

/// Looks every second for tasks that became due.
pub async fn run(app: Arc<App>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        for (topic, task) in due(&app) {
            let event = json!(task);
            match app.dapr.publish(topic, &task.id, &event).await {
                Ok(()) => told(&app, &task),
                // The next second tries again.
                Err(problem) => eprintln!("{problem}"),
            }
        }
    }
}

fn due(app: &App) -> Vec<(&'static str, Task)> {
    let now = now();
    let topic = |task: &Task| match (task.every, task.due?) {
        (Some(_), due) if due <= now => Some("recurring-task-due"),
        (None, due) if !task.told && due <= now + SOON => Some("task-due-soon"),
        _ => None,
    };
    let tasks = app.tasks.lock();
    let open = tasks.values().filter(|task| !task.done);
    open.filter_map(|task| Some((topic(task)?, task.clone())))
        .collect()
}

/// A recurring task is due again later; another is told once.
fn told(app: &App, told: &Task) {
    if let Some(task) = app.tasks.lock().get_mut(&told.id) {
        match task.every {
            Some(every) => task.due = Some(now() + every.max(1)),
            None => task.told = true,
        }
    }
}
