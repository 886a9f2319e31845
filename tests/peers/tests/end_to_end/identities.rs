//! Who gets which ID and selectors, beside SPIRE's own attestor.

use crate::Subject;
use crate::run::Run;
use nameplate_peers::Agent;
use serde_json::json;

const PSAT: &str = "k8s_psat";
const SAT: &str = "k8s_sat";

/// The built-in's answer, which ours has to be whatever side it is on.
pub(crate) fn are_those_of_spire(run: &mut Run, subject: &Subject) -> Agent {
    let Subject {
        token,
        review,
        local,
        ..
    } = subject;
    let built_in = Run::built_in_server(PSAT, review);
    let stock_agent = run.built_in_agent(PSAT, token);
    let our_agent = run.our_agent(PSAT, token);

    let stock = run.attest("stock and stock", &built_in, &stock_agent);
    assert!(stock.can_reattest);
    assert_eq!(stock.selectors.len(), 11, "{stock:?}");
    let ours = run.attest("stock server, our agent", &built_in, &our_agent);
    assert_eq!(ours, stock);
    let server = run.our_server(PSAT, review);
    let ours = run.attest("our server reviews, stock agent", &server, &stock_agent);
    assert_eq!(ours, stock);
    let looked_up = format!("{local}\nlookup = true\n{review}");
    let server = run.our_server(PSAT, &looked_up);
    let ours = run.attest("our server looks up, stock agent", &server, &stock_agent);
    assert_eq!(ours, stock);

    let server = run.our_server(PSAT, local);
    let spire = run.spire("our server by keys, stock agent", &server);
    let mut agent = spire.start_agent("a", &stock_agent);
    let ours = spire.agent(&agent.attested());
    assert_eq!((&ours.path, ours.can_reattest), (&stock.path, true));
    let read =
        |selector: &&String| selector.starts_with("agent_node_ip:") || selector.contains("_label:");
    let proven: Vec<_> = stock.selectors.iter().filter(|s| !read(s)).collect();
    assert_eq!(ours.selectors.iter().collect::<Vec<_>>(), proven);
    eprintln!("  a workload on it has an SVID");
    spire.register(&ours.path, "/workload");
    agent.fetches("/workload");
    eprintln!("  it is counted in SPIRE's metrics");
    let metrics = spire.metrics();
    let counted: Vec<_> = metrics
        .lines()
        .filter(|line| line.contains("nameplate_attestation{"))
        .collect();
    assert_eq!(counted.len(), 1, "{metrics}");
    assert!(
        counted
            .iter()
            .all(|line| line.contains("outcome=\"identity\""))
    );
    assert!(
        counted.iter().all(|line| line.ends_with(" 1")),
        "{counted:?}"
    );
    run.heard(&(spire.said() + &agent.said() + &metrics));
    stock
}

pub(crate) fn of_the_other_shape(run: &mut Run, subject: &Subject) {
    let keys = format!("{}\nuse_pod_uid_for_agent_id = true", subject.local);
    let server = run.our_server(PSAT, &keys);
    let agent = run.our_agent(PSAT, &subject.token);
    let ours = run.attest("SPIRE's other shape", &server, &agent);
    let uid = &subject.uid;
    assert_eq!(ours.path, format!("/spire/agent/k8s_psat/demo/pod/{uid}"));
}

/// `k8s_sat`, which SPIRE has no more.
pub(crate) fn of_service_accounts(run: &mut Run) {
    let token = run
        .cluster
        .token("spire-agent", &json!({"expirationSeconds": 600}));
    let token = run.secret(token);
    let agent = run.our_agent(SAT, &token);
    let place = run.at().display();
    let keys = format!("service_account_key_file = \"{place}/sa.pub\"");
    let review = format!(
        "use_token_review_api_validation = true\nkube_config_file = \"{place}/reviewer.kubeconfig\""
    );
    let selectors = ["agent_ns:spire", "agent_sa:spire-agent", "cluster:demo"];
    for (step, keys) in [("k8s_sat by keys", keys), ("k8s_sat by review", review)] {
        let server = run.our_server(SAT, &keys);
        let ours = run.attest(step, &server, &agent);
        assert_eq!(ours.selectors, selectors);
        assert!(!ours.can_reattest);
    }
}
