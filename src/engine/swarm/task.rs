//! What a swarm's services run as: tasks, each a container on a node.

use std::time::Duration;

use bollard::models::{Task, TaskState};
use bollard::query_parameters::{ListContainersOptions, ListTasksOptions, RemoveContainerOptions};
use tokio::time::Instant;

use super::super::{Engine, Error, Watch, is_status, label, label_filter};
use crate::text::neutral_line;

/// How often it is looked at what a swarm does: it tells of nothing by itself that a node did.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a swarm may take to make a task of a service.
const BEGINNING: Duration = Duration::from_secs(30);
/// How long the tasks of a service that was removed may take to be gone. Those of a node that is away stay longer.
const ENDING: Duration = Duration::from_secs(30);

/// Who has what a container wrote.
pub(in super::super) enum Output {
    /// A container of the engine.
    Container(String),
    /// A service, on nodes elsewhere.
    Service(String),
    /// Nobody: this is why.
    Told(String),
}

impl Engine {
    /// The tasks of services that onramp made and that carry these labels, ended ones too.
    pub(super) async fn tasks_of(&self, labels: &[(&str, &str)]) -> Result<Vec<Task>, Error> {
        let options = ListTasksOptions { filters: Some(label_filter(labels)) };
        self.docker.list_tasks(Some(options)).await.map_err(|e| Self::failed("list tasks", e))
    }

    /// Those of one service.
    pub(super) async fn tasks(&self, name: &str) -> Result<Vec<Task>, Error> {
        self.tasks_of(&[(label::CONTAINER, name)]).await
    }

    /// The container of this engine that a service runs as, by its id: the latest one, whether it runs or not.
    pub(super) async fn container_of(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.containers_of(name).await?.into_iter().next())
    }

    /// All of them, the latest first.
    async fn containers_of(&self, name: &str) -> Result<Vec<String>, Error> {
        let filters = Some(label_filter(&[(label::CONTAINER, name)]));
        let options = ListContainersOptions { all: true, filters, ..Default::default() };
        let found = self.docker.list_containers(Some(options)).await.map_err(|e| Self::failed("list containers", e))?;
        Ok(found.into_iter().filter_map(|container| container.id).collect())
    }

    /// Waits until a service has a task that is none of these: who looks for its end must not find that of an earlier one.
    pub(super) async fn wait_for_another(&self, name: &str, before: &[Task]) -> Result<(), Error> {
        let until = Instant::now() + BEGINNING;
        while self.tasks(name).await?.iter().all(|task| before.iter().any(|known| known.id == task.id)) {
            if Instant::now() > until {
                let detail = format!("there is no task after {} s", BEGINNING.as_secs());
                return Err(Error::Broken { verb: format!("start {name} on the swarm"), detail });
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Waits until what a swarm runs has ended. What it could not run at all is told in its words.
    pub(in super::super) async fn wait_for_task(&self, name: &str) -> Result<Watch, Error> {
        loop {
            let tasks = self.tasks(name).await?;
            match tasks.iter().max_by_key(|task| order(task)) {
                Some(task) if !is_on_its_way(task) => {
                    let status = task.status.clone().unwrap_or_default();
                    let code = status.container_status.as_ref().and_then(|status| status.exit_code);
                    let ran = status.container_status.is_some_and(|status| status.pid.is_some());
                    let why = status.err.filter(|_| !ran || status.state == Some(TaskState::REJECTED));
                    return match (why, code) {
                        (Some(why), None | Some(0)) => Err(Error::Broken {
                            verb: format!("run {name} on the swarm"),
                            detail: neutral_line(&why, 400),
                        }),
                        (_, code) => Ok(Watch { exit_code: code.unwrap_or(1) }),
                    };
                }
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Sees to it that no task of a service that was removed is left, nor its container here.
    pub(super) async fn end_tasks(&self, name: &str) -> Result<(), Error> {
        let until = Instant::now() + ENDING;
        loop {
            let containers = self.containers_of(name).await?;
            for id in &containers {
                let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
                match self.docker.remove_container(id, Some(options)).await {
                    Ok(()) => {}
                    Err(error) if is_status(&error, 404) || is_status(&error, 409) => {}
                    Err(error) => return Err(Self::failed(format!("remove container {name}"), error)),
                }
            }
            if containers.is_empty() && (self.tasks(name).await?.is_empty() || Instant::now() > until) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Where what a container wrote is read.
    pub(in super::super) async fn whose_output(&self, name: &str) -> Result<Output, Error> {
        let Some(service) = self.clustered(name).await? else { return Ok(Output::Container(name.to_owned())) };
        if let Some(id) = self.container_of(name).await? {
            return Ok(Output::Container(id));
        }
        let tasks = self.tasks(name).await?;
        Ok(match tasks.iter().max_by_key(|task| order(task)) {
            Some(task) if runs(task) => Output::Service(service.id.unwrap_or_default()),
            Some(task) => Output::Told(told(task)),
            None => Output::Told("not started".to_owned()),
        })
    }

    /// Why a service has no container here.
    pub(super) async fn away(&self, name: &str) -> Result<Error, Error> {
        let tasks = self.tasks(name).await?;
        let node = tasks.iter().max_by_key(|task| order(task)).filter(|task| runs(task));
        let Some(node) = node.and_then(|task| task.node_id.clone()) else {
            return Ok(Error::Broken { verb: format!("find {name}"), detail: "the swarm does not run it".to_owned() });
        };
        let found =
            self.docker.inspect_node(&node).await.map_err(|e| Self::failed(format!("inspect node {node}"), e))?;
        let called = found.description.and_then(|node| node.hostname).unwrap_or(node);
        Ok(Error::OnOtherNode { container: name.to_owned(), node: neutral_line(&called, 100) })
    }
}

/// Whether a task runs.
pub(super) fn runs(task: &Task) -> bool {
    state(task) == Some(TaskState::RUNNING)
}

/// Whether it runs, or will by itself.
pub(super) fn is_on_its_way(task: &Task) -> bool {
    use TaskState::{ACCEPTED, ALLOCATED, ASSIGNED, NEW, PENDING, PREPARING, READY, RUNNING, STARTING};
    let wanted = task.desired_state.is_none_or(|wanted| matches!(wanted, RUNNING | READY | ACCEPTED));
    let early = state(task).is_none_or(|state| {
        matches!(state, NEW | ALLOCATED | PENDING | ASSIGNED | ACCEPTED | PREPARING | READY | STARTING | RUNNING)
    });
    wanted && early
}

fn state(task: &Task) -> Option<TaskState> {
    task.status.as_ref().and_then(|status| status.state)
}

/// By what the latest of a service's tasks is told.
pub(super) fn order(task: &Task) -> (bool, Option<jiff::Timestamp>) {
    (is_on_its_way(task), task.created_at.as_ref().and_then(|text| text.parse().ok()))
}

/// What is worth knowing of it, in words.
pub(super) fn told(task: &Task) -> String {
    let status = task.status.clone().unwrap_or_default();
    let state = status.state.map(|state| state.to_string()).unwrap_or_default();
    let why = status.err.map(|why| format!(": {why}")).unwrap_or_default();
    neutral_line(&format!("{state} on the swarm{why}"), 200)
}
