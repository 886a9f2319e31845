//! What is attacked where no configuration is given: every method, under the
//! default limits and in the default envelope.

use crate::authority;
use crate::chains::ChainGround;
use crate::cluster::{Keys, KnownTokens, Publisher};
use crate::error::TortureError;
use crate::target::{Ground, Subject, Target, seconds};
use crate::tokens::TokenGround;
use nameplate_attestor::config::{NamingConfig, PolicyPlace};
use nameplate_attestor::kubernetes::PublishedKeys;
use nameplate_attestor::{Envelope, Namespace};
use nameplate_evidence::certificates::{
    CertificateVerifier, ChainLimits, NodeLookup, NodeRule, RequestRule, SvidRule, Trust,
};
use nameplate_evidence::{
    Binding, Cluster, LocalProof, Lookup, Method, Proof, Rhythm, TrustedKeys,
};
use nameplate_policy::{Limits, PolicySource};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const TRUST_DOMAIN: &str = "example.org";

/// Every method, as a careful operator configures it; `x509pop` both with a
/// bundle of authorities and with the trust domain's own (SPIFFE mode).
pub(crate) fn targets(now: SystemTime) -> Result<Vec<Target>, TortureError> {
    let mut targets = Vec::new();
    let api = || Arc::new(KnownTokens::new("spire-agent"));
    let lookup = Lookup {
        api: api(),
        node_labels: Vec::new(),
        pod_labels: Vec::new(),
    };
    for (method, policy, binding) in [
        (Method::K8sSat, "uuid", Binding::Any),
        (Method::K8sPsat, "node", Binding::LookedUp(lookup)),
    ] {
        let cluster = cluster(binding)?;
        let ground = TokenGround::of(&cluster, seconds(now))?;
        let subject = subject(method, (policy, json!({})), "{cluster}")?;
        targets.extend(ground.map(|ground| subject.with(Ground::Tokens(ground), now)));
    }
    let verifier = CertificateVerifier {
        trust: Trust::Bundle(authority::bundle(&authority::root("default")?)?),
        limits: ChainLimits::default(),
        cluster: None,
        node: None,
        verify_client_ip: true,
    };
    let domain = CertificateVerifier {
        trust: Trust::Domain(SvidRule {
            trust_domain: TRUST_DOMAIN.to_owned(),
            prefix: "/spire-exchange/".to_owned(),
        }),
        ..verifier.clone()
    };
    let nodes = CertificateVerifier {
        cluster: Some("production".to_owned()),
        node: Some(NodeRule {
            lookup: Some(NodeLookup {
                api: api(),
                node_labels: Vec::new(),
                request: Some(RequestRule {
                    signer: "kubernetes.io/kube-apiserver-client-kubelet".to_owned(),
                    allow_requester_without_node: false,
                }),
            }),
        }),
        ..verifier.clone()
    };
    let agents = json!({"path": ["agents", "{sha256}"]});
    let of_cluster = json!({"path": ["{cluster}", "{node_name}"]});
    for (name, method, path, leading, verifier) in [
        (
            "x509pop",
            Method::X509Pop,
            agents.clone(),
            "agents",
            verifier,
        ),
        (
            "x509pop of SVIDs",
            Method::X509Pop,
            agents,
            "agents",
            domain,
        ),
        ("k8s", Method::K8s, of_cluster, "{cluster}", nodes),
    ] {
        let mut subject = subject(method, ("template", path), leading)?;
        subject.name = name.to_owned();
        targets.push(subject.with(Ground::Chains(ChainGround::of(&verifier)?), now));
    }
    Ok(targets)
}

fn subject(
    method: Method,
    (policy, settings): (&str, Value),
    leading: &str,
) -> Result<Subject, TortureError> {
    let ours = |_ours| TortureError::Key("default configuration");
    let mut envelope = Envelope {
        reserved: vec!["server".to_owned()],
        ..Envelope::default()
    };
    let leading = leading.parse();
    envelope
        .leading
        .push(leading.map_err(|_ours| TortureError::Key("default configuration"))?);
    let (gate, rollback) = crate::swaps::careful();
    Ok(Subject {
        name: method.to_string(),
        namespace: Namespace {
            trust_domain: TRUST_DOMAIN.parse().map_err(ours)?,
            attestor: method
                .as_str()
                .parse()
                .map_err(|_ours| TortureError::Key("default configuration"))?,
        },
        method,
        naming: NamingConfig {
            source: PolicySource::Builtin(policy.to_owned()),
            digest: None,
            settings,
            envelope,
            limits: Limits::default(),
            place: PolicyPlace::default(),
        },
        one_time_tokens: method == Method::K8sSat,
        gate: Some(gate),
        rollback: Some(rollback),
        waiting: 0,
        cluster_share: None,
    })
}

fn cluster(binding: Binding) -> Result<Cluster, TortureError> {
    let ours = || TortureError::Key("default configuration");
    // As those that a cluster publishes: nobody is asked for them.
    let publisher = Publisher::of(Keys::new()?.jwks());
    let keys = PublishedKeys::rehearsing(Rhythm::default(), Arc::new(publisher));
    Ok(Cluster {
        name: "production".to_owned(),
        allowed: vec!["spire:spire-agent".parse().map_err(|_ours| ours())?],
        ca_thumbprint: None,
        proof: Proof::Local(LocalProof {
            keys: TrustedKeys::Followed(Arc::new(keys)),
            issuer: Some("https://kubernetes.default.svc.cluster.local".to_owned()),
            audience: vec!["spire-server".to_owned()],
            leeway: Duration::from_secs(60),
            allow_unexpiring_tokens: false,
        }),
        binding,
    })
}
