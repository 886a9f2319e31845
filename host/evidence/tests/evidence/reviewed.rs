//! Tokens that an API server vouches for, and pods and nodes read from it.
//!
//! The API server here is scripted: what real ones answer is tested in
//! `tests/peers`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nameplate_evidence::{
    ApiError, Binding, Cluster, ClusterApi, EvidenceError, KeySet, KeySource, KeysStatus, Label,
    LocalProof, Lookup, NodeRecord, Patience, PodRecord, Proof, ReviewProof, ServiceAccount,
    SigningRequestRecord, Subject, TokenReview, TokenVerifier, TrustedKeys,
};
use serde_json::{Value, json};

use crate::support::{
    NOW, RSA, RSA_OTHER, at, claims, claims_with, claims_without, evidence, production, refused,
    set, token, token_of,
};

/// An API server that answers as it is told to.
#[derive(Debug, Clone)]
struct Scripted {
    review: Result<TokenReview, ApiError>,
    pod: Result<PodRecord, ApiError>,
    node: Result<NodeRecord, ApiError>,
}

impl ClusterApi for Scripted {
    fn review(&self, _: &str, _: &[String], _: &Patience) -> Result<TokenReview, ApiError> {
        self.review.clone()
    }

    fn pod(&self, namespace: &str, name: &str, _: &Patience) -> Result<PodRecord, ApiError> {
        assert_eq!((namespace, name), ("spire", "spire-agent-x7k2p"));
        self.pod.clone()
    }

    fn node(&self, name: &str, _: &Patience) -> Result<NodeRecord, ApiError> {
        assert_eq!(name, "worker-1");
        self.node.clone()
    }

    fn signing_request(&self, _: &str, _: &Patience) -> Result<SigningRequestRecord, ApiError> {
        panic!("a token comes from no CertificateSigningRequest")
    }
}

fn extra(name: &str) -> String {
    format!("authentication.kubernetes.io/{name}")
}

fn good() -> Scripted {
    let extra = [
        ("pod-name", "spire-agent-x7k2p"),
        ("pod-uid", "pod-uid"),
        ("node-name", "worker-1"),
        ("node-uid", "node-uid"),
    ]
    .map(|(key, value)| (extra(key), vec![value.to_owned()]));
    let labels = |pairs: &[(&str, &str)]| -> BTreeMap<_, _> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    Scripted {
        review: Ok(TokenReview {
            authenticated: true,
            error: None,
            username: "system:serviceaccount:spire:spire-agent".to_owned(),
            uid: Some("sa-uid".to_owned()),
            audiences: vec!["spire-server".to_owned()],
            extra: extra.into(),
        }),
        pod: Ok(PodRecord {
            uid: Some("pod-uid".to_owned()),
            service_account: Some("spire-agent".to_owned()),
            node_name: Some("worker-1".to_owned()),
            pod_ip: Some("10.0.0.9".to_owned()),
            host_ip: Some("192.0.2.7".to_owned()),
            labels: labels(&[("app", "spire-agent"), ("secret", "x")]),
        }),
        node: Ok(NodeRecord {
            uid: Some("node-uid".to_owned()),
            labels: labels(&[("zone", "eu-1a"), ("rack", "r7"), ("other", "x")]),
        }),
    }
}

fn lookup(api: &Arc<dyn ClusterApi>) -> Binding {
    Binding::LookedUp(Lookup {
        api: Arc::clone(api),
        node_labels: vec!["zone".to_owned(), "rack".to_owned()],
        pod_labels: vec!["app".to_owned(), "absent".to_owned()],
    })
}

fn reviewing(api: Scripted, audience: &[&str]) -> Cluster {
    let api: Arc<dyn ClusterApi> = Arc::new(api);
    Cluster {
        binding: lookup(&api),
        proof: Proof::Review(ReviewProof {
            api,
            audience: audience.iter().map(|&text| text.to_owned()).collect(),
        }),
        ..Cluster::from(production(RSA.keys()))
    }
}

fn verify(cluster: Cluster, claims: &Value) -> Result<ServiceAccount, EvidenceError> {
    let text = token(&RSA, "RS256", claims);
    verify_text(cluster, &text)
}

fn verify_text(cluster: Cluster, text: &str) -> Result<ServiceAccount, EvidenceError> {
    let patience = Patience::until(Instant::now() + Duration::from_secs(60));
    let verified =
        TokenVerifier::new([cluster]).verify_within(&evidence(text), at(NOW), &patience)?;
    match verified.into_parts() {
        (None, Subject::ServiceAccount(account)) => Ok(account),
        other => panic!("{other:?}"),
    }
}

/// The refusal of a good token by an API server that differs by `change`.
fn with(change: impl FnOnce(&mut Scripted)) -> (&'static str, String) {
    let mut api = good();
    change(&mut api);
    refused(verify(reviewing(api, &["spire-server"]), &claims()))
}

fn reviewed_as(change: impl FnOnce(&mut TokenReview)) -> (&'static str, String) {
    with(|api| change(api.review.as_mut().unwrap()))
}

#[test]
fn a_reviewed_token_proves_its_pod_and_the_pods_node() {
    let account = verify(reviewing(good(), &["spire-server"]), &claims()).unwrap();
    let pod = account.pod.unwrap();
    assert_eq!(pod.name, "spire-agent-x7k2p");
    assert_eq!(pod.uid.as_deref(), Some("pod-uid"));
    assert_eq!(pod.address.as_deref(), Some("10.0.0.9"));
    let label = |key: &str, value: &str| Label {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(pod.labels, [label("app", "spire-agent")]);
    let node = account.node.unwrap();
    assert_eq!(node.name, "worker-1");
    assert_eq!(node.uid.as_deref(), Some("node-uid"));
    assert_eq!(node.address.as_deref(), Some("192.0.2.7"));
    assert_eq!(node.labels, [label("rack", "r7"), label("zone", "eu-1a")]);
    assert_eq!(account.uid.as_deref(), Some("sa-uid"));
    assert_eq!(account.expires_at, Some(NOW + 600));
    assert_eq!(account.token_id.as_deref(), Some("f1a3"));
}

#[test]
fn the_verdict_is_the_servers() {
    assert_eq!(
        reviewed_as(|review| review.error = Some("token has expired".to_owned())),
        (
            "token_review_refused",
            "the API server refuses the token: `token has expired`".to_owned()
        )
    );
    assert_eq!(
        reviewed_as(|review| review.authenticated = false),
        (
            "token_not_authenticated",
            "the API server does not authenticate the token".to_owned()
        )
    );
}

#[test]
fn an_audience_asked_for_must_be_confirmed() {
    let none = |review: &mut TokenReview| review.audiences = vec!["other".to_owned()];
    assert_eq!(
        reviewed_as(none),
        (
            "audience_not_reviewed",
            "the API server confirms none of the configured audiences".to_owned()
        )
    );
    // Its own audience was asked for: there is nothing to confirm.
    let mut api = good();
    none(api.review.as_mut().unwrap());
    verify(reviewing(api, &[]), &claims()).unwrap();
}

#[test]
fn a_user_is_a_service_account() {
    for username in [
        "",
        "admin",
        "system:node:worker-1",
        "system:serviceaccount:spire",
        "system:serviceaccount::spire-agent",
        "system:serviceaccount:spire:",
        "system:serviceaccount:spire:spire-agent:x",
        "a:b:spire:spire-agent",
    ] {
        assert_eq!(
            reviewed_as(|review| review.username = username.to_owned()),
            (
                "username_malformed",
                format!(
                    "the API server knows the token as `{username}`, which is no service account"
                )
            )
        );
    }
}

#[test]
fn a_binding_is_said_in_one_value() {
    for values in [
        vec![],
        vec![String::new()],
        vec!["a".to_owned(), "b".to_owned()],
    ] {
        for key in ["pod-name", "pod-uid"] {
            let change = |review: &mut TokenReview| {
                review.extra.insert(extra(key), values.clone());
            };
            assert_eq!(
                reviewed_as(change),
                (
                    "token_review_malformed",
                    format!(
                        "the API server gives `authentication.kubernetes.io/{key}` empty or more than once"
                    )
                )
            );
        }
    }
}

#[test]
fn claims_and_verdict_agree() {
    let contradicted = (
        "token_review_contradicted",
        "the claims of the token contradict what the API server says of it".to_owned(),
    );
    for key in ["pod-name", "pod-uid"] {
        let other = |review: &mut TokenReview| {
            review.extra.insert(extra(key), vec!["another".to_owned()]);
        };
        assert_eq!(reviewed_as(other), contradicted);
    }
    let other = |review: &mut TokenReview| {
        review.username = "system:serviceaccount:other:one".to_owned();
    };
    assert_eq!(reviewed_as(other), contradicted);
    let other = |review: &mut TokenReview| review.uid = Some("another".to_owned());
    assert_eq!(reviewed_as(other), contradicted);
}

#[test]
fn sub_is_the_account() {
    let other = claims_with("sub", json!("system:serviceaccount:spire:another"));
    assert_eq!(
        refused(verify(reviewing(good(), &["spire-server"]), &other)),
        (
            "subject_mismatch",
            "`sub` of the token is not its service account".to_owned()
        )
    );
}

#[test]
fn a_bound_token_ends() {
    let endless = verify(reviewing(good(), &["spire-server"]), &claims_without("exp"));
    assert_eq!(refused(endless).0, "token_never_expires");
    let mut legacy = reviewing(good(), &["spire-server"]);
    legacy.binding = Binding::Any;
    verify(legacy, &claims_without("exp")).unwrap();
}

#[test]
fn the_pod_is_still_the_one() {
    type Case = (fn(&mut Scripted), &'static str, &'static str);
    fn pod(api: &mut Scripted) -> &mut PodRecord {
        api.pod.as_mut().unwrap()
    }
    fn node(api: &mut Scripted) -> &mut NodeRecord {
        api.node.as_mut().unwrap()
    }
    fn missing() -> ApiError {
        ApiError::NotFound {
            message: "not found".to_owned(),
        }
    }
    let cases: [Case; 8] = [
        (
            |api| api.pod = Err(missing()),
            "pod_gone",
            "the pod that the token is bound to is gone",
        ),
        (
            |api| pod(api).uid = Some("another".to_owned()),
            "pod_mismatch",
            "pod `spire-agent-x7k2p` is not the one that the token is bound to: its UID differs",
        ),
        (
            |api| pod(api).service_account = Some("another".to_owned()),
            "pod_account_mismatch",
            "pod `spire-agent-x7k2p` runs as another service account than the token's",
        ),
        (
            |api| pod(api).node_name = None,
            "pod_not_scheduled",
            "the pod that the token is bound to is not scheduled to a node",
        ),
        (
            |api| pod(api).node_name = Some("worker-2".to_owned()),
            "node_mismatch",
            "the token names another node than the one its pod is on",
        ),
        (
            |api| api.node = Err(missing()),
            "node_gone",
            "the node of the token's pod is gone",
        ),
        (
            |api| node(api).uid = None,
            "node_uid_missing",
            "the node of the token's pod has no UID",
        ),
        (
            |api| node(api).uid = Some("another".to_owned()),
            "node_mismatch",
            "the token names another node than the one its pod is on",
        ),
    ];
    for (change, reason, text) in cases {
        assert_eq!(with(change), (reason, text.to_owned()));
    }
}

#[test]
fn a_server_that_gives_no_answer_gives_no_verdict() {
    fn down() -> ApiError {
        ApiError::Unreachable {
            what: "connection refused".to_owned(),
        }
    }
    for (change, asked) in [
        (
            (|api| api.review = Err(down())) as fn(&mut Scripted),
            "the token review failed",
        ),
        (|api| api.pod = Err(down()), "the pod cannot be read"),
        (|api| api.node = Err(down()), "the node cannot be read"),
    ] {
        assert_eq!(
            with(change),
            (
                "api_unreachable",
                format!(
                    "no verdict on a token for cluster `production`: {asked}: no answer: connection refused"
                )
            )
        );
    }
}

#[test]
fn without_patience_nobody_is_asked() {
    let patience = Patience::until(Instant::now());
    assert_eq!(patience.left(Instant::now()), Duration::ZERO);
    assert_eq!(Patience::none().left(Instant::now()), Duration::ZERO);
    let now = Instant::now();
    let patience = Patience::until(now + Duration::from_secs(3));
    assert_eq!(patience.left(now), Duration::from_secs(3));
    patience.clone().give_up();
    assert_eq!(patience.left(now), Duration::ZERO);
}

/// Keys verified here, and nothing looked up.
fn local(keys: TrustedKeys, binding: Binding) -> Cluster {
    let mut cluster = Cluster::from(production(RSA.keys()));
    if let Proof::Local(LocalProof { keys: given, .. }) = &mut cluster.proof {
        *given = keys;
    }
    Cluster { binding, ..cluster }
}

#[test]
fn a_token_verified_here_can_be_required_to_be_bound() {
    let bound = || local(TrustedKeys::Fixed(RSA.keys()), Binding::Pod);
    let account = verify(bound(), &claims()).unwrap();
    assert_eq!(account.node.unwrap().uid.as_deref(), Some("node-uid"));
    let mut unbound = claims();
    unbound["kubernetes.io"]
        .as_object_mut()
        .unwrap()
        .remove("pod");
    assert_eq!(
        refused(verify(bound(), &unbound)),
        ("pod_missing", "token is not bound to a pod".to_owned())
    );
    let mut nameless = claims();
    nameless["kubernetes.io"]["pod"] = json!({"name": "spire-agent-x7k2p"});
    assert_eq!(
        refused(verify(bound(), &nameless)),
        (
            "pod_uid_missing",
            "token names its pod without a UID".to_owned()
        )
    );
}

#[test]
fn a_token_verified_here_can_be_looked_up() {
    let api: Arc<dyn ClusterApi> = Arc::new(good());
    let cluster = local(TrustedKeys::Fixed(RSA.keys()), lookup(&api));
    let account = verify(cluster, &claims()).unwrap();
    assert_eq!(account.node.unwrap().address.as_deref(), Some("192.0.2.7"));
    let mut api = good();
    api.pod.as_mut().unwrap().uid = Some("another".to_owned());
    let api: Arc<dyn ClusterApi> = Arc::new(api);
    let cluster = local(TrustedKeys::Fixed(RSA.keys()), lookup(&api));
    assert_eq!(refused(verify(cluster, &claims())).0, "pod_mismatch");
}

/// Published keys that rotate when somebody looks for newer ones.
#[derive(Debug)]
struct Rotating {
    sets: Vec<Arc<KeySet>>,
    at: Mutex<usize>,
    fetches: AtomicUsize,
}

impl Rotating {
    fn new(sets: Vec<KeySet>) -> Arc<Self> {
        Arc::new(Self {
            sets: sets.into_iter().map(Arc::new).collect(),
            at: Mutex::new(0),
            fetches: AtomicUsize::new(0),
        })
    }
}

impl KeySource for Rotating {
    fn current(&self, _: &Patience) -> Result<Arc<KeySet>, ApiError> {
        self.sets
            .get(*self.at.lock().unwrap())
            .cloned()
            .ok_or(ApiError::OutOfPatience)
    }

    fn newer_than(&self, _: &Arc<KeySet>, _: &Patience) -> Option<Arc<KeySet>> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let mut at = self.at.lock().unwrap();
        let newer = self.sets.get(*at + 1).cloned()?;
        *at += 1;
        Some(newer)
    }

    fn status(&self) -> KeysStatus {
        KeysStatus {
            fetches: self.fetches.load(Ordering::Relaxed) as u64,
            ..KeysStatus::default()
        }
    }
}

fn named(kid: &str, key: &crate::support::Key) -> String {
    let header = json!({"alg": "RS256", "kid": kid}).to_string();
    token_of(key, "RS256", &header, &claims().to_string())
}

#[test]
fn keys_are_followed_as_they_rotate() {
    let old = KeySet::from_jwks(set(&[RSA.jwk("old")]).as_bytes()).unwrap();
    let new = KeySet::from_jwks(set(&[RSA.jwk("old"), RSA_OTHER.jwk("new")]).as_bytes()).unwrap();
    let source = Rotating::new(vec![old, new]);
    let cluster = || local(TrustedKeys::Followed(source.clone()), Binding::Pod);

    verify_text(cluster(), &named("old", &RSA)).unwrap();
    // A known key has spoken: nothing is fetched for a forgery in its name.
    let forged = verify_text(cluster(), &named("old", &RSA_OTHER));
    assert_eq!(refused(forged).0, "signature_invalid");
    assert_eq!(source.fetches.load(Ordering::Relaxed), 0);

    verify_text(cluster(), &named("new", &RSA_OTHER)).unwrap();
    assert_eq!(source.fetches.load(Ordering::Relaxed), 1);
    let unknown = verify_text(cluster(), &named("unknown", &crate::support::RSA_LONG));
    assert_eq!(refused(unknown).0, "signature_invalid");
    assert_eq!(source.fetches.load(Ordering::Relaxed), 2);
}

#[test]
fn without_keys_there_is_no_verdict() {
    let cluster = local(TrustedKeys::Followed(Rotating::new(vec![])), Binding::Pod);
    assert_eq!(
        refused(verify(cluster, &claims())),
        (
            "api_out_of_time",
            "no verdict on a token for cluster `production`: there are no keys to verify it with: no answer in time"
                .to_owned()
        )
    );
}

#[test]
fn a_statement_is_what_was_signed_and_not_its_bytes() {
    let verifier = TokenVerifier::new([production(RSA.keys())]);
    let statement = |text: &str| {
        let raw = nameplate_evidence::RawEvidence::new(
            nameplate_evidence::Method::K8sPsat,
            json!({"cluster": "production", "token": text}).to_string(),
        );
        verifier.verify(&raw.unwrap(), at(NOW)).unwrap().statement()
    };
    let text = token(&RSA, "RS256", &claims());
    assert_eq!(statement(&text), statement(&format!("{text}\n")));
    // The same claims under another header are the same statement.
    assert_eq!(
        statement(&text),
        statement(&token(&RSA, "PS256", &claims()))
    );
    let other = token(&RSA, "RS256", &claims_with("jti", json!("f1a4")));
    assert_ne!(statement(&text), statement(&other));
}
