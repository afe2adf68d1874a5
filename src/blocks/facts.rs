//! What templates know besides the answers: the project, the company, and what Copier and Cookiecutter tell theirs.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, json};

use super::BlockId;
use crate::template::external::Project;
use crate::template::{Answers, Dialect, Value};

/// Under which name `onramp.lock` keeps the digest of the project's data that a block read.
pub const EXTERNAL: &str = "external";

/// What is the case where a template is rendered. Kept in `onramp.lock`, so that the same render can be had again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `_project.name`.
    pub project: String,
    /// `_company.name`.
    pub company: String,
    /// `_company.registry`.
    pub registry: String,
    /// The name of the project's directory (`_folder_name`).
    pub folder: String,
    /// The digest of the project's data that the template read (`_external_data`); empty where there was none.
    pub external: String,
    /// The project, where that data is; none where there is none yet. Not kept.
    pub root: Option<Project>,
}

/// What is being done, as Copier calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operation {
    /// A project begins.
    #[default]
    Copy,
    /// It follows its template.
    Update,
}

impl Facts {
    /// The facts that `onramp.lock` keeps.
    pub fn kept(&self) -> BTreeMap<String, String> {
        let pairs = [
            ("project", &self.project),
            ("company", &self.company),
            ("registry", &self.registry),
            ("folder", &self.folder),
            (EXTERNAL, &self.external),
        ];
        pairs
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect()
    }

    /// The facts that `onramp.lock` kept; what it did not keep is as it is now.
    pub fn from_kept(kept: &BTreeMap<String, String>, now: &Self) -> Self {
        let fact = |key: &str, now: &str| kept.get(key).map_or_else(|| now.to_owned(), Clone::clone);
        Self {
            project: fact("project", &now.project),
            company: fact("company", &now.company),
            registry: fact("registry", &now.registry),
            folder: fact("folder", &now.folder),
            // What was not there then is nothing, whatever is there now.
            external: kept.get(EXTERNAL).cloned().unwrap_or_default(),
            root: now.root.clone(),
        }
    }

    /// The same where the project's data can be read.
    #[must_use]
    pub fn at(self, root: &Path) -> Self {
        Self { root: Some(Project::Directory(root.to_owned())), ..self }
    }

    /// The variables that a template's texts see, with the answers so far.
    pub fn variables(
        &self,
        dialect: Dialect,
        block: &BlockId,
        answers: &Answers,
        operation: Operation,
    ) -> Map<String, Value> {
        let variables = match dialect {
            Dialect::Block => json!({
                "_project": { "name": self.project },
                "_company": { "name": self.company, "registry": self.registry },
                "_catalog": block.source,
                "_block": { "name": block.name, "version": block.version },
            }),
            Dialect::Copier => self.copier(block, answers, operation),
            Dialect::Cookiecutter => self.cookiecutter(block),
        };
        match variables {
            Value::Object(variables) => variables,
            _ => Map::new(),
        }
    }

    /// `_copier_conf` and its kin, as Copier 9 gives them. Directories of the machine are not told: what is rendered must
    /// not depend on them.
    fn copier(&self, block: &BlockId, answers: &Answers, operation: Operation) -> Value {
        let mut remembered = Map::new();
        if !block.described.is_empty() {
            remembered.insert("_commit".to_owned(), block.described.clone().into());
        }
        remembered.insert("_src_path".to_owned(), block.asked.clone().into());
        remembered.extend(
            answers.kept.iter().filter(|(id, _)| !id.starts_with('_')).map(|(id, value)| (id.clone(), value.clone())),
        );
        json!({
            "_copier_answers": remembered,
            "_copier_conf": {
                "src_path": block.asked, "dst_path": self.folder, "answers_file": ".copier-answers.yml",
                "vcs_ref": block.version, "vcs_ref_hash": block.commit,
                "data": {}, "settings": {}, "exclude": [], "use_prereleases": false, "skip_if_exists": [],
                "cleanup_on_error": true, "defaults": false, "user_defaults": {}, "overwrite": operation == Operation::Update,
                "pretend": false, "quiet": false, "conflict": "inline", "context_lines": 3, "unsafe": false,
                "skip_answered": false, "skip_tasks": false, "sep": "/", "os": "linux",
            },
            "_folder_name": self.folder,
            "_copier_python": "python3",
            "_copier_phase": "render",
            "_copier_operation": match operation {
                Operation::Copy => "copy",
                Operation::Update => "update",
            },
            "_external_data": {},
        })
    }

    /// What Cookiecutter puts beside the answers into `cookiecutter`.
    fn cookiecutter(&self, block: &BlockId) -> Value {
        json!({ "cookiecutter": {
            "_template": block.asked, "_output_dir": self.folder, "_repo_dir": block.name, "_checkout": Value::Null,
        } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_it_was() {
        let facts = |project: &str, company: &str, registry: &str| Facts {
            project: project.into(),
            company: company.into(),
            registry: registry.into(),
            folder: project.into(),
            ..Facts::default()
        };
        let (then, now) = (facts("shop", "Acme", "r.test"), facts("store", "Other", ""));
        assert_eq!(Facts::from_kept(&then.kept(), &now), then);
        assert_eq!(Facts::from_kept(&BTreeMap::new(), &now), now);
    }
}
