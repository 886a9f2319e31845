//! Places, where one cluster's API server does not answer.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::{
    Attestor, Envelope, Generation, Namespace, Naming, Place, PlaceLimits, Places, Queue, QueueFull,
};
use nameplate_evidence::{
    ApiError, Cluster, ClusterApi, ClusterTrust, KeySet, Method, NodeRecord, Patience, PodRecord,
    Proof, RawEvidence, ReviewProof, SigningRequestRecord, TokenReview, TokenVerifier,
};
use nameplate_policy::{Limits, PolicyRequest, PolicySource, Sandbox};
use serde_json::json;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const LIMITS: PlaceLimits = PlaceLimits {
    concurrent: 8,
    queued: 4,
};

/// An API server that nobody asks: whether it would answer shows in no place.
#[derive(Debug)]
struct Unasked;

impl ClusterApi for Unasked {
    fn review(&self, _: &str, _: &[String], _: &Patience) -> Result<TokenReview, ApiError> {
        Err(ApiError::OutOfPatience)
    }

    fn pod(&self, _: &str, _: &str, _: &Patience) -> Result<PodRecord, ApiError> {
        Err(ApiError::OutOfPatience)
    }

    fn node(&self, _: &str, _: &Patience) -> Result<NodeRecord, ApiError> {
        Err(ApiError::OutOfPatience)
    }

    fn signing_request(&self, _: &str, _: &Patience) -> Result<SigningRequestRecord, ApiError> {
        Err(ApiError::OutOfPatience)
    }
}

fn cluster(name: &str, reviewed: bool) -> Cluster {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut cluster = Cluster::from(ClusterTrust {
        name: name.to_owned(),
        keys: KeySet::from_pem(key.public_key_pem().as_bytes()).unwrap(),
        allowed: vec!["spire:spire-agent".parse().unwrap()],
        issuer: None,
        audience: Vec::new(),
        leeway: Duration::from_secs(60),
        allow_unexpiring_tokens: false,
        ca_thumbprint: None,
    });
    if reviewed {
        cluster.proof = Proof::Review(ReviewProof {
            api: Arc::new(Unasked),
            audience: Vec::new(),
        });
    }
    cluster
}

/// Two clusters whose API servers review tokens, and one whose keys are here.
fn generation(reviewed: &[&str]) -> Generation {
    let request = PolicyRequest {
        source: PolicySource::Builtin("uuid".to_owned()),
        digest: None,
        settings: json!({}),
        limits: Limits::default(),
    };
    let naming = Naming::load(&Sandbox::new().unwrap(), &request, Envelope::default()).unwrap();
    let namespace = Namespace {
        trust_domain: "example.org".parse().unwrap(),
        attestor: "k8s_psat".parse().unwrap(),
    };
    let reviewed = reviewed.iter().map(|name| cluster(name, true));
    let clusters = reviewed.chain([cluster("local", false)]);
    Generation::new(namespace, TokenVerifier::new(clusters), naming).of(Method::K8sPsat)
}

/// `{"alg":"RS256"}`, no claims, and a signature of nobody.
fn from(cluster: &str) -> RawEvidence {
    let payload = json!({"cluster": cluster, "token": "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"});
    RawEvidence::new(Method::K8sPsat, payload.to_string()).unwrap()
}

/// Every place that `queue` has left.
fn all(queue: &Queue) -> Vec<Place> {
    std::iter::from_fn(|| queue.try_place()).collect()
}

type Waits<'a> = Pin<&'a mut dyn Future<Output = Result<Place, QueueFull>>>;

/// Looks once whether there is a place.
fn poll(queueing: &mut Waits<'_>) -> Poll<Result<Place, QueueFull>> {
    queueing
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_cluster_that_waits_takes_no_place_of_another() {
    let attestor = Attestor::new(generation(&["hung", "other"]));
    let places = Places::new(LIMITS);
    let queue = |cluster: &str| places.queue(&attestor, &from(cluster));
    assert_eq!(queue("hung").cluster(), Some("hung"));
    assert_eq!(queue("local").cluster(), None);
    // A name that a peer made up has no places of its own, and makes none.
    assert_eq!(queue("made-up").cluster(), None);

    let held = all(&queue("hung"));
    assert_eq!(held.len(), 4);
    // Its share of those who queue, and no more.
    let hung = queue("hung");
    let (mut first, mut second) = (pin!(hung.place()), pin!(hung.place()));
    let mut third = pin!(hung.place());
    assert!(poll(&mut (first.as_mut() as _)).is_pending());
    assert!(poll(&mut (second.as_mut() as _)).is_pending());
    let full = poll(&mut (third.as_mut() as _));
    assert!(matches!(full, Poll::Ready(Err(QueueFull))));
    // Who asks nobody has all there are, and the other cluster its own.
    assert_eq!(all(&queue("local")).len(), 8);
    assert_eq!(all(&queue("other")).len(), 4);

    // A place that is given back is the next one's.
    drop(held);
    assert!(poll(&mut (first.as_mut() as _)).is_ready());
}

#[test]
fn with_a_cluster_share_of_1_one_cluster_takes_what_others_need() {
    let attestor = Attestor::new(generation(&["hung", "other"]).with_cluster_share(1.0));
    let places = Places::new(LIMITS);
    let queue = |cluster: &str| places.queue(&attestor, &from(cluster));
    let held = all(&queue("hung"));
    assert_eq!((held.len(), all(&queue("other")).len()), (8, 0));
    // Still nobody's who asks nobody.
    assert_eq!(all(&queue("local")).len(), 8);
}

#[test]
fn a_single_cluster_has_all_the_places_for_waiting() {
    let attestor = Attestor::new(generation(&["only"]));
    let places = Places::new(LIMITS);
    assert_eq!(all(&places.queue(&attestor, &from("only"))).len(), 8);
}

#[test]
fn what_is_no_token_waits_for_nobody() {
    let attestor = Attestor::new(generation(&["hung"]));
    let places = Places::new(LIMITS);
    let payload = json!({"cluster": "hung", "token": "a.b.c"}).to_string();
    let evidence = RawEvidence::new(Method::K8sPsat, payload).unwrap();
    assert_eq!(places.queue(&attestor, &evidence).cluster(), None);
}

#[test]
fn shares_follow_the_configuration() {
    let attestor = Attestor::new(generation(&["hung", "other"]));
    let places = Places::new(LIMITS);
    let held = all(&places.queue(&attestor, &from("hung")));
    attestor.swap(generation(&["other"]));
    // Not waited for any more: its token is refused without.
    assert_eq!(places.queue(&attestor, &from("hung")).cluster(), None);
    // What waits still, waits among all who do.
    let other = all(&places.queue(&attestor, &from("other")));
    assert_eq!((held.len(), other.len()), (4, 4));
    drop((held, other));
    assert_eq!(all(&places.queue(&attestor, &from("other"))).len(), 8);
}
