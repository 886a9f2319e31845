//! Properties of the checks that foreign text goes through.
//!
//! The text is random, made of the characters that break things.

#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::config::Config;
use nameplate_attestor::{AttestorName, Envelope, Leading, MAX_ID_BYTES, Namespace, SpiffeId};
use nameplate_evidence::{KeySet, Method, RawEvidence, TokenVerifier};
use nameplate_policy::{Derivation, Interface, Manifest, PolicyRequest, PolicySource};
use nameplate_policy::{Policy, Sandbox};
use nameplate_tests::{NOW, at, facts, guest, patient};
use proptest::collection::vec;
use proptest::prelude::*;
use std::path::Path;
use std::sync::LazyLock;

/// So many cases, and no file left behind: a failure prints what to keep as a test.
fn cases(number: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(number)
    }
}

/// Text that is a segment, nearly one, or nothing like one.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Za-z0-9._-]{1,12}",
        2 => "[a-z./%:@?#\\\\ ]{0,6}",
        1 => "\\PC{0,4}",
        1 => any::<String>().prop_map(|text| text.chars().take(8).collect()),
        1 => Just(".".to_owned()),
        1 => Just("..".to_owned()),
        1 => Just("production".to_owned()),
        1 => "[a-z]{200,300}",
    ]
}

fn derivation() -> impl Strategy<Value = Derivation> {
    (vec(segment(), 0..6), vec(segment(), 0..8))
        .prop_map(|(path, selectors)| Derivation { path, selectors })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let leading = prop_oneof![
        Just("{cluster}"),
        Just("production"),
        Just("{node_uid}"),
        Just("{namespace}-{service_account}"),
        Just("x{cluster}"),
    ];
    (
        vec(leading, 0..3),
        40..400usize,
        1..300usize,
        0..8usize,
        vec("[a-z]{1,3}", 0..3),
    )
        .prop_map(|(leading, id, selector, selectors, reserved)| Envelope {
            leading: leading.iter().map(|text| text.parse().unwrap()).collect(),
            max_id_bytes: id,
            max_selector_bytes: selector,
            max_selectors: selectors,
            reserved,
            ..Envelope::default()
        })
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// Whatever a policy answers, an identity lies in its namespace and in
    /// its envelope, and is one to other readers of the standard as well.
    #[test]
    fn an_admitted_identity_keeps_to_every_bound(
        derivation in derivation(),
        envelope in envelope(),
    ) {
        let facts = facts::bound();
        let namespace = facts::namespace();
        let asked = derivation.clone();
        let Ok(identity) = envelope.admit(&namespace, &facts, derivation) else {
            return Ok(());
        };
        let id = identity.spiffe_id().as_str();
        prop_assert!(id.starts_with("spiffe://example.org/spire/agent/k8s_sat/"));
        prop_assert!(id.len() <= envelope.max_id_bytes);
        prop_assert_eq!(&id.parse::<SpiffeId>().unwrap(), identity.spiffe_id());
        let theirs = spiffe::SpiffeId::new(id).unwrap();
        prop_assert_eq!(theirs.to_string(), id);
        prop_assert_eq!(theirs.trust_domain_name(), "example.org");

        let path: Vec<_> = identity.spiffe_id().segments().skip(3).collect();
        prop_assert_eq!(&path, &asked.path);
        let leading = ["production", "0b1c2d3e-0000-4000-8000-0000000010de", "spire-spire-agent",
            "xproduction"];
        for (required, found) in envelope.leading.iter().zip(&path) {
            let required = match required.to_string().as_str() {
                "{cluster}" | "production" => leading[0],
                "{node_uid}" => leading[1],
                "{namespace}-{service_account}" => leading[2],
                _ => leading[3],
            };
            prop_assert_eq!(*found, required);
        }
        prop_assert!(path.len() >= envelope.leading.len());
        let reserved = |segment: &&&str| {
            envelope.reserved.iter().any(|name| name.eq_ignore_ascii_case(segment))
        };
        prop_assert_eq!(path.iter().find(reserved), None);

        let selectors: Vec<_> = identity.selectors().map(|selector| selector.value).collect();
        prop_assert_eq!(&selectors, &asked.selectors);
        prop_assert!(selectors.len() <= envelope.max_selectors);
        for (index, value) in selectors.iter().enumerate() {
            prop_assert!((1..=envelope.max_selector_bytes).contains(&value.len()));
            prop_assert!(!value.chars().any(char::is_control));
            prop_assert!(!selectors[..index].contains(value));
        }
        for selector in identity.selectors() {
            prop_assert_eq!(selector.kind, "k8s_sat");
        }
    }

    /// A segment that names another place does not lead there.
    #[test]
    fn no_path_leads_out(path in vec(segment(), 0..5)) {
        let derivation = Derivation { path, selectors: Vec::new() };
        let admitted = Envelope::default().admit(&facts::namespace(), &facts::bound(), derivation);
        if let Ok(identity) = admitted {
            let id = identity.spiffe_id();
            prop_assert!(id.segments().all(|segment| !matches!(segment, "" | "." | "..")));
            prop_assert_eq!(id.segments().take(3).collect::<Vec<_>>(), ["spire", "agent", "k8s_sat"]);
        }
    }

    /// What is a SPIFFE ID here is one to another implementation, and what it
    /// takes as it stands is one here. (It takes more: it writes a trust domain
    /// in lower case for its caller, and an ID of any length.)
    #[test]
    fn an_id_is_one_to_others(
        scheme in prop_oneof![9 => Just("spiffe://".to_owned()), 1 => "[Ssp]{1,2}iffe:/{0,3}"],
        name in prop_oneof![9 => "[a-z0-9._-]{0,12}", 1 => "[A-Z%:@a-z]{1,6}"],
        path in vec(segment(), 0..5),
    ) {
        let text = format!("{scheme}{}", [vec![name], path].concat().join("/"));
        let ours = text.parse::<SpiffeId>();
        let theirs = spiffe::SpiffeId::new(&text);
        let as_it_stands = theirs.as_ref().is_ok_and(|theirs| theirs.to_string() == text);
        if text.len() <= MAX_ID_BYTES {
            prop_assert_eq!(ours.is_ok(), as_it_stands, "{}: {:?} {:?}", text, ours, theirs);
        }
        if let Ok(ours) = ours {
            prop_assert_eq!(ours.to_string(), text);
        }
    }

    #[test]
    fn an_attestor_name_is_a_segment(text in segment()) {
        let name = text.parse::<AttestorName>();
        let id = format!("spiffe://example.org/{text}");
        let valid = !text.contains('/') && id.parse::<SpiffeId>().is_ok();
        prop_assert_eq!(name.is_ok(), valid, "{}", text);
        if let Ok(attestor) = name {
            prop_assert_eq!(attestor.as_str(), &text);
            let namespace = Namespace { attestor, ..facts::namespace() };
            let derivation = Derivation { path: vec!["a".to_owned()], selectors: Vec::new() };
            let envelope = Envelope { max_id_bytes: MAX_ID_BYTES, ..Envelope::default() };
            let identity = envelope.admit(&namespace, &facts::bound(), derivation).unwrap();
            let expected = format!("spiffe://example.org/spire/agent/{text}/a");
            prop_assert_eq!(identity.spiffe_id().as_str(), expected);
        }
    }

    /// An envelope is written as it is read, and asks for a possible segment.
    #[test]
    fn a_leading_segment_reads_back(
        text in prop_oneof!["[a-z{}._-]{0,12}", "(\\{(cluster|namespace|pod_uid|x)\\}|[a-z./ ]){0,3}"],
    ) {
        if let Ok(leading) = text.parse::<Leading>() {
            prop_assert_eq!(leading.to_string(), text);
        }
    }
}

/// A configuration to break: every table and key there is.
const CONFIG: &str = r#"
trust_domain = "example.org"
[attestors.k8s_sat]
policy = { source = "builtin:template", digest = "sha256:00", settings = { path = ["{cluster}"] } }
envelope = { leading = ["{cluster}"], max_id_bytes = 200, reserved = ["admin"], selectors = ["cluster:{cluster}", "agent_*"], false_facts = "admit" }
limits = { fuel = 1_000, deadline = "250ms", memory_bytes = "8 MiB" }
[attestors.k8s_sat.clusters.production]
service_account_key_file = "absent.pem"
service_account_allow_list = ["spire:spire-agent"]
issuer = "https://kubernetes.default.svc.cluster.local"
audience = ["spire-server"]
leeway = "30s"
"#;

/// One change of a text: a piece cut out, and another put in its place.
fn broken(text: &'static str) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[\\[\\]{}=\",.#'\\\\\n 0-9a-z-]{0,6}",
        1 => any::<String>(),
        1 => Just("\u{0}".to_owned()),
        1 => Just("[".repeat(300)),
        1 => Just("99999999999999999999".to_owned()),
        1 => Just("\u{202e}\u{1b}[2J".to_owned()),
    ];
    (0..text.len(), 0..40usize, piece).prop_map(|(from, length, piece)| {
        let end = (from + length).min(text.len());
        [&text[..from], &piece, &text[end..]].concat()
    })
}

static TRUST: LazyLock<(TokenVerifier, String)> = LazyLock::new(|| {
    let issuer = nameplate_tests::Issuer::ec();
    let verifier = TokenVerifier::new([nameplate_evidence::ClusterTrust {
        name: "production".to_owned(),
        keys: KeySet::from_pem(issuer.pem().as_bytes()).unwrap(),
        allowed: vec!["spire:spire-agent".parse().unwrap()],
        issuer: None,
        audience: Vec::new(),
        leeway: std::time::Duration::ZERO,
        allow_unexpiring_tokens: false,
        ca_thumbprint: None,
    }]);
    (verifier, issuer.issue(&nameplate_tests::Token::default()))
});

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new().unwrap());

proptest! {
    #![proptest_config(cases(1_000))]

    /// A configuration that is broken is refused with something to show.
    #[test]
    fn a_configuration_never_panics(text in prop_oneof![broken(CONFIG), any::<String>()]) {
        if let Err(problems) = Config::from_toml(&text, "config.toml", Path::new("nowhere")) {
            prop_assert!(problems.has_errors());
            let shown = problems.render(false);
            let unsafe_to_show = |c: char| c.is_control() && c != '\n' && c != '\t';
            prop_assert!(!shown.chars().any(unsafe_to_show), "{shown:?}");
        }
    }

    /// Bytes are never evidence by themselves.
    #[test]
    fn evidence_never_panics(bytes in vec(any::<u8>(), 0..300)) {
        let (verifier, _) = &*TRUST;
        if let Ok(raw) = RawEvidence::new(Method::K8sSat, bytes) {
            prop_assert!(verifier.verify(&raw, at(NOW)).is_err());
        }
    }

    /// A token with anything changed is no longer one.
    #[test]
    fn a_changed_token_is_refused(from in 0usize..10_000, piece in "[A-Za-z0-9_.=-]{0,3}") {
        let (verifier, token) = &*TRUST;
        let verify = |token: &str| {
            let raw = RawEvidence::service_account_token(Method::K8sSat, "production", token, None);
            raw.and_then(|raw| verifier.verify(&raw, at(NOW)))
        };
        prop_assert!(verify(token).is_ok());
        let from = from % token.len();
        let end = (from + piece.len().max(1)).min(token.len());
        let changed = [&token[..from], &piece, &token[end..]].concat();
        prop_assume!(changed != *token);
        prop_assert!(verify(&changed).is_err(), "{changed}");
    }

    /// Readers of a component's own words read any bytes.
    #[test]
    fn readers_of_components_never_panic(bytes in vec(any::<u8>(), 0..200), component: bool) {
        let header: &[u8] = if component { b"\0asm\x0d\0\x01\0" } else { b"" };
        let bytes = [header, &bytes].concat();
        Interface::read(&bytes).ok();
        Manifest::read(&bytes);
        let source = PolicySource::Bytes(bytes.into());
        let request = PolicyRequest { limits: patient(), ..PolicyRequest::new(source) };
        prop_assert!(Policy::load(&SANDBOX, &request).is_err());
    }
}

proptest! {
    // Each case compiles.
    #![proptest_config(cases(40))]

    /// From memory to identity: what a policy says is what is judged.
    #[test]
    fn a_policy_is_admitted_as_its_answer_is(derivation in derivation()) {
        let bytes = guest::answering(&derivation.path, &derivation.selectors);
        let request = PolicyRequest {
            limits: patient(),
            ..PolicyRequest::new(PolicySource::Bytes(bytes.into()))
        };
        let policy = Policy::load(&SANDBOX, &request).unwrap();
        let answer = policy.derive(&facts::bound()).unwrap().answer.unwrap();
        prop_assert_eq!(&answer, &derivation);
        let admit = |derivation| {
            Envelope::default().admit(&facts::namespace(), &facts::bound(), derivation)
        };
        prop_assert_eq!(admit(answer), admit(derivation));
    }
}
