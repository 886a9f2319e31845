//! The cluster's keys are rotated, and whoever follows them goes on.

use crate::Subject;
use crate::run::Run;
use nameplate_peers::eventually;

const PSAT: &str = "k8s_psat";

/// Four ways to keep up with them, each in a SPIRE that runs through it.
pub(crate) fn are_rotated(run: &mut Run, subject: &Subject) {
    let place = run.at().display().to_string();
    let issuer = run.cluster.issuer();
    let published = format!(
        "verification = \"local\"\nissuer = \"{issuer}\"\njwks_ca_file = \"{place}/ca.crt\"\n\
         jwks_token_file = \"{place}/reviewer.token\""
    );
    let ways = [
        ("the keys' file is watched", subject.local.clone()),
        (
            "the keys' URL is followed",
            format!("{published}\njwks_url = \"{issuer}/openid/v1/jwks\""),
        ),
        (
            "the keys are discovered",
            format!("{published}\noidc_discovery = true"),
        ),
        ("the API server is asked", subject.review.clone()),
    ];
    let uid = run.cluster.pod("agent-3");
    let old = run.pod_token("agent-3", &uid);
    let old_agent = run.built_in_agent(PSAT, &old);
    let mut running = Vec::new();
    for (step, keys) in ways {
        let server = run.our_server(PSAT, &keys);
        let spire = run.spire(step, &server);
        let _path = spire.start_agent("old", &old_agent).attested();
        running.push((step, spire));
    }
    eprintln!("- SPIRE's metrics say how old followed keys are");
    for (step, spire) in &running {
        let has = || spire.metrics().contains("nameplate_jwks_age_seconds{");
        if ["the keys' URL is followed", "the keys are discovered"].contains(step) {
            eventually("the age of the keys is a metric", has);
        } else {
            assert!(!has(), "{step}");
        }
    }
    eprintln!("- the keys are rotated");
    run.cluster.rotate_keys();
    let new = run.pod_token("agent-3", &uid);
    let new_agent = run.built_in_agent(PSAT, &new);
    for (step, spire) in running {
        eprintln!("  {step}");
        let mut agent = spire.start_agent("new", &new_agent);
        let _path = agent.attested();
        let old_agent = run.built_in_agent(PSAT, &old);
        let before = spire.refusals().len();
        let refused = spire.start_agent("old", &old_agent);
        let reason = spire.refused(before);
        assert!(
            ["signature_invalid", "token_review_refused"].contains(&reason.as_str()),
            "{reason}"
        );
        run.heard(&(spire.said() + &agent.said() + &refused.said() + &spire.metrics()));
    }
}
