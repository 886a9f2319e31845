//! The plugin in a real SPIRE, with tokens of a real API server.
//!
//! One test with steps, since they share a cluster. It runs where
//! `NAMEPLATE_PEERS` names the directory that `tests/peers/build` filled.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that says what it left out, and how far it is"
)]

mod certificates;
mod commands;
mod configuration;
mod endings;
mod identities;
mod keys;
mod refusals;
mod requests;
mod run;
mod swaps;
mod trust;

use run::Run;

/// SPIRE's built-in, as its documentation configures it.
const REVIEW: &str = "kube_config_file = \"WORK/reviewer.kubeconfig\"\n\
    allowed_node_label_keys = [\"topology.kubernetes.io/zone\", \"rack\"]\n\
    allowed_pod_label_keys = [\"app\"]";

const LOCAL: &str = "verification = \"local\"\njwks_file = \"WORK/jwks.json\"\nissuer = \"ISSUER\"";

/// What most steps are about: the pod of an agent, its token, and the two ways
/// to verify it.
struct Subject {
    uid: String,
    token: String,
    review: String,
    local: String,
}

#[test]
fn in_a_real_spire() {
    let Some(bin) = nameplate_peers::peers() else {
        eprintln!(
            "left out: needs a real SPIRE and API server; `tests/peers/build` makes them and says \
             how to run this"
        );
        return;
    };
    let mut run = Run::start(bin);
    let place = run.at().display().to_string();
    let issuer = run.cluster.issuer();
    let uid = run.cluster.pod("agent-1");
    let subject = Subject {
        token: run.pod_token("agent-1", &uid),
        uid,
        review: REVIEW.replace("WORK", &place),
        local: LOCAL.replace("WORK", &place).replace("ISSUER", &issuer),
    };
    let stock = identities::are_those_of_spire(&mut run, &subject);
    identities::of_the_other_shape(&mut run, &subject);
    identities::of_service_accounts(&mut run);
    commands::ask_about_tokens(&mut run, &subject, &stock);
    refusals::of_tokens(&mut run, &subject);
    certificates::have_spires_ids(&mut run);
    certificates::of_spires_own_authority(&mut run);
    certificates::are_refused(&mut run);
    certificates::of_another_spires_agent(&mut run);
    requests::are_approved_and_denied(&mut run, &subject);
    requests::are_kept_and_renewed(&mut run, &subject);
    requests::are_refused_by_what_the_api_server_knows(&mut run);
    commands::ask_about_certificates(&mut run, &subject);
    configuration::is_validated(&run, &subject);
    swaps::of_the_policy(&mut run, &subject);
    swaps::while_agents_attest_again(&mut run, &subject);
    trust::in_a_naming(&mut run, &subject);
    trust::in_what_is_written(&mut run, &subject);
    trust::in_ids_of_one_subject(&mut run, &subject);
    endings::of_the_plugin(&mut run, &subject);
    endings::of_spire(&mut run, &subject);
    refusals::of_a_pod_made_anew(&mut run, &subject, &stock);
    refusals::without_an_api_server(&mut run, &subject);
    keys::are_rotated(&mut run, &subject);
    run.nothing_was_said_that_must_not();
}
