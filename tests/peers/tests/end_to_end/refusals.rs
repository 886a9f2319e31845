//! Who is refused, and why.

use crate::Subject;
use crate::run::Run;
use nameplate_peers::Agent;
use serde_json::json;

const PSAT: &str = "k8s_psat";

pub(crate) fn of_tokens(run: &mut Run, subject: &Subject) {
    let by_keys = run.our_server(PSAT, &subject.local);
    let by_review = run.our_server(PSAT, &subject.review);

    let bound = json!({"expirationSeconds": 600, "audiences": ["spire-server"]});
    let other = run.cluster.token("other", &bound);
    let other = run.secret(other);
    let agent = run.built_in_agent(PSAT, &other);
    let reason = run.refuse("an account that is not on the list", &by_keys, &agent);
    assert_eq!(reason, "service_account_not_allowed");

    let elsewhere = run.cluster.pod_token("agent-1", &subject.uid, "elsewhere");
    let elsewhere = run.secret(elsewhere);
    let agent = run.built_in_agent(PSAT, &elsewhere);
    let reason = run.refuse("another audience, by keys", &by_keys, &agent);
    assert_eq!(reason, "audience_mismatch");
    let reason = run.refuse("another audience, by review", &by_review, &agent);
    assert_eq!(reason, "token_review_refused");

    let late = run.cluster.moved(&subject.token, -3600);
    let late = run.secret(late);
    let agent = run.built_in_agent(PSAT, &late);
    let reason = run.refuse("an expired token, by keys", &by_keys, &agent);
    assert_eq!(reason, "token_expired");
    let reason = run.refuse("an expired token, by review", &by_review, &agent);
    assert_eq!(reason, "token_review_refused");
    // Its twin: what is wrong is the time, not how it was moved.
    let agent = run.cluster.moved(&subject.token, -1);
    let agent = run.secret(agent);
    let agent = run.built_in_agent(PSAT, &agent);
    let _attested = run.attest("a token moved and not expired", &by_keys, &agent);
}

/// The API server has just reviewed the first pod's token, and answers from
/// memory for 10 s: SPIRE's own plugin would attest.
pub(crate) fn of_a_pod_made_anew(run: &mut Run, subject: &Subject, stock: &Agent) {
    let server = run.our_server(PSAT, &subject.review);
    let agent = run.built_in_agent(PSAT, &subject.token);
    let again = run.attest("before the pod is made anew", &server, &agent);
    assert_eq!(&again, stock);
    run.cluster.delete_pod("agent-1");
    assert_ne!(run.cluster.pod("agent-1"), subject.uid);
    let reason = run.refuse("a pod made anew under its name", &server, &agent);
    eprintln!("  {reason}");
    assert!(
        ["pod_mismatch", "token_review_refused"].contains(&reason.as_str()),
        "{reason}"
    );
    run.cluster.delete_pod("agent-1");
    let reason = run.refuse("a pod that is gone", &server, &agent);
    assert!(
        ["pod_gone", "token_review_refused"].contains(&reason.as_str()),
        "{reason}"
    );
}

/// Keys go on without one, a review waits for it to come back.
pub(crate) fn without_an_api_server(run: &mut Run, subject: &Subject) {
    let uid = run.cluster.pod("agent-2");
    let token = run.pod_token("agent-2", &uid);
    let agent = run.built_in_agent(PSAT, &token);
    run.cluster.stop_server();
    let server = run.our_server(PSAT, &subject.local);
    let _attested = run.attest("no API server, by keys", &server, &agent);
    let server = run.our_server(PSAT, &subject.review);
    let spire = run.spire("no API server, by review", &server);
    let mut agent = spire.start_agent("a", &agent);
    assert_eq!(spire.refused(0), "api_unreachable");
    run.cluster.start_server();
    eprintln!("  the API server is back");
    let _attested = agent.attested();
    // After five failures in a row it is left alone for some seconds.
    let reasons = spire.refusals();
    let unanswered = ["api_unreachable", "api_suspended"];
    assert!(
        reasons
            .iter()
            .all(|reason| unanswered.contains(&reason.as_str())),
        "{reasons:?}"
    );
    run.heard(&(spire.said() + &agent.said() + &spire.metrics()));
}
