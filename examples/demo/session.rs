//! The scripted session.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use harness::{Result, Todo};
use serde_json::json;

/// How long an event may take from the app through the broker and back.
const ROUND_TRIP: Duration = Duration::from_secs(30);

/// Does everything one can do to a task, and sees each event come back.
pub async fn play(todo: &Todo) -> Result<()> {
    println!(
        "\nA session over all six topics; each line is an event that came back from the broker:\n"
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();

    let task = json!({ "title": "Write the report", "due": now + 30 });
    let task = todo.call("POST", "/api/tasks", &task).await?;
    let id = task["id"].as_str().ok_or("the app gave the task no id")?;
    show(todo, "task-created", id).await?;
    show(todo, "task-due-soon", id).await?;

    let path = format!("/api/tasks/{id}");
    todo.call("PUT", &path, &json!({ "title": "Write the whole report" }))
        .await?;
    show(todo, "task-updated", id).await?;
    todo.call("POST", &format!("{path}/complete"), &json!(null))
        .await?;
    show(todo, "task-completed", id).await?;
    todo.call("DELETE", &path, &json!(null)).await?;
    show(todo, "task-deleted", id).await?;

    let task = json!({ "title": "Water the plants", "due": now, "every": 2 });
    let task = todo.call("POST", "/api/tasks", &task).await?;
    let id = task["id"].as_str().ok_or("the app gave the task no id")?;
    show(todo, "recurring-task-due", id).await?;
    todo.call("DELETE", &format!("/api/tasks/{id}"), &json!(null))
        .await?;
    println!("\nAll six topics went around.");
    Ok(())
}

async fn show(todo: &Todo, topic: &str, task: &str) -> Result<()> {
    let event = todo.event(topic, task, ROUND_TRIP).await?;
    println!("  {topic:<20} {}", event["data"]);
    Ok(())
}
