//! Certificates that a Kubernetes cluster signed for its nodes, from
//! configuration to identity. What its API server is asked is in the evidence
//! room's tests, and with a real one in `tests/peers`.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::config::Config;
use nameplate_attestor::evidence::certificates::{Nonce, Prover};
use nameplate_attestor::evidence::{Method, RawEvidence};
use nameplate_attestor::policy::Sandbox;
use nameplate_attestor::{
    Attempt, AttestError, Attestation, Attestor, Failure, Generation, Presented, Step,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new().unwrap());

/// A cluster's authority, and the folder that has its certificate.
struct Cluster {
    folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Cluster {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Self { folder, authority }
    }

    fn thumbprint(&self) -> String {
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.authority.der().as_ref());
        let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        digits.collect()
    }

    /// What comes of it when somebody of this name attests.
    fn attested(&self, keys: &str, name: &str) -> Result<Attestation, AttestError> {
        let text = format!(
            "trust_domain = \"example.org\"\n[attestors.k8s]\n\
             ca_bundle_path = \"ca.pem\"\nverify_request = false\n{keys}"
        );
        let mut config = Config::from_toml(&text, "config.toml", self.folder.path())
            .map_err(|problems| problems.render(false))
            .unwrap();
        let mut attestor = config.attestors.pop().unwrap();
        assert_eq!(attestor.method, Method::K8s);
        // A busy machine is no reason to fail.
        attestor.naming.limits.deadline = Duration::from_secs(60);
        let attestor = Attestor::new(Generation::load(&config, &attestor, &SANDBOX).unwrap());

        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "system:nodes");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let leaf = params.signed_by(&key, &self.authority).unwrap();
        let prover =
            Prover::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();

        let attempt = Attempt::at(SystemTime::now());
        let evidence = RawEvidence::new(Method::K8s, prover.payload()).unwrap();
        let challenged = match attestor.step(Presented::Evidence(&evidence), &attempt)? {
            Step::Challenged(challenged) => challenged,
            Step::Attested(attestation) => panic!("without a proof: {attestation:?}"),
        };
        let nonce = Nonce::random().unwrap();
        let answer = prover.answer(&challenged.message(), nonce).unwrap();
        match attestor.step(Presented::Answer(challenged, &answer), &attempt)? {
            Step::Attested(attestation) => Ok(attestation),
            Step::Challenged(again) => panic!("{again:?}"),
        }
    }
}

fn selectors(attestation: &Attestation) -> Vec<String> {
    let selectors = attestation.identity.selectors();
    selectors.map(|selector| selector.to_string()).collect()
}

#[test]
fn a_node_is_named_as_its_first_attestor_named_it() {
    let cluster = Cluster::new();
    let named = cluster.attested("", "system:node:node-7").unwrap();
    assert_eq!(
        named.identity.spiffe_id().to_string(),
        "spiffe://example.org/spire/agent/k8s/system/node/node-7"
    );
    let selectors = selectors(&named);
    assert_eq!(selectors[0], "k8s:subject:cn:system:node:node-7");
    assert!(selectors[1].starts_with("k8s:ca:fingerprint:"));
    assert_eq!(selectors.len(), 2);
    assert!(named.can_reattest);
}

#[test]
fn a_policy_names_it_by_its_authority_or_its_node() {
    let cluster = Cluster::new();
    let thumbprint = cluster.thumbprint();
    let by = |keys: &str| {
        let keys = format!("cluster = \"production\"\n{keys}");
        cluster.attested(&keys, "system:node:node-7").unwrap()
    };
    let named = by("policy = { source = \"builtin:thumbprint\" }");
    assert_eq!(
        named.identity.spiffe_id().to_string(),
        format!("spiffe://example.org/spire/agent/k8s/production/{thumbprint}")
    );
    let selector = format!("k8s:ca_thumbprint:{thumbprint}");
    assert!(selectors(&named).contains(&selector));

    let named = by(
        "policy = { source = \"builtin:template\", settings = { path = [\"{cluster}\", \"{node_name}\"], \
         selectors = [\"node:{node_name}\"] } }",
    );
    assert_eq!(
        named.identity.spiffe_id().to_string(),
        "spiffe://example.org/spire/agent/k8s/production/node-7"
    );
    assert_eq!(selectors(&named), ["k8s:node:node-7"]);
}

/// Each of these the signer of a real cluster signs.
#[test]
fn a_name_that_walks_out_of_the_path_is_no_nodes() {
    let cluster = Cluster::new();
    for (name, reason) in [
        ("system:node:../../x", "node_name_malformed"),
        ("system:node:", "node_name_malformed"),
        ("system:kube-controller-manager", "node_name_missing"),
    ] {
        let error = cluster.attested("", name).unwrap_err();
        assert_eq!(error.reason(), reason, "{name}");
        assert_eq!(error.failure(), Failure::Rejected);
    }
}
