//! Certificates from configuration to identity: both steps, and what is between
//! them.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::config::Config;
use nameplate_attestor::evidence::certificates::{
    BundleError, BundleSource, Nonce, Prover, TrustedAuthorities,
};
use nameplate_attestor::evidence::{Method, Patience, RawEvidence};
use nameplate_attestor::policy::Sandbox;
use nameplate_attestor::{
    Attempt, AttestError, Attestation, Attestor, Challenged, Failure, Generation, Presented, Step,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use std::fs;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new().unwrap());

/// An authority, a peer of it, and the folder that has the authority's PEM.
struct World {
    folder: tempfile::TempDir,
    root: CertifiedIssuer<'static, KeyPair>,
    prover: Prover,
    sha1: String,
}

fn world() -> World {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), root.pem()).unwrap();

    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "node-7");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.subject_alt_names = vec![SanType::URI(
        "spiffe://example.org/spire-exchange/rack/7"
            .try_into()
            .unwrap(),
    )];
    let leaf = params.signed_by(&key, &root).unwrap();
    let prover = Prover::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        leaf.der().as_ref(),
    );
    let sha1 = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    World {
        folder,
        root,
        prover,
        sha1: sha1.collect(),
    }
}

impl World {
    fn generation(&self, keys: &str) -> Generation {
        let text = format!("trust_domain = \"example.org\"\n[attestors.x509pop]\n{keys}");
        let mut config = Config::from_toml(&text, "config.toml", self.folder.path())
            .map_err(|problems| problems.render(false))
            .unwrap();
        assert!(config.warnings.list.is_empty(), "{:?}", config.warnings);
        let mut attestor = config.attestors.pop().unwrap();
        assert_eq!(attestor.method, Method::X509Pop);
        // A busy machine is no reason to fail.
        attestor.naming.limits.deadline = Duration::from_secs(60);
        Generation::load(&config, &attestor, &SANDBOX).unwrap()
    }

    fn attestor(&self, keys: &str) -> Attestor {
        Attestor::new(self.generation(keys))
    }

    fn evidence(&self) -> RawEvidence {
        RawEvidence::new(Method::X509Pop, self.prover.payload()).unwrap()
    }

    fn challenged(&self, attestor: &Attestor, attempt: &Attempt) -> Challenged {
        match attestor.step(Presented::Evidence(&self.evidence()), attempt) {
            Ok(Step::Challenged(challenged)) => challenged,
            other => panic!("{other:?}"),
        }
    }

    fn answer(&self, challenged: &Challenged) -> Vec<u8> {
        let own = Nonce::random().unwrap();
        self.prover.answer(&challenged.message(), own).unwrap()
    }

    fn attested(&self, attestor: &Attestor, attempt: &Attempt) -> Result<Attestation, AttestError> {
        let challenged = match attestor.step(Presented::Evidence(&self.evidence()), attempt)? {
            Step::Challenged(challenged) => challenged,
            Step::Attested(attestation) => panic!("without a proof: {attestation:?}"),
        };
        let answer = self.answer(&challenged);
        match attestor.step(Presented::Answer(challenged, &answer), attempt)? {
            Step::Attested(attestation) => Ok(attestation),
            Step::Challenged(again) => panic!("{again:?}"),
        }
    }
}

fn now() -> Attempt {
    Attempt::at(SystemTime::now())
}

fn id(attestation: &Attestation) -> String {
    attestation.identity.spiffe_id().to_string()
}

const BUNDLE: &str = "ca_bundle_path = \"ca.pem\"\n";

#[test]
fn spires_name_unless_another_is_asked_for() {
    let world = world();
    for (keys, path) in [
        ("", world.sha1.as_str()),
        ("policy = { source = \"builtin:subject\" }", "node-7"),
        (
            "agent_path_template = \"/{{ .PluginName }}/rack/{{ .Subject.CommonName }}\"",
            "rack/node-7",
        ),
        (
            "policy = { source = \"builtin:template\", settings = { path = [\"{sha1}\"] } }",
            &world.sha1,
        ),
    ] {
        let attestor = world.attestor(&format!("{BUNDLE}{keys}"));
        let attestation = world.attested(&attestor, &now()).unwrap();
        let expected = format!("spiffe://example.org/spire/agent/x509pop/{path}");
        assert_eq!(id(&attestation), expected);
        assert!(attestation.can_reattest);
        let selectors: Vec<_> = attestation.identity.selectors().collect();
        assert_eq!(selectors[0].to_string(), "x509pop:subject:cn:node-7");
        assert_eq!(selectors.len(), 3, "{keys}");
    }
}

#[test]
fn a_challenge_is_answered_or_there_is_no_identity() {
    let world = world();
    let attestor = world.attestor(BUNDLE);
    assert!(world.attested(&attestor, &now()).is_ok());
    let refused = |result: Result<Step, AttestError>| {
        let error = result.unwrap_err();
        assert_eq!(error.failure(), Failure::Rejected);
        error.reason()
    };
    // Who asks for no challenge gets no identity.
    let unanswered = attestor.attest(&world.evidence(), &now()).unwrap_err();
    assert_eq!(unanswered.reason(), "challenge_unanswered");
    // An answer is to its own challenge, and nonces differ.
    let first = world.challenged(&attestor, &now());
    let second = world.challenged(&attestor, &now());
    assert_ne!(first.message(), second.message());
    let answer = world.answer(&first);
    let step = attestor.step(Presented::Answer(second, &answer), &now());
    assert_eq!(refused(step), "possession_unproven");
    let step = attestor.step(Presented::Answer(first, b"{}"), &now());
    assert_eq!(refused(step), "response_kind");
    // Evidence of another method is not looked at.
    let token = RawEvidence::new(Method::K8sSat, world.prover.payload()).unwrap();
    let step = attestor.step(Presented::Evidence(&token), &now());
    assert_eq!(refused(step), "method_mismatch");
}

#[test]
fn an_attestation_ends_on_the_generation_it_began_with() {
    let world = world();
    let attestor = world.attestor(BUNDLE);
    let challenged = world.challenged(&attestor, &now());
    let other = format!("{BUNDLE}policy = {{ source = \"builtin:subject\" }}");
    assert_eq!(attestor.swap(world.generation(&other)), 2);
    let answer = world.answer(&challenged);
    match attestor.step(Presented::Answer(challenged, &answer), &now()) {
        Ok(Step::Attested(attestation)) => {
            assert_eq!(attestation.generation, 1);
            assert!(id(&attestation).ends_with(&world.sha1));
        }
        other => panic!("{other:?}"),
    }
    let attestation = world.attested(&attestor, &now()).unwrap();
    assert_eq!(attestation.generation, 2);
    assert!(id(&attestation).ends_with("/node-7"));
}

#[derive(Debug)]
struct Bundle(Option<Vec<u8>>);

impl BundleSource for Bundle {
    fn authorities(&self, _: &Patience) -> Result<TrustedAuthorities, BundleError> {
        let authorities = self.0.iter().map(|der| der.clone().into()).collect();
        TrustedAuthorities::from_der(authorities).map_err(|error| BundleError(error.to_string()))
    }
}

#[test]
fn in_spiffe_mode_the_svid_names_the_agent() {
    let world = world();
    let known = Arc::new(Bundle(Some(world.root.der().to_vec())));
    let by = |keys: &str, bundle: Option<Arc<Bundle>>| {
        let attestor = world.attestor(&format!("mode = \"spiffe\"\n{keys}"));
        let attempt = match bundle {
            Some(bundle) => now().trusting(bundle),
            None => now(),
        };
        world.attested(&attestor, &attempt)
    };
    for (keys, path) in [
        ("", "rack/7"),
        ("spiffe_prefix = \"\"", "spire-exchange/rack/7"),
        ("svid_prefix = \"/spire-exchange/rack\"", "7"),
        (
            "agent_path_template = \"/{{ .PluginName }}/{{ .SVIDPathTrimmed }}\"",
            "rack/7",
        ),
    ] {
        let attestation = by(keys, Some(Arc::clone(&known))).unwrap();
        let expected = format!("spiffe://example.org/spire/agent/x509pop/{path}");
        assert_eq!(id(&attestation), expected);
    }
    let error = by("spiffe_prefix = \"/agents/\"", Some(known)).unwrap_err();
    assert_eq!(error.reason(), "svid_prefix");
    // Not the peer's fault, and later it may be otherwise.
    for unknown in [None, Some(Arc::new(Bundle(None)))] {
        let error = by("", unknown).unwrap_err();
        assert_eq!(error.reason(), "trust_bundle_unavailable");
        assert_eq!(error.failure(), Failure::Fault);
        assert!(error.is_transient());
    }
}

#[test]
fn the_peers_address_is_the_servers_to_say() {
    let world = world();
    let attestor = world.attestor(&format!("{BUNDLE}verify_client_ip = true"));
    let from = |address: Option<&str>| {
        let attempt = now().from_address(address.map(str::to_owned));
        let step = attestor.step(Presented::Evidence(&world.evidence()), &attempt);
        let error = step.unwrap_err();
        (error.reason(), error.failure())
    };
    // This certificate has no address at all; evidence's own tests have one.
    let elsewhere = ("client_address_mismatch", Failure::Rejected);
    assert_eq!(from(Some("192.0.2.7")), elsewhere);
    assert_eq!(from(None), ("client_address_unknown", Failure::Fault));
}
