//! What an attestation by certificate costs, as a ratio to the two signature
//! verifications that it cannot avoid: the authority's on the certificate, and
//! the peer's on the nonces. These are the numbers in the README.
//!
//! Chain, proof and policy are timed; what the peer does to answer is not.
//! Contenders take turns, and a ratio is the median of those of neighbouring
//! rounds.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that cannot go on should stop"
)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use nameplate_attestor::config::Config;
use nameplate_attestor::{Attempt, Attestor, Generation, Presented, Step};
use nameplate_evidence::certificates::{Nonce, Prover};
use nameplate_evidence::{Method, RawEvidence};
use nameplate_policy::Sandbox;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm,
};
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 41;
const CALLS: u32 = 32;
const MESSAGE: &[u8] = b"a message of no consequence";

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --benches` only wants to know that it builds.
        return;
    }
    println!("| chain, proof and policy | ÷ two verifications | goal |\n|---|---|---|");
    for (name, algorithm) in [
        ("RSA-2048", &PKCS_RSA_SHA256),
        ("P-256", &PKCS_ECDSA_P256_SHA256),
    ] {
        let peer = Peer::new(algorithm);
        let (key, signature) = peer.verification(algorithm);
        let verify = || {
            key.verify_sig(black_box(MESSAGE), black_box(&signature))
                .unwrap();
        };
        let mut ratios = Vec::new();
        let (mut whole, mut two) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let own: Duration = (0..CALLS).map(|_| peer.attested()).sum();
            let start = Instant::now();
            for _ in 0..2 * CALLS {
                verify();
            }
            let base = start.elapsed();
            // The first warms up.
            if round > 0 {
                ratios.push(own.as_secs_f64() / base.as_secs_f64());
                whole.push(own.as_secs_f64() * 1e6 / f64::from(CALLS));
                two.push(base.as_secs_f64() * 1e6 / f64::from(CALLS));
            }
        }
        println!(
            "| {name} ({:.0} µs to {:.0} µs) | {:.2} | ≤ 1.5 |",
            median(whole),
            median(two),
            median(ratios)
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A peer with a certificate, and the attestor that trusts whoever signed it.
struct Peer {
    attestor: Attestor,
    evidence: RawEvidence,
    prover: Prover,
    key: KeyPair,
}

impl Peer {
    fn new(algorithm: &'static SignatureAlgorithm) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = KeyPair::generate_for(algorithm).unwrap();
        let root = CertifiedIssuer::self_signed(params, root).unwrap();
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "node-7");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let leaf = params.signed_by(&key, &root).unwrap();
        let prover =
            Prover::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), root.pem()).unwrap();
        let text = "trust_domain = \"example.org\"\n\
                    [attestors.x509pop]\nca_bundle_path = \"ca.pem\"\n";
        let config = Config::from_toml(text, "config.toml", folder.path())
            .map_err(|problems| problems.render(false))
            .unwrap();
        let sandbox = Sandbox::new().unwrap();
        let generation = Generation::load(&config, &config.attestors[0], &sandbox).unwrap();
        Self {
            attestor: Attestor::new(generation),
            evidence: RawEvidence::new(Method::X509Pop, prover.payload()).unwrap(),
            prover,
            key,
        }
    }

    /// How long the attestor took for both of its steps.
    fn attested(&self) -> Duration {
        let attempt = Attempt::at(SystemTime::now());
        let start = Instant::now();
        let presented = Presented::Evidence(black_box(&self.evidence));
        let Step::Challenged(challenged) = self.attestor.step(presented, &attempt).unwrap() else {
            panic!("without a challenge");
        };
        let asked = start.elapsed();
        let nonce = Nonce::random().unwrap();
        let answer = self.prover.answer(&challenged.message(), nonce).unwrap();
        let start = Instant::now();
        let presented = Presented::Answer(challenged, black_box(&answer));
        black_box(self.attestor.step(presented, &attempt).unwrap());
        asked + start.elapsed()
    }

    /// A verification by a parsed key of the peer's kind.
    fn verification(&self, algorithm: &SignatureAlgorithm) -> (ParsedPublicKey, Vec<u8>) {
        let pkcs8 = self.key.serialize_der();
        let random = SystemRandom::new();
        let public = self.key.public_key_raw().to_vec();
        if algorithm == &PKCS_RSA_SHA256 {
            let key = RsaKeyPair::from_pkcs8(&pkcs8).unwrap();
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &random, MESSAGE, &mut signature)
                .unwrap();
            let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).unwrap();
            (key, signature)
        } else {
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).unwrap();
            let signature = key.sign(&random, MESSAGE).unwrap().as_ref().to_vec();
            let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public).unwrap();
            (key, signature)
        }
    }
}
