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
        selectors: selectors::spire(facts, &naming.selectors),
    })
}

nameplate_guest::export!(derive, settings = Naming);

#[cfg(test)]
mod tests {
    use nameplate_guest::{Pod, ServiceAccount, testing};

    use super::*;

    #[test]
    fn an_agent_is_named_by_its_pods_uid() {
        let facts = testing::facts(testing::bound_token());
        let path = derive(&Naming::default(), &facts).unwrap().path;
        assert_eq!(
            path,
            [
                "production",
                "spire",
                "spire-agent",
                "3d9f2b64-8c15-4a7e-b0d3-5e6f7a8b9c0d"
            ]
        );
    }

    #[test]
    fn without_a_pod_or_its_uid_there_is_no_name() {
        let facts = testing::facts(testing::legacy_token());
        assert_eq!(
            derive(&Naming::default(), &facts).unwrap_err().code,
            "no-pod"
        );

        let facts = testing::facts(ServiceAccount {
            pod: Some(Pod {
                uid: None,
                ..testing::pod()
            }),
            ..testing::bound_token()
        });
        assert_eq!(
            derive(&Naming::default(), &facts).unwrap_err().code,
            "no-pod"
        );
    }

    #[test]
    fn a_certificate_is_denied() {
        let facts = testing::facts(testing::certificate());
        let denial = derive(&Naming::default(), &facts).unwrap_err();
        assert_eq!(denial.code, "needs-service-account");
    }
}
