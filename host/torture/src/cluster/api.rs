//! The throw-away cluster's API server: it knows the tokens that it issued, and
//! pods that are what they should be, or not.

use nameplate_evidence::{
    ApiError, ClusterApi, NodeRecord, Patience, PodRecord, SigningRequestRecord, TokenReview,
};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Pods by name, and what looking each up has to come to.
pub(crate) const PODS: [(&str, &str); 7] = [
    ("gone", "pod_gone"),
    ("of-another-uid", "pod_mismatch"),
    ("of-another-account", "pod_account_mismatch"),
    ("unscheduled", "pod_not_scheduled"),
    ("on-a-node-that-is-gone", "node_gone"),
    ("on-a-node-without-uid", "node_uid_missing"),
    ("on-another-node", "node_mismatch"),
];

/// UID of every pod, as a token says it.
pub(crate) const POD_UID: &str = "5f2c9c1b-0b64-4d0e-8f9d-6f1f2c3d4e5a";
/// UID of every node, as a token says it.
pub(crate) const NODE_UID: &str = "c4d2e1f0-7a6b-4c5d-9e8f-0a1b2c3d4e5f";
/// Name of the node, as a token says it.
pub(crate) const NODE: &str = "worker-1";

/// For whom a token is that says nothing of it, and what an API server answers
/// for that is asked for no audience: its own.
pub(crate) const OWN_AUDIENCE: &str = "https://kubernetes.default.svc";

/// What an API server says of a token when it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// That it is good, as far as it is for whom the asker says.
    Good(TokenReview),
    /// This, whoever asks.
    Always(TokenReview),
}

/// An API server that has issued some tokens.
#[derive(Debug)]
pub(crate) struct KnownTokens {
    issued: Mutex<BTreeMap<String, Said>>,
    requests: Mutex<BTreeMap<String, SigningRequestRecord>>,
    account: String,
    /// Where its pods run.
    node: String,
}

impl KnownTokens {
    /// One that has issued none; pods run as the service account `account`.
    pub(crate) fn new(account: &str) -> Self {
        Self {
            issued: Mutex::default(),
            requests: Mutex::default(),
            account: account.to_owned(),
            node: NODE.to_owned(),
        }
    }

    /// The same, whose pods run on `node`.
    pub(crate) fn on(self, node: &str) -> Self {
        Self {
            node: node.to_owned(),
            ..self
        }
    }

    /// From now on `token` was issued, and this is said of it.
    pub(crate) fn issue(&self, token: &str, said: Said) {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.insert(token.to_owned(), said);
    }

    /// From now on there is this request for a certificate.
    pub(crate) fn request(&self, name: &str, record: SigningRequestRecord) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.insert(name.to_owned(), record);
    }
}

/// What a server that knows of audiences says of a good token (Kubernetes,
/// `TokenReviewStatus.audiences`).
fn intended(review: TokenReview, asked: &[String]) -> TokenReview {
    let own = [OWN_AUDIENCE.to_owned()];
    let asked = match asked {
        [] => &own,
        some => some,
    };
    let common = |audience: &String| asked.contains(audience);
    let audiences: Vec<_> = review
        .audiences
        .iter()
        .filter(|one| common(one))
        .cloned()
        .collect();
    if audiences.is_empty() {
        return TokenReview {
            error: Some("the token is not for any of these audiences".to_owned()),
            ..TokenReview::default()
        };
    }
    TokenReview {
        audiences,
        ..review
    }
}

impl ClusterApi for KnownTokens {
    fn review(
        &self,
        token: &str,
        audiences: &[String],
        _patience: &Patience,
    ) -> Result<TokenReview, ApiError> {
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match issued.get(token) {
            Some(Said::Good(review)) => intended(review.clone(), audiences),
            Some(Said::Always(review)) => review.clone(),
            None => TokenReview::default(),
        })
    }

    fn pod(&self, _: &str, name: &str, _: &Patience) -> Result<PodRecord, ApiError> {
        let good = PodRecord {
            uid: Some(POD_UID.to_owned()),
            service_account: Some(self.account.clone()),
            node_name: Some(self.node.clone()),
            pod_ip: Some("10.20.0.17".to_owned()),
            host_ip: Some("192.0.2.7".to_owned()),
            labels: BTreeMap::new(),
        };
        let node = |name: &str| Some(name.to_owned());
        Ok(match name {
            "gone" => return Err(not_found()),
            "of-another-uid" => PodRecord {
                uid: Some(NODE_UID.to_owned()),
                ..good
            },
            "of-another-account" => PodRecord {
                service_account: Some("default".to_owned()),
                ..good
            },
            "unscheduled" => PodRecord {
                node_name: None,
                ..good
            },
            "on-a-node-that-is-gone" => PodRecord {
                node_name: node("gone"),
                ..good
            },
            "on-a-node-without-uid" => PodRecord {
                node_name: node("without-uid"),
                ..good
            },
            "on-another-node" => PodRecord {
                node_name: node("worker-2"),
                ..good
            },
            _ => good,
        })
    }

    fn node(&self, name: &str, _: &Patience) -> Result<NodeRecord, ApiError> {
        let uid = match name {
            "gone" => return Err(not_found()),
            "without-uid" => None,
            _ => Some(NODE_UID.to_owned()),
        };
        Ok(NodeRecord {
            uid,
            labels: BTreeMap::new(),
        })
    }

    fn signing_request(&self, name: &str, _: &Patience) -> Result<SigningRequestRecord, ApiError> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.get(name).cloned().ok_or_else(not_found)
    }
}

fn not_found() -> ApiError {
    ApiError::NotFound {
        message: "there is none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(said: Option<Said>, audiences: &[&str]) -> TokenReview {
        let api = KnownTokens::new("spire-agent");
        if let Some(said) = said {
            api.issue("t", said);
        }
        let audiences: Vec<_> = audiences.iter().map(|&text| text.to_owned()).collect();
        api.review("t", &audiences, &Patience::none()).unwrap()
    }

    #[test]
    fn a_token_is_good_for_whom_it_is() {
        let good = |audience: &str| TokenReview {
            authenticated: true,
            audiences: vec![audience.to_owned(), "other".to_owned()],
            ..TokenReview::default()
        };
        let server = asked(Some(Said::Good(good("spire-server"))), &["spire-server"]);
        assert!(server.authenticated);
        assert_eq!(server.audiences, ["spire-server"]);
        for audiences in [&["spire"][..], &[]] {
            let other = asked(Some(Said::Good(good("spire-server"))), audiences);
            assert!(!other.authenticated && other.error.is_some());
        }
        assert!(asked(Some(Said::Good(good(OWN_AUDIENCE))), &[]).authenticated);
        // One that knows of no audiences says the same to everybody.
        let always = good("spire-server");
        assert_eq!(asked(Some(Said::Always(always.clone())), &["x"]), always);
        assert!(!asked(None, &["spire-server"]).authenticated);
    }
}
