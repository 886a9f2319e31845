//! About what evidence an API server is asked at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nameplate_evidence::{
    ApiError, Binding, Cluster, ClusterApi, KeySet, KeySource, KeysStatus, Lookup, NodeRecord,
    Patience, PodRecord, Proof, ReviewProof, SigningRequestRecord, TokenReview, TokenVerifier,
    TrustedKeys,
};
use serde_json::json;

use crate::support::{NOW, RSA, at, claims, evidence, production, token, token_of};

/// Counts what it is asked, and calls nothing good.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl ClusterApi for Counting {
    fn review(&self, _: &str, _: &[String], _: &Patience) -> Result<TokenReview, ApiError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(TokenReview::default())
    }

    fn pod(&self, _: &str, _: &str, _: &Patience) -> Result<PodRecord, ApiError> {
        panic!("nothing is bound to a pod before it is good")
    }

    fn node(&self, _: &str, _: &Patience) -> Result<NodeRecord, ApiError> {
        panic!("nothing is bound to a node before it is good")
    }

    fn signing_request(&self, _: &str, _: &Patience) -> Result<SigningRequestRecord, ApiError> {
        panic!("a token comes from no CertificateSigningRequest")
    }
}

/// A cluster whose API server reviews tokens, beside one with keys held here.
fn verifier(api: &Arc<Counting>) -> TokenVerifier {
    let reviewed = Cluster {
        proof: Proof::Review(ReviewProof {
            api: Arc::clone(api) as _,
            audience: Vec::new(),
        }),
        ..Cluster::from(production(RSA.keys()))
    };
    let local = Cluster {
        name: "local".to_owned(),
        ..Cluster::from(production(RSA.keys()))
    };
    TokenVerifier::new([reviewed, local])
}

fn header(header: serde_json::Value) -> String {
    token_of(&RSA, "RS256", &header.to_string(), &claims().to_string())
}

#[test]
fn nobody_is_asked_about_what_is_no_token() {
    let api = Arc::new(Counting::default());
    let verifier = verifier(&api);
    let good = token(&RSA, "RS256", &claims());
    let (signing_input, signature) = good.rsplit_once('.').unwrap();
    let (head, claims) = signing_input.split_once('.').unwrap();
    let patience = Patience::until(Instant::now() + Duration::from_secs(60));
    let asked = |text: &str| {
        let evidence = evidence(text);
        let waits = verifier.waits_for(&evidence).map(str::to_owned);
        let before = api.0.load(Ordering::Relaxed);
        let refusal = verifier.verify_within(&evidence, at(NOW), &patience);
        let reason = refusal.unwrap_err().reason();
        (reason, api.0.load(Ordering::Relaxed) - before, waits)
    };
    assert_eq!(
        asked(&good),
        ("token_not_authenticated", 1, Some("production".to_owned()))
    );
    for (text, reason) in [
        ("a.b.c".to_owned(), "token_encoding"),
        ("token".to_owned(), "token_shape"),
        (format!("{good}.e30"), "token_shape"),
        (format!("{good}.e30.e30"), "token_encrypted"),
        (format!("{good}{}", "A".repeat(16 << 10)), "token_too_large"),
        (format!("e30.{claims}.{signature}"), "algorithm_missing"),
        (format!("{head}.{claims}=.{signature}"), "token_encoding"),
        (format!("{head}.{claims}.{signature}="), "token_encoding"),
        (header(json!([])), "header_malformed"),
        (header(json!({"alg": "none"})), "algorithm_refused"),
        (header(json!({"alg": "nOnE"})), "algorithm_refused"),
        (header(json!({"alg": ""})), "algorithm_refused"),
        (
            header(json!({"alg": "RS256", "kid": 1})),
            "header_parameter_malformed",
        ),
        (
            header(json!({"alg": "dir", "enc": "A256GCM"})),
            "token_encrypted",
        ),
    ] {
        assert_eq!(asked(&text), (reason, 0, None), "{text:.60}");
    }
    // A server with a webhook authenticator may know whose token it is,
    // whatever this host would make of it.
    for unusual in [
        json!({"alg": "EdDSA"}),
        json!({"alg": "HS256", "kid": "a"}),
        json!({"alg": "RS256", "crit": ["b64"], "b64": true}),
        json!({"alg": "RS256", "typ": "at+jwt", "x5c": [], "more": {"of": "it"}}),
    ] {
        assert_eq!(
            asked(&header(unusual.clone())),
            ("token_not_authenticated", 1, Some("production".to_owned())),
            "{unusual}"
        );
    }
}

/// Keys that nobody has fetched.
#[derive(Debug)]
struct Unfetched;

impl KeySource for Unfetched {
    fn current(&self, _: &Patience) -> Result<Arc<KeySet>, ApiError> {
        Err(ApiError::OutOfPatience)
    }

    fn newer_than(&self, _: &Arc<KeySet>, _: &Patience) -> Option<Arc<KeySet>> {
        None
    }

    fn status(&self) -> KeysStatus {
        KeysStatus::default()
    }
}

#[test]
fn clusters_wait_for_whom_their_configuration_names_and_for_nobody_else() {
    let api: Arc<Counting> = Arc::default();
    let named = |name: &str| Cluster {
        name: name.to_owned(),
        ..Cluster::from(production(RSA.keys()))
    };
    let local = |name: &str, keys| {
        let mut cluster = named(name);
        if let Proof::Local(local) = &mut cluster.proof {
            local.keys = keys;
        }
        cluster
    };
    let mut looked_up = named("looked-up");
    looked_up.binding = Binding::LookedUp(Lookup {
        api: Arc::clone(&api) as _,
        node_labels: Vec::new(),
        pod_labels: Vec::new(),
    });
    let mut reviewed = named("reviewed");
    reviewed.proof = Proof::Review(ReviewProof {
        api: Arc::clone(&api) as _,
        audience: Vec::new(),
    });
    let verifier = TokenVerifier::new([
        local("fixed", TrustedKeys::Fixed(RSA.keys())),
        local("followed", TrustedKeys::Followed(Arc::new(Unfetched))),
        looked_up,
        reviewed,
    ]);
    assert_eq!(
        verifier.waiting_clusters(),
        ["followed", "looked-up", "reviewed"]
    );
    let asked: Vec<_> = verifier.asked_servers().into_keys().collect();
    assert_eq!(asked, ["looked-up", "reviewed"]);
    let token = token(&RSA, "RS256", &claims());
    for (cluster, waits) in [
        ("fixed", None),
        ("followed", Some("followed")),
        ("looked-up", Some("looked-up")),
        ("reviewed", Some("reviewed")),
        ("unknown", None),
    ] {
        let payload = json!({"cluster": cluster, "token": token}).to_string();
        let evidence =
            nameplate_evidence::RawEvidence::new(nameplate_evidence::Method::K8sSat, payload);
        assert_eq!(verifier.waits_for(&evidence.unwrap()), waits, "{cluster}");
    }
    assert_eq!(api.0.load(Ordering::Relaxed), 0);
}
