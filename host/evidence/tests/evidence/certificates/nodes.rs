//! Certificates of Kubernetes nodes, and what their cluster says of them.
//!
//! The API server here is scripted: the answers of a real one, and of its real
//! signer, are in `tests/peers`.

mod requesters;

use super::*;
use nameplate_evidence::certificates::{NodeLookup, NodeRule, RequestRule};
use nameplate_evidence::subject::{Label, Node, Pod, Requester};
use nameplate_evidence::{
    ApiError, ClusterApi, NodeRecord, PodRecord, SigningRequestRecord, TokenReview,
};
use std::collections::BTreeMap;
use std::sync::Arc;

const SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const REQUEST: &str = "nameplate-node-7-x2k9";

/// An API server that answers as it is told to.
#[derive(Debug, Clone)]
struct Scripted {
    request: Result<SigningRequestRecord, ApiError>,
    /// The pod, where it is to be asked for.
    pod: Result<PodRecord, ApiError>,
    node: Result<NodeRecord, ApiError>,
}

impl ClusterApi for Scripted {
    fn review(&self, _: &str, _: &[String], _: &Patience) -> Result<TokenReview, ApiError> {
        panic!("a certificate is no token")
    }

    fn pod(&self, namespace: &str, name: &str, _: &Patience) -> Result<PodRecord, ApiError> {
        assert_eq!((namespace, name), ("spire", "agent-1"));
        self.pod.clone()
    }

    fn node(&self, name: &str, _: &Patience) -> Result<NodeRecord, ApiError> {
        assert_eq!(name, "node-7");
        self.node.clone()
    }

    fn signing_request(&self, name: &str, _: &Patience) -> Result<SigningRequestRecord, ApiError> {
        assert_eq!(name, REQUEST);
        self.request.clone()
    }
}

/// A node's leaf, its key, and the cluster that knows of both.
struct World {
    key: KeyPair,
    leaf: rcgen::Certificate,
    api: Scripted,
    verify_request: bool,
    allow_requester_without_node: bool,
}

fn signed_by_kubelets_signer() -> RequestRule {
    RequestRule {
        signer: SIGNER.to_owned(),
        allow_requester_without_node: false,
    }
}

fn named(common_name: &str, organizations: &[&str]) -> CertificateParams {
    let mut params = params(common_name);
    for organization in organizations {
        params
            .distinguished_name
            .push(DnType::OrganizationName, *organization);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

fn extra(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    pairs
        .iter()
        .map(|(key, value)| {
            let key = format!("authentication.kubernetes.io/{key}");
            (key, vec![(*value).to_owned()])
        })
        .collect()
}

impl World {
    fn of(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &*ROOT).unwrap();
        let labels = [("zone", "eu-1a"), ("secret", "x")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let api = Scripted {
            request: Ok(SigningRequestRecord {
                signer_name: SIGNER.to_owned(),
                username: "system:serviceaccount:spire:spire-agent".to_owned(),
                uid: Some("account-uid".to_owned()),
                groups: vec!["system:authenticated".to_owned()],
                extra: extra(&[
                    ("pod-name", "agent-1"),
                    ("pod-uid", "pod-uid"),
                    ("node-name", "node-7"),
                    ("node-uid", "node-uid"),
                ]),
                conditions: vec!["Approved".to_owned()],
                certificate: Some(leaf.pem().into_bytes()),
            }),
            // A node that is recorded is not looked for once more.
            pod: Err(ApiError::Malformed {
                what: "the pod was asked for".to_owned(),
            }),
            node: Ok(NodeRecord {
                uid: Some("node-uid".to_owned()),
                labels: labels.into_iter().collect(),
            }),
        };
        Self {
            key,
            leaf,
            api,
            verify_request: true,
            allow_requester_without_node: false,
        }
    }

    fn new() -> Self {
        Self::of(&named("system:node:node-7", &["system:nodes"]))
    }

    fn rule(&self) -> NodeRule {
        NodeRule {
            lookup: Some(NodeLookup {
                api: Arc::new(self.api.clone()),
                node_labels: vec!["zone".to_owned()],
                request: self.verify_request.then(|| RequestRule {
                    allow_requester_without_node: self.allow_requester_without_node,
                    ..signed_by_kubelets_signer()
                }),
            }),
        }
    }

    /// What comes of it where the payload names `request`.
    fn attested(
        &self,
        rule: NodeRule,
        request: Option<Value>,
    ) -> Result<Certificate, EvidenceError> {
        let mut payload = json!({ "certificates": [STANDARD.encode(self.leaf.der())] });
        if let Some(request) = request {
            payload["request"] = request;
        }
        let verifier = CertificateVerifier {
            cluster: Some("production".to_owned()),
            node: Some(rule),
            ..trusting(&[ROOT.der()])
        };
        let patience = Patience::none();
        let payload = payload.to_string();
        let challenge = verifier
            .examine(payload.as_bytes(), NOW, &Surroundings::within(&patience))?
            .challenge(Nonce::new(NONCE));
        let prover = Prover::from_pem(
            self.leaf.pem().as_bytes(),
            self.key.serialize_pem().as_bytes(),
        )
        .unwrap();
        let answer = prover
            .answer(&challenge.message(), Nonce::new(OWN))
            .unwrap();
        match challenge.answered(&answer, &patience)?.into_parts() {
            (None, Subject::Certificate(certificate)) => Ok(certificate),
            other => panic!("not a certificate: {other:?}"),
        }
    }

    /// The reason, and the error in words.
    fn refused(&self) -> (&'static str, String) {
        let error = self
            .attested(self.rule(), Some(json!(REQUEST)))
            .unwrap_err();
        let mut text = error.to_string();
        if let Some(source) = error.source() {
            text = source.to_string();
        }
        (error.reason(), text)
    }
}

#[test]
fn the_cluster_says_which_node_it_is_and_who_asked() {
    let world = World::new();
    let proven = world.attested(world.rule(), Some(json!(REQUEST))).unwrap();
    let node = Node {
        name: "node-7".to_owned(),
        uid: Some("node-uid".to_owned()),
        address: None,
        labels: vec![Label {
            key: "zone".to_owned(),
            value: "eu-1a".to_owned(),
        }],
    };
    assert_eq!(proven.node, Some(node));
    let requester = Requester {
        username: "system:serviceaccount:spire:spire-agent".to_owned(),
        uid: Some("account-uid".to_owned()),
        groups: vec!["system:authenticated".to_owned()],
        pod: Some(Pod {
            name: "agent-1".to_owned(),
            uid: Some("pod-uid".to_owned()),
            address: None,
            labels: Vec::new(),
        }),
        node: Some(Node {
            name: "node-7".to_owned(),
            uid: Some("node-uid".to_owned()),
            address: None,
            labels: Vec::new(),
        }),
    };
    assert_eq!(proven.requester, Some(requester));
    assert_eq!(proven.cluster.as_deref(), Some("production"));
}

#[test]
fn what_was_not_asked_for_is_not_known() {
    let mut world = World::new();
    world.verify_request = false;
    let proven = world.attested(world.rule(), None).unwrap();
    assert_eq!(proven.node.unwrap().uid.as_deref(), Some("node-uid"));
    assert_eq!(proven.requester, None);

    let rule = NodeRule { lookup: None };
    let proven = world.attested(rule, Some(json!(REQUEST))).unwrap();
    let node = proven.node.unwrap();
    assert_eq!((node.name.as_str(), node.uid), ("node-7", None));
    assert_eq!(proven.requester, None);
}

#[test]
fn only_a_nodes_name_is_one() {
    let nodes: &[&str] = &["system:nodes"];
    let outcome = |name: &str, organizations: &[&str]| {
        let world = World::of(&named(name, organizations));
        let rule = NodeRule { lookup: None };
        world
            .attested(rule, None)
            .map(|proven| proven.node.unwrap().name)
            .map_err(|error| error.reason())
    };
    assert_eq!(outcome("system:node:node-7", nodes).unwrap(), "node-7");
    assert_eq!(
        outcome("system:node:ip-10-0-0-1.eu-1.internal", nodes).unwrap(),
        "ip-10-0-0-1.eu-1.internal"
    );
    for (name, organizations, reason) in [
        ("node-7", nodes, "node_name_missing"),
        ("system:nodes:node-7", nodes, "node_name_missing"),
        ("System:node:node-7", nodes, "node_name_missing"),
        ("system:kube-controller-manager", nodes, "node_name_missing"),
        ("system:node:node-7", &[], "node_group_missing"),
        (
            "system:node:node-7",
            &["system:masters"],
            "node_group_missing",
        ),
        (
            "system:node:node-7",
            &["system:nodes", "system:masters"],
            "node_group_missing",
        ),
        ("system:node:", nodes, "node_name_malformed"),
        ("system:node:../../x", nodes, "node_name_malformed"),
        ("system:node:..", nodes, "node_name_malformed"),
        ("system:node:a:b", nodes, "node_name_malformed"),
        ("system:node:a/b", nodes, "node_name_malformed"),
        ("system:node:a..b", nodes, "node_name_malformed"),
        ("system:node:Node-7", nodes, "node_name_malformed"),
        ("system:node:node-7 ", nodes, "node_name_malformed"),
        ("system:node:n\u{e4}", nodes, "node_name_malformed"),
    ] {
        assert_eq!(outcome(name, organizations), Err(reason), "{name}");
    }
}

#[test]
fn the_request_is_named_where_it_is_looked_at() {
    let world = World::new();
    let named = |request| {
        world
            .attested(world.rule(), request)
            .map(drop)
            .map_err(|error| error.reason())
    };
    assert_eq!(named(Some(json!(REQUEST))), Ok(()));
    for (request, reason) in [
        (None, "request_missing"),
        (Some(Value::Null), "request_missing"),
        (Some(json!("")), "request_name_malformed"),
        (Some(json!("../nodes/node-7")), "request_name_malformed"),
        (Some(json!("a?b")), "request_name_malformed"),
        (Some(json!("a".repeat(254))), "request_name_malformed"),
        (Some(json!(7)), "request_name_malformed"),
        (Some(json!([REQUEST])), "request_name_malformed"),
    ] {
        assert_eq!(named(request.clone()), Err(reason), "{request:?}");
    }
}

#[test]
fn the_request_is_the_one_that_the_certificate_came_from() {
    let other = World::new().leaf.pem().into_bytes();
    let wrong = |change: &dyn Fn(&mut SigningRequestRecord)| {
        let mut world = World::new();
        change(world.api.request.as_mut().unwrap());
        world.refused()
    };
    let conditions = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    for (change, reason, text) in [
        (
            &(|request: &mut SigningRequestRecord| {
                request.signer_name = "kubernetes.io/kube-apiserver-client".to_owned();
            }) as &dyn Fn(&mut SigningRequestRecord),
            "request_signer",
            "CertificateSigningRequest is to signer `kubernetes.io/kube-apiserver-client`, and \
             `kubernetes.io/kube-apiserver-client-kubelet` is trusted",
        ),
        (
            &|request| request.conditions = Vec::new(),
            "request_not_approved",
            "CertificateSigningRequest is not approved",
        ),
        (
            &|request| request.conditions = conditions(&["Denied"]),
            "request_not_approved",
            "CertificateSigningRequest is not approved",
        ),
        (
            &|request| request.conditions = conditions(&["Approved", "Failed"]),
            "request_not_approved",
            "CertificateSigningRequest is not approved",
        ),
        (
            &|request| request.certificate = None,
            "request_mismatch",
            "CertificateSigningRequest holds another certificate than the peer's, or none",
        ),
        (
            &|request| request.certificate = Some(other.clone()),
            "request_mismatch",
            "CertificateSigningRequest holds another certificate than the peer's, or none",
        ),
        (
            &|request| request.certificate = Some(b"no PEM".to_vec()),
            "request_mismatch",
            "CertificateSigningRequest holds another certificate than the peer's, or none",
        ),
        (
            &|request| request.username = String::new(),
            "request_malformed",
            "`spec.username` of the CertificateSigningRequest is malformed",
        ),
        (
            &|request| request.extra = extra(&[("pod-name", "")]),
            "request_malformed",
            "`authentication.kubernetes.io/pod-name` of the CertificateSigningRequest is malformed",
        ),
        (
            &|request| request.extra = extra(&[("node-name", "node-8")]),
            "requester_elsewhere",
            "certificate names node `node-7`, and was asked for from node `node-8`",
        ),
        (
            &|request| {
                request.extra = BTreeMap::new();
                request.username = "system:node:node-8".to_owned();
            },
            "requester_elsewhere",
            "certificate names node `node-7`, and was asked for from node `node-8`",
        ),
        (
            &|request| request.extra = extra(&[("node-name", "node-7"), ("node-uid", "old")]),
            "node_mismatch",
            "certificate was asked for from another node that was called `node-7`",
        ),
    ] {
        assert_eq!(wrong(change), (reason, text.to_owned()));
    }
}

#[test]
fn what_is_gone_refuses_and_no_answer_is_no_verdict() {
    let gone = || ApiError::NotFound {
        message: "gone".to_owned(),
    };
    let silent = || ApiError::Unreachable {
        what: "connection refused".to_owned(),
    };
    let mut world = World::new();
    world.api.request = Err(gone());
    let refused = (
        "request_gone",
        format!("CertificateSigningRequest `{REQUEST}` is not there"),
    );
    assert_eq!(world.refused(), refused);
    world.api.request = Err(silent());
    assert_eq!(world.refused().0, "api_unreachable");

    let mut world = World::new();
    world.api.node = Err(gone());
    let refused = (
        "node_gone",
        "node `node-7` is not in the cluster".to_owned(),
    );
    assert_eq!(world.refused(), refused);
    world.api.node = Err(silent());
    assert_eq!(world.refused().0, "api_unreachable");
    world.api.node = Ok(NodeRecord::default());
    let refused = ("node_uid_missing", "node `node-7` has no UID".to_owned());
    assert_eq!(world.refused(), refused);
}

/// Nobody is asked on behalf of a peer that has not shown its key.
#[test]
fn a_key_that_is_not_shown_asks_nobody() {
    let world = World::new();
    let verifier = CertificateVerifier {
        node: Some(NodeRule {
            lookup: Some(NodeLookup {
                api: Arc::new(Scripted {
                    request: Err(ApiError::OutOfPatience),
                    pod: Err(ApiError::OutOfPatience),
                    node: Err(ApiError::OutOfPatience),
                }),
                node_labels: Vec::new(),
                request: Some(signed_by_kubelets_signer()),
            }),
        }),
        ..trusting(&[ROOT.der()])
    };
    let payload = json!({
        "certificates": [STANDARD.encode(world.leaf.der())],
        "request": REQUEST,
    });
    let patience = Patience::none();
    let challenge = verifier
        .examine(
            payload.to_string().as_bytes(),
            NOW,
            &Surroundings::within(&patience),
        )
        .unwrap()
        .challenge(Nonce::new(NONCE));
    let stranger = KeyPair::generate().unwrap();
    let other = named("system:node:node-7", &["system:nodes"])
        .signed_by(&stranger, &*ROOT)
        .unwrap();
    let prover =
        Prover::from_pem(other.pem().as_bytes(), stranger.serialize_pem().as_bytes()).unwrap();
    let answer = prover
        .answer(&challenge.message(), Nonce::new(OWN))
        .unwrap();
    let error = challenge.answered(&answer, &patience).unwrap_err();
    assert_eq!(error.reason(), "possession_unproven");
}
