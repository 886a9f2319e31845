//! What goes beside a naming: the record of who holds which ID, and a shadow.

use super::directory::StateDirectory;
use crate::collisions::Collisions;
use crate::config::SwapsConfig;
use crate::generation::Generation;
use crate::holders::{Holders, HoldersError};
use crate::shadow::Shadow;
use crate::subject_key::SubjectKeys;
use nameplate_policy::Sandbox;
use std::sync::Arc;

/// Where it is remembered who holds which ID. Opened once: another
/// configuration changes its limits.
pub(super) fn collisions(
    swaps: &SwapsConfig,
    directory: Option<&StateDirectory>,
    holders: &mut Option<Arc<Holders>>,
) -> Result<Option<Collisions>, HoldersError> {
    let (Some(config), Some(directory)) = (&swaps.collisions, directory) else {
        return Ok(None);
    };
    let holders = match holders {
        Some(holders) => Arc::clone(holders),
        None => {
            let opened = Arc::new(Holders::open_checked(
                directory.path(),
                config.limits,
                swaps.directory_check,
            )?);
            Arc::clone(holders.insert(opened))
        }
    };
    Ok(Some(Collisions {
        holders,
        on: config.on,
        subjects: SubjectKeys::of_facts(swaps.subjects.clone()),
    }))
}

/// The shadow beside `generation`: the running one where nothing changed. A
/// shadow that cannot run is a warning and never an error.
pub(super) fn shadow(
    swaps: &SwapsConfig,
    sandbox: &Sandbox,
    generation: &Generation,
    serving: Option<&Generation>,
) -> (Option<Arc<Shadow>>, Vec<String>) {
    let Some(config) = &swaps.shadow else {
        return (None, Vec::new());
    };
    let warning = |text: String| (None, vec![format!("no shadow runs: {text}")]);
    let naming = match config.load(sandbox) {
        Ok(naming) => naming,
        Err(list) => {
            let list: Vec<_> = list.into_iter().map(|problem| problem.message).collect();
            return warning(list.join("; "));
        }
    };
    let running = serving
        .filter(|serving| serving.namings.digest() == generation.namings.digest())
        .and_then(|serving| serving.shadow.as_ref())
        .filter(|shadow| shadow.naming().is_like(&naming));
    if let Some(running) = running {
        return (Some(Arc::clone(running)), Vec::new());
    }
    match Shadow::beside(generation.namespace.clone(), naming) {
        Ok(shadow) => (Some(Arc::new(shadow)), Vec::new()),
        Err(error) => warning(error.to_string()),
    }
}
