//! Chains, challenges and their answers.

use crate::{fit_to_show, path};
use nameplate_evidence::certificates::{
    CertificateSight, CertificateVerifier, ChainLimits, Challenge, NONCE_BYTES, Nonce, Prover,
    Surroundings, Trust, TrustedAuthorities, sight,
};
use nameplate_evidence::{Patience, Subject};
use nameplate_tests::NOW;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use std::fs;
use std::sync::LazyLock;

/// The nonce of every challenge here, and of the answers in the corpus.
pub const NONCE: [u8; NONCE_BYTES] = [7; NONCE_BYTES];

/// A verifier of chains that lead to the authority in `pem`.
pub fn certificate_verifier(pem: &[u8]) -> CertificateVerifier {
    CertificateVerifier {
        trust: Trust::Bundle(TrustedAuthorities::from_pem(pem).unwrap()),
        limits: ChainLimits::default(),
        cluster: None,
        node: None,
        verify_client_ip: false,
    }
}

static VERIFIER: LazyLock<CertificateVerifier> =
    LazyLock::new(|| certificate_verifier(&fs::read(path("keys/authority.pem")).unwrap()));

/// Leaves of the authority: nobody has its key any more.
static LEAVES: [&str; 3] = ["p256", "rsa", "intermediate"];

fn seed(name: &str) -> Vec<u8> {
    fs::read(path(&format!("corpus/chain/{name}.json"))).unwrap()
}

/// A chain: one that is accepted has a leaf that the authority signed.
pub(crate) fn chain(bytes: &[u8]) {
    static KNOWN: LazyLock<Vec<CertificateSight>> =
        LazyLock::new(|| LEAVES.iter().map(|name| leaf(&seed(name))).collect());
    let seen = sight(bytes);
    if let Err(error) = &seen {
        fit_to_show(error);
    }
    let patience = Patience::none();
    match VERIFIER.examine(bytes, NOW, &Surroundings::within(&patience)) {
        Ok(_) => assert!(KNOWN.contains(&leaf(bytes))),
        Err(error) => {
            fit_to_show(&error);
            assert!(!error.reason().is_empty());
        }
    }
}

/// The first certificate, without its digests: a signature can be written in
/// several ways.
fn leaf(payload: &[u8]) -> CertificateSight {
    CertificateSight {
        sha1: String::new(),
        sha256: String::new(),
        ..sight(payload).unwrap().swap_remove(0)
    }
}

fn challenged(
    verifier: &CertificateVerifier,
    payload: &[u8],
    nonce: [u8; NONCE_BYTES],
) -> Challenge {
    let patience = Patience::none();
    let chain = verifier.examine(payload, NOW, &Surroundings::within(&patience));
    chain.unwrap().challenge(Nonce::new(nonce))
}

/// What a server sends to be signed. An answer is one to this nonce, of this
/// key, and to no other nonce.
pub(crate) fn challenge(bytes: &[u8]) {
    static AGENT: LazyLock<(Prover, CertificateVerifier)> = LazyLock::new(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let leaf = params.signed_by(&key, &authority).unwrap();
        let prover = Prover::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes());
        let verifier = certificate_verifier(authority.pem().as_bytes());
        (prover.unwrap(), verifier)
    });
    let (prover, verifier) = &*AGENT;
    match prover.answer(bytes, Nonce::new([9; NONCE_BYTES])) {
        Ok(answer) => {
            let nonce = nonce_of(bytes);
            let payload = prover.payload();
            let proven = challenged(verifier, &payload, nonce).answered(&answer, &Patience::none());
            assert!(proven.is_ok(), "{proven:?}");
            let mut other = nonce;
            other[0] ^= 1;
            let proven = challenged(verifier, &payload, other).answered(&answer, &Patience::none());
            assert!(proven.is_err(), "an answer to another nonce: {proven:?}");
        }
        Err(error) => fit_to_show(&error),
    }
}

fn nonce_of(challenge: &[u8]) -> [u8; NONCE_BYTES] {
    use base64::Engine as _;
    let challenge: serde_json::Value = serde_json::from_slice(challenge).unwrap();
    let nonce = challenge["ecdsa_signature"]["nonce"].as_str().unwrap();
    let nonce = base64::engine::general_purpose::STANDARD.decode(nonce);
    nonce.unwrap().try_into().unwrap()
}

/// What a peer answers. Only the answers in the corpus are signatures, so that
/// whatever is accepted proves a leaf of the corpus, by its own key and nonce.
pub(crate) fn response(bytes: &[u8]) {
    for name in ["p256", "rsa"] {
        let payload = seed(name);
        match challenged(&VERIFIER, &payload, NONCE).answered(bytes, &Patience::none()) {
            Ok(evidence) => match evidence.into_parts() {
                (None, Subject::Certificate(certificate)) => {
                    let common_name = leaf(&payload).subject.common_name;
                    assert_eq!(certificate.subject.common_name, common_name);
                }
                other => panic!("{other:?}"),
            },
            Err(error) => fit_to_show(&error),
        }
        let mut other = NONCE;
        other[31] ^= 1;
        let proven = challenged(&VERIFIER, &payload, other).answered(bytes, &Patience::none());
        assert!(proven.is_err(), "an answer to another nonce: {proven:?}");
    }
    let foreign =
        challenged(&VERIFIER, &seed("intermediate"), NONCE).answered(bytes, &Patience::none());
    assert!(foreign.is_err(), "an answer of another key: {foreign:?}");
}
