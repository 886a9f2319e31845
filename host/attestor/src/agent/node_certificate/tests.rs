//! Against a cluster in memory that signs, denies or keeps silent; what a real
//! one does is asked of one in the end-to-end runs.

use super::*;
use crate::chain;
use crate::{SvidEndpoint, SvidError, SvidSource};
use nameplate_files::DirectoryCheck;
use nameplate_kubernetes::Verdict;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PublicKeyData, SignatureAlgorithm,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use x509_cert::der::DecodePem as _;
use x509_cert::request::CertReq;

/// Certificates hold from then on, for nine hours.
const HOUR: u64 = 3600;
const BEGIN: u64 = 1_800_000_000;
const LIFE: u64 = 9 * HOUR;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(BEGIN + seconds)
}

/// What is done with a request.
#[derive(Clone, Copy, Debug)]
enum Does {
    Signs,
    Denies,
    Nothing,
    IsAway,
}

#[derive(Debug)]
struct Cluster {
    does: Mutex<Does>,
    objects: Mutex<BTreeMap<String, RequestState>>,
    subjects: Mutex<Vec<String>>,
    asked: Mutex<usize>,
}

struct PublicKey(Vec<u8>);

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn sign(request: &CertReq, issued: u64) -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::default();
    params.not_before = at(issued).into();
    params.not_after = at(issued + LIFE).into();
    let key = request.info.public_key.subject_public_key.raw_bytes();
    params
        .signed_by(&PublicKey(key.to_vec()), &authority)
        .unwrap()
        .pem()
}

impl Cluster {
    fn new(does: Does) -> Arc<Self> {
        Arc::new(Self {
            does: Mutex::new(does),
            objects: Mutex::default(),
            subjects: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    fn reached(&self) -> Result<Does, ApiError> {
        *self.asked.lock().unwrap() += 1;
        let does = *self.does.lock().unwrap();
        match does {
            Does::IsAway => Err(ApiError::Unreachable {
                what: "gone fishing".to_owned(),
            }),
            Does::Signs | Does::Denies | Does::Nothing => Ok(does),
        }
    }
}

impl CertificateRequests for Cluster {
    fn make(&self, new: &NewRequest<'_>, _: &Patience) -> Result<Requested, ApiError> {
        let does = self.reached()?;
        let request = CertReq::from_pem(new.request).unwrap();
        let mut subjects = self.subjects.lock().unwrap();
        subjects.push(request.info.subject.to_string());
        assert_eq!(
            (new.signer, new.lifetime.as_secs()),
            ("example.org/s", LIFE)
        );
        let verdict = Verdict {
            reason: "NotOurs".to_owned(),
            message: "no such node".to_owned(),
        };
        let state = match does {
            Does::Signs => RequestState::Issued(sign(&request, LIFE * (subjects.len() as u64 - 1))),
            Does::Denies => RequestState::Denied(verdict),
            Does::Nothing | Does::IsAway => RequestState::Pending,
        };
        let mut objects = self.objects.lock().unwrap();
        assert!(objects.insert(new.name.to_owned(), state).is_none());
        Ok(Requested {
            name: new.name.to_owned(),
            uid: "u".to_owned(),
        })
    }

    fn state(&self, requested: &Requested, _: &Patience) -> Result<RequestState, ApiError> {
        self.reached()?;
        let objects = self.objects.lock().unwrap();
        let state = objects.get(&requested.name);
        Ok(state.cloned().unwrap_or(RequestState::Gone))
    }

    fn remove(&self, requested: &Requested, _: &Patience) -> Result<(), ApiError> {
        self.reached()?;
        self.objects.lock().unwrap().remove(&requested.name);
        Ok(())
    }
}

/// What was said, by its first word.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl NodeLog for Heard {
    fn say(&self, progress: &NodeProgress<'_>) {
        let said = format!("{progress:?}");
        assert!(!said.contains("PRIVATE KEY"), "{said}");
        let word = said.split([' ', '{']).next().unwrap().to_owned();
        self.0.lock().unwrap().push(word);
    }
}

impl Heard {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl SvidSource for Heard {
    fn svid(&self, _: &SvidEndpoint, _: &Patience) -> Result<Prover, SvidError> {
        panic!("nobody needs an SVID here");
    }
}

/// A node of a cluster, with a directory for its key or without.
struct Node {
    certificate: NodeCertificate,
    cluster: Arc<Cluster>,
    heard: Heard,
    place: tempfile::TempDir,
}

impl Node {
    fn new(does: Does) -> Self {
        Self {
            certificate: NodeCertificate {
                access: Access::InCluster,
                node: "node-1".to_owned(),
                signer: "example.org/s".to_owned(),
                lifetime: Duration::from_secs(LIFE),
                approval_timeout: Duration::from_millis(300),
                verify_request: true,
                directory: None,
            },
            cluster: Cluster::new(does),
            heard: Heard::default(),
            place: tempfile::tempdir().unwrap(),
        }
    }

    fn keeping() -> Self {
        let mut node = Self::new(Does::Signs);
        let path = node.place.path().join("keys");
        node.certificate.directory =
            Some(KeyDirectory::new(path, "k8s", DirectoryCheck::On).unwrap());
        node
    }

    fn kept(&self) -> std::path::PathBuf {
        self.place.path().join("keys/k8s.json")
    }

    fn attest(&self, hours: u64) -> Result<Credential, NodeCertificateError> {
        let patience = Patience::until(Instant::now() + Duration::from_secs(60));
        let surroundings = NodeSurroundings {
            patience: &patience,
            now: at(hours * HOUR),
            svids: &self.heard,
            log: &self.heard,
        };
        let cluster = Arc::clone(&self.cluster);
        self.certificate.credential_of(cluster, &surroundings)
    }

    /// The certificate that is sent, and the request that is named with it.
    fn sent(&self, hours: u64) -> (String, Option<String>) {
        let credential = self.attest(hours).unwrap();
        let payload: Value = serde_json::from_slice(&credential.payload).unwrap();
        let certificates = payload["certificates"].as_array().unwrap();
        assert_eq!(certificates.len(), 1);
        (
            certificates[0].to_string(),
            payload["request"].as_str().map(str::to_owned),
        )
    }

    fn refused(&self, hours: u64) -> String {
        chain(&self.attest(hours).unwrap_err())
    }
}

#[test]
fn without_a_directory_each_attestation_has_its_own_key_and_request() {
    let node = Node::new(Does::Signs);
    let first = node.attest(0).unwrap();
    assert_eq!(node.heard.take(), ["Requested", "Issued"]);
    let names = node.cluster.names();
    let payload: Value = serde_json::from_slice(&first.payload).unwrap();
    assert_eq!(payload["request"], names[0]);
    assert!(first.prover.is_some());
    // It is there until the attestation is over.
    first.request.unwrap().remove(&node.heard);
    assert_eq!(node.cluster.names(), Vec::<String>::new());
    let (certificate, request) = node.sent(0);
    assert_ne!(payload["certificates"][0].to_string(), certificate);
    assert_ne!(request, Some(names[0].clone()));
    let subject = "CN=system:node:node-1,O=system:nodes".to_owned();
    assert_eq!(
        *node.cluster.subjects.lock().unwrap(),
        [subject.clone(), subject]
    );
}

#[test]
fn a_request_that_no_server_looks_at_goes_at_once() {
    let mut node = Node::new(Does::Signs);
    node.certificate.verify_request = false;
    let credential = node.attest(0).unwrap();
    assert!(credential.request.is_none());
    assert_eq!(node.cluster.names(), Vec::<String>::new());
    assert_eq!(node.sent(0).1, None);
}

#[test]
fn whatever_goes_wrong_is_said_and_no_request_stays() {
    for (does, text) in [
        (Does::Denies, "denied: NotOurs: no such node"),
        (Does::Nothing, "not approved in time"),
    ] {
        let node = Node::new(does);
        let error = node.refused(0);
        let (begin, rest) = error.split_once("-node-1-").unwrap();
        assert_eq!(begin, "CertificateSigningRequest `nameplate");
        let (_random, rest) = rest.split_once('`').unwrap();
        assert_eq!(rest, format!(" brought no certificate in 0 s: {text}"));
        assert_eq!(node.cluster.names(), Vec::<String>::new());
    }
    let node = Node::new(Does::IsAway);
    assert_eq!(
        node.refused(0),
        "CertificateSigningRequest cannot be made: no answer: gone fishing"
    );
}

#[test]
fn a_request_that_cannot_be_removed_is_said() {
    let node = Node::new(Does::Signs);
    let credential = node.attest(0).unwrap();
    node.cluster.does(Does::IsAway);
    credential.request.unwrap().remove(&node.heard);
    assert_eq!(node.heard.take(), ["Requested", "Issued", "NotRemoved"]);
}

#[test]
fn a_kept_key_serves_until_two_thirds_of_its_life() {
    let node = Node::keeping();
    let first = node.sent(0);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&node.kept()), 0o600);
    assert_eq!(mode(node.kept().parent().unwrap()), 0o700);
    for hours in [0, 5] {
        assert_eq!(node.sent(hours), first);
    }
    assert_eq!(
        node.heard.take(),
        ["Requested", "Issued", "Reused", "Reused"]
    );
    // The request is there as long as the certificate is used.
    assert_eq!(node.cluster.names(), [first.1.clone().unwrap()]);
    let second = node.sent(6);
    assert_ne!(second, first);
    assert_eq!(node.cluster.names(), [second.1.unwrap()]);
}

#[test]
fn a_kept_key_is_not_used_for_another_node_or_signer_or_before_its_time() {
    let mut node = Node::keeping();
    let first = node.sent(0);
    node.certificate.node = "node-2".to_owned();
    let second = node.sent(0);
    assert_ne!(second, first);
    // The one of the other node goes with its key.
    assert_eq!(node.cluster.names(), [second.1.clone().unwrap()]);
    assert_ne!(node.sent(0), second);
    assert_eq!(
        node.cluster.subjects.lock().unwrap()[1],
        "CN=system:node:node-2,O=system:nodes"
    );
}

#[test]
fn a_kept_key_whose_request_is_gone_is_renewed_where_a_server_would_look() {
    let mut node = Node::keeping();
    let first = node.sent(0);
    node.cluster.objects.lock().unwrap().clear();
    let second = node.sent(1);
    assert_ne!(second, first);

    node.certificate.verify_request = false;
    let asked = node.cluster.asked();
    node.cluster.objects.lock().unwrap().clear();
    assert_eq!(node.sent(9), (second.0, None));
    assert_eq!(node.cluster.asked(), asked, "nobody is asked");
}

#[test]
fn a_kept_key_outlives_an_approver_who_is_away_and_no_denial() {
    let node = Node::keeping();
    let first = node.sent(0);
    node.heard.take();
    node.cluster.does(Does::IsAway);
    // An API server that is away is no reason to ask it for more.
    assert_eq!(node.sent(5), first);
    assert_eq!(node.heard.take(), ["Reused"]);
    assert_eq!(node.sent(6), first);
    assert_eq!(node.heard.take(), ["NotRenewed"]);
    node.cluster.does(Does::Nothing);
    assert_eq!(node.sent(8), first);
    assert_eq!(node.heard.take(), ["Requested", "Waiting", "NotRenewed"]);
    assert_eq!(node.cluster.names(), [first.1.unwrap()]);
    assert!(node.refused(9).ends_with("not approved in time"));
    node.cluster.does(Does::Denies);
    assert!(node.refused(8).ends_with("no such node"));
}

#[test]
fn a_damaged_file_is_replaced() {
    let node = Node::keeping();
    let first = node.sent(0);
    let good = fs::read_to_string(node.kept()).unwrap();
    let of_another = KeyPair::generate().unwrap().serialize_pem();
    let mut swapped: Value = serde_json::from_str(&good).unwrap();
    swapped["key"] = of_another.into();
    for wrong in ["{", &swapped.to_string()] {
        fs::write(node.kept(), wrong).unwrap();
        node.heard.take();
        assert_ne!(node.sent(0), first);
        assert_eq!(node.heard.take(), ["KeptUnusable", "Requested", "Issued"]);
    }
    fs::write(node.kept(), good).unwrap();
    assert_eq!(node.sent(0), first);
}

#[test]
fn a_directory_that_others_may_look_into_is_refused() {
    let node = Node::keeping();
    let _sent = node.sent(0);
    let directory = node.kept().parent().unwrap().to_owned();
    fs::set_permissions(&directory, PermissionsExt::from_mode(0o750)).unwrap();
    let text = format!(
        "key directory `{}` has mode 0750, which lets others than its owner in: it has to have 0700",
        directory.display()
    );
    assert_eq!(node.refused(0), text);
    let error = KeyDirectory::new(directory.clone(), "k8s", DirectoryCheck::On).unwrap_err();
    assert_eq!(error.to_string(), text);
    let missing = node.place.path().join("no/keys");
    let error = KeyDirectory::new(missing, "k8s", DirectoryCheck::On).unwrap_err();
    assert!(chain(&error).ends_with("No such file or directory (os error 2)"));
    let file = KeyDirectory::new(node.kept(), "k8s", DirectoryCheck::On).unwrap_err();
    assert!(
        chain(&file).ends_with("not a directory"),
        "{}",
        chain(&file)
    );
}

#[test]
fn a_directory_that_another_can_take_the_place_of_is_refused() {
    let node = Node::keeping();
    let (first, _) = node.sent(0);
    let directory = node.kept().parent().unwrap().to_owned();
    let above = node.place.path();
    let chmod = |mode| fs::set_permissions(above, PermissionsExt::from_mode(mode)).unwrap();
    chmod(0o777);
    let real = fs::canonicalize(above).unwrap();
    let text = format!(
        "no key is kept where others may write, unless `check_directories = false` says so: \
         others may write to `{}` (mode 0777): `chmod o-w {}`",
        real.display(),
        real.display()
    );
    // Where it is there, and where it is not yet.
    let of = |path: &std::path::Path, check| KeyDirectory::new(path.to_owned(), "k8s", check);
    let not_yet = above.join("others");
    for path in [&directory, &not_yet] {
        let error = of(path, DirectoryCheck::On).unwrap_err();
        assert_eq!(
            chain(&error).replace(&*above.to_string_lossy(), &real.to_string_lossy()),
            text
        );
        of(path, DirectoryCheck::Off).unwrap();
    }
    // Nor is a key read there that was kept before.
    assert_eq!(chain(&node.attest(0).unwrap_err()), text);
    for good in [0o1777, 0o755] {
        chmod(good);
        of(&directory, DirectoryCheck::On).unwrap();
        assert_eq!(node.sent(0).0, first);
    }
}

#[test]
fn the_operator_may_answer_for_the_directory() {
    let mut node = Node::keeping();
    let path = node.place.path().join("keys");
    let unlooked = KeyDirectory::new(path, "k8s", DirectoryCheck::Off).unwrap();
    node.certificate.directory = Some(unlooked);
    fs::set_permissions(node.place.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let first = node.sent(0);
    assert_eq!(node.sent(0), first);
}
