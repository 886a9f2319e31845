//! What is tested: a component, and the cases that go with it.
//!
//! A project is built before its component is read, so that what is tested is
//! what its source says.

use super::Arguments;
use super::files::{self, CaseFile};
use crate::failure::Failure;
use crate::policy::build;
use crate::report;
use anyhow::anyhow;
use nameplate_attestor::cases::{self, Case};
use nameplate_policy::{Manifest, PolicySource};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What is tested.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) component: Cow<'static, [u8]>,
    pub(super) manifest: Manifest,
    pub(super) cases: Vec<Stated>,
}

/// A case, and its file where it has one that can be written.
#[derive(Debug)]
pub(super) struct Stated {
    pub(super) case: Case,
    pub(super) file: Option<CaseFile>,
}

/// Reads component and cases.
///
/// # Errors
/// When a project does not build, when either cannot be read, or when there is
/// nothing to run.
pub(super) fn read(arguments: &Arguments) -> Result<Subject, Failure> {
    let source = match project(&arguments.policy) {
        Some(directory) => {
            let built = build::build(directory, None, report::progress)
                .map_err(|error| Failure::fault("policy_build", error))?;
            PolicySource::File(built.path)
        }
        None => PolicySource::parse(&arguments.policy),
    };
    let (component, _) = source
        .read(None, &arguments.limits.limits())
        .map_err(|error| Failure::load(format!("`{}`", arguments.policy), error))?;
    let manifest = Manifest::read(&component);
    let directory = directory(arguments);
    if directory.is_none() && arguments.update {
        return Err(Failure::Usage(
            "cases that a component carries cannot be rewritten; name their directory with `--cases`"
                .to_owned(),
        ));
    }
    let mut cases = match &directory {
        Some(directory) => of_directory(directory)?,
        None => carried(&manifest)?,
    };
    if cases.is_empty() {
        let error = match &directory {
            Some(directory) => anyhow!("there are no cases in `{}`", directory.display()),
            None => anyhow!("the component carries no cases; name a directory with `--cases`"),
        };
        return Err(Failure::fault("no_cases", error));
    }
    if !arguments.filter.is_empty() {
        cases.retain(|stated| {
            let name = &stated.case.name;
            arguments.filter.iter().any(|pattern| pattern.is_like(name))
        });
        if cases.is_empty() {
            return Err(Failure::fault(
                "no_cases",
                anyhow!("no case has a name like that of `--filter`"),
            ));
        }
    }
    Ok(Subject {
        component,
        manifest,
        cases,
    })
}

/// The project that a policy's name is the directory of.
pub(super) fn project(policy: &str) -> Option<&Path> {
    let path = Path::new(policy);
    path.is_dir().then_some(path)
}

/// Where the cases stand as files.
pub(super) fn directory(arguments: &Arguments) -> Option<PathBuf> {
    arguments.cases.clone().or_else(|| {
        let beside = project(&arguments.policy)?.join("cases");
        beside.is_dir().then_some(beside)
    })
}

fn of_directory(directory: &Path) -> Result<Vec<Stated>, Failure> {
    let files = files::read(directory)?.into_iter();
    Ok(files
        .map(|(case, file)| Stated {
            case,
            file: Some(file),
        })
        .collect())
}

fn carried(manifest: &Manifest) -> Result<Vec<Stated>, Failure> {
    let cases = cases::embedded(manifest).map_err(|error| {
        let error = anyhow::Error::new(error).context("the component's cases cannot be read");
        Failure::fault("cases_malformed", error)
    })?;
    Ok(cases
        .into_iter()
        .map(|case| Stated { case, file: None })
        .collect())
}
