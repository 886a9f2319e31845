//! What is attacked where no configuration is given: every method, under the
//! default limits and in the default envelope.

use crate::authority;
use crate::chains::ChainGround;
use crate::cluster::Keys;
use crate::error::TortureError;
use crate::target::{Ground, Subject, Target, seconds};
use crate::tokens::TokenGround;
use nameplate_attestor::config::{NamingConfig, PolicyPlace};
use nameplate_attestor::{Envelope, Namespace};
use nameplate_evidence::certificates::{CertificateVerifier, ChainLimits, Trust};
use nameplate_evidence::{Binding, Cluster, KeySet, LocalProof, Method, Proof, TrustedKeys};
use nameplate_policy::{Limits, PolicySource};
use serde_json::json;
use std::time::{Duration, SystemTime};

/// `k8s_sat`, `k8s_psat` and `x509pop`, as a careful operator configures them.
pub(crate) fn targets(now: SystemTime) -> Result<Vec<Target>, TortureError> {
    let mut targets = Vec::new();
    for (method, policy, binding) in [
        (Method::K8sSat, "uuid", Binding::Any),
        (Method::K8sPsat, "node", Binding::Pod),
    ] {
        let cluster = cluster(binding)?;
        let ground = TokenGround::of(&cluster, seconds(now))?;
        let subject = subject(method, policy, vec!["{cluster}"])?;
        targets.extend(ground.map(|ground| subject.with(Ground::Tokens(ground), now)));
    }
    let verifier = CertificateVerifier {
        trust: Trust::Bundle(authority::bundle(&authority::root("default")?)?),
        limits: ChainLimits::default(),
        cluster: None,
        node: None,
        verify_client_ip: true,
    };
    let subject = subject(Method::X509Pop, "thumbprint", Vec::new())?;
    targets.push(subject.with(Ground::Chains(ChainGround::of(&verifier)?), now));
    Ok(targets)
}

fn subject(method: Method, policy: &str, leading: Vec<&str>) -> Result<Subject, TortureError> {
    let ours = |_ours| TortureError::Key("default configuration");
    let mut envelope = Envelope {
        reserved: vec!["server".to_owned()],
        ..Envelope::default()
    };
    for segment in leading {
        let segment = segment.parse();
        envelope
            .leading
            .push(segment.map_err(|_ours| TortureError::Key("default configuration"))?);
    }
    let settings = match policy {
        "thumbprint" => json!({"source": "fingerprint"}),
        _ => json!({}),
    };
    Ok(Subject {
        name: method.to_string(),
        namespace: Namespace {
            trust_domain: "example.org".parse().map_err(ours)?,
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
    })
}

fn cluster(binding: Binding) -> Result<Cluster, TortureError> {
    let ours = || TortureError::Key("default configuration");
    let keys = KeySet::from_jwks(Keys::new()?.jwks().as_bytes());
    Ok(Cluster {
        name: "production".to_owned(),
        allowed: vec!["spire:spire-agent".parse().map_err(|_ours| ours())?],
        ca_thumbprint: None,
        proof: Proof::Local(LocalProof {
            keys: TrustedKeys::Fixed(keys.map_err(|_ours| ours())?),
            issuer: Some("https://kubernetes.default.svc.cluster.local".to_owned()),
            audience: vec!["spire-server".to_owned()],
            leeway: Duration::from_secs(60),
            allow_unexpiring_tokens: false,
        }),
        binding,
    })
}
