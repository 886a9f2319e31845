//! `pod`: names an agent by the Kubernetes pod that its token is bound to.
//!
//! Decides the path, from the cluster down to the pod. Trusts that the host
//! verified the token that carries all of it.

use nameplate_guest::{Denial, Derivation, Facts, Settings, Subject, selectors};
use serde::Deserialize;

/// What an operator may set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Naming {
    /// Which of the Kubernetes selectors to give out.
    pub selectors: selectors::Keep,
}

impl Settings for Naming {}

/// The path `<cluster>/<namespace>/<service account>/<pod UID>`.
///
/// # Errors
/// `needs-service-account` for a certificate, `no-pod` where the token proves
/// no pod, or a pod without a UID.
pub fn derive(naming: &Naming, facts: &Facts) -> Result<Derivation, Denial> {
    let Subject::ServiceAccount(account) = &facts.subject else {
        return Err(Denial::new(
            "needs-service-account",
            "a certificate proves no pod that this policy reads",
        ));
    };
    let pod = account
        .pod
        .as_ref()
        .ok_or_else(|| Denial::new("no-pod", "the token is not bound to a pod"))?;
    let uid = pod
        .uid
        .as_ref()
        .ok_or_else(|| Denial::new("no-pod", "the token names its pod without a UID"))?;
    Ok(Derivation {
        path: vec![
            account.cluster.clone(),
            account.namespace.clone(),
            account.name.clone(),
            uid.clone(),
        ],
        selectors: selectors::kubernetes(facts, &naming.selectors),
    })
}

nameplate_guest::export!(derive, settings = Naming);
