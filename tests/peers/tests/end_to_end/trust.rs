//! What lets somebody else's policy name machines: every decision is on
//! record, a swap has to pass, and the last good naming outlives its file.

use crate::Subject;
use crate::run::Run;
use crate::swaps::{PolicyFile, component};
use nameplate_peers::{Spire, eventually, kill, processes};
use serde_json::Value;

const PSAT: &str = "k8s_psat";

/// Where the plugin keeps what it keeps.
fn kept(run: &Run, name: &str) -> String {
    run.at().join(name).display().to_string()
}

/// How often a line of the log with `message` says `reason` somewhere.
fn told(spire: &Spire, message: &str, reason: &str) -> usize {
    let says = |line: &Value| line["msg"] == message && line.to_string().contains(reason);
    spire.log().iter().filter(|line| says(line)).count()
}

/// A gauge or counter of ours, with a label.
fn measured(spire: &Spire, name: &str, label: &str) -> Option<f64> {
    let metrics = spire.metrics();
    let line = metrics
        .lines()
        .find(|line| line.contains(&format!("{name}{{")) && line.contains(label))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// What a status says of the one attestor there is.
fn of_one(status: &Value, what: &str) -> Value {
    let found = status.pointer(&format!("/attestors/0/{what}"));
    found.cloned().unwrap_or_default()
}

/// A naming is recorded, tried beside another, gated and kept; its file is
/// broken, SPIRE starts anew, and everybody keeps their name.
pub(crate) fn in_a_naming(run: &mut Run, subject: &Subject) {
    let (log, state) = (kept(run, "decisions"), kept(run, "state"));
    let policy = PolicyFile::with(run, &component("pod"));
    let data = format!(
        "{}\ndecision_log {{ directory = \"{log}\" flush = \"each\" }}\nstate_directory = \"{state}\"\n\
         gate {{ against = \"{log}\" }}\nshadow {{ source = \"builtin:node\" }}\n\
         on_collision = \"refuse\"",
        policy.key()
    );
    let server = run.our_server_with(PSAT, &data, &subject.local);
    let agent = run.built_in_agent(PSAT, &subject.token);
    let by_pod = format!(
        "/spire/agent/k8s_psat/demo/spire/spire-agent/{}",
        subject.uid
    );
    let mut spire = run.spire("a naming is recorded, gated and kept", &server);
    assert_eq!(spire.start_agent("a", &agent).attested(), by_pod);
    let status = |run: &Run| run.asked(&["status", "--state", &state]);
    let (well, answer) = status(run);
    assert!(well, "{answer}");
    assert_eq!(of_one(&answer, "serving/generation"), 1);
    assert_eq!(of_one(&answer, "serving/why"), "configured");

    eprintln!("  another would be named otherwise, and is only asked");
    let label = "outcome=\"differed\"";
    eventually("the shadow is measured", || {
        measured(&spire, "nameplate_shadow", label) == Some(1.0)
    });
    assert_eq!(told(&spire, "The shadow decides otherwise", "changed"), 1);

    eprintln!("  one that renames is refused by the gate");
    policy.swap(&component("uuid"));
    spire.logged("A changed file was refused, what served goes on");
    let refused = "1 subject is named otherwise";
    let message = "A changed file was refused, what served goes on";
    assert!(told(&spire, message, refused) > 0, "{}", spire.said());
    let (well, answer) = status(run);
    assert!(!well);
    assert_eq!(of_one(&answer, "refused/by"), "gate");
    assert_eq!(spire.start_agent("a", &agent).attested(), by_pod);

    eprintln!("  its file is broken, and SPIRE starts anew");
    policy.swap(b"broken");
    assert!(spire.process().stop().success());
    run.heard(&spire.said());
    let mut spire = run.spire_again("the last good naming serves after a restart", &server);
    spire.logged("The last good naming serves, not what is configured");
    assert_eq!(spire.start_agent("a", &agent).attested(), by_pod);
    let (well, answer) = status(run);
    assert!(!well);
    assert_eq!(of_one(&answer, "serving/why"), "restored");

    eprintln!("  one that names nobody otherwise passes");
    let mut same = component("pod");
    same.extend([0, 5, 3, b'o', b'w', b'n', b'!']);
    policy.swap(&same);
    spire.logged("Swapped after a file changed");
    assert_eq!(spire.start_agent("a", &agent).attested(), by_pod);
    assert!(status(run).0);
    assert_eq!(
        measured(&spire, "nameplate_decision_log_lost", "k8s_psat").unwrap_or_default(),
        0.0
    );
    assert!(spire.process().stop().success());
    run.heard(&(spire.said() + &answer.to_string()));

    eprintln!("  and every decision comes out the same");
    let (well, verified) = run.asked(&["log", "verify", &log]);
    assert!(well, "{verified}");
    assert_eq!(verified["decisions"], 4);
    let components = format!("{state}/{PSAT}/components");
    let (well, replayed) = run.asked(&["log", "replay", &log, "--component", &components]);
    assert!(well, "{replayed}");
    assert_eq!(replayed["same"], 4);
    let (well, under) = run.asked(&["log", "replay", &log, "--policy", "builtin:uuid"]);
    assert!(!well);
    assert_eq!(under["diverged"], 4);
    let segments = std::fs::read_dir(&log).unwrap().flatten();
    for segment in segments {
        let text = std::fs::read(segment.path()).unwrap();
        run.heard(&String::from_utf8_lossy(&text));
    }
}

/// The plugin is killed while agents attest: whatever SPIRE was given is on
/// record, and the log goes on.
pub(crate) fn in_what_is_written(run: &mut Run, subject: &Subject) {
    let log = kept(run, "killed");
    let data = format!("decision_log {{ directory = \"{log}\" flush = \"each\" }}");
    let server = run.our_server_with(PSAT, &data, &subject.local);
    let agent = run.built_in_agent(PSAT, &subject.token);
    let spire = run.spire(
        "the plugin is killed, and nothing is off the record",
        &server,
    );
    let at = run.at_spire();
    let mut given = spire.start_agent("a", &agent);
    let path = given.attested();
    processes(&at, &["spire", "server", "--attestor"])
        .into_iter()
        .for_each(kill);
    spire.logged("plugin process exited");
    let recorded = |run: &Run| {
        let (well, verified) = run.asked(&["log", "verify", &log]);
        assert!(well, "{verified}");
        verified["decisions"].as_u64().unwrap()
    };
    assert_eq!(recorded(run), spire.given().len() as u64);
    run.heard(&spire.said());
    drop(spire);
    let spire = run.spire_again("the log goes on", &server);
    assert_eq!(spire.start_agent("b", &agent).attested(), path);
    run.heard(&spire.said());
    drop(spire);
    let (_, shown) = run.asked(&["log", "show", &log, "--last", "1"]);
    assert_eq!(
        shown["decision"]["spiffe_id"],
        format!("spiffe://example.org{path}")
    );
    assert_eq!(recorded(run), 2);
}

/// A policy that calls two machines the same names one of them.
pub(crate) fn in_ids_of_one_subject(run: &mut Run, subject: &Subject) {
    let state = kept(run, "held");
    let data = format!(
        "policy {{\nsource = \"builtin:template\"\nsettings {{ path = [\"{{cluster}}\"] }}\n}}\n\
         state_directory = \"{state}\"\non_collision = \"refuse\"\n\
         subject_keys = [\"/subject/service_account/pod/uid\"]"
    );
    let server = run.our_server_with(PSAT, &data, &subject.local);
    let first = run.built_in_agent(PSAT, &subject.token);
    let other = run.cluster.pod("agent-3");
    let token = run.pod_token("agent-3", &other);
    let second = run.built_in_agent(PSAT, &token);
    let spire = run.spire("two pods, and one name for both", &server);
    let shared = "/spire/agent/k8s_psat/demo";
    assert_eq!(spire.start_agent("a", &first).attested(), shared);
    let mut refused = spire.start_agent("b", &second);
    assert_eq!(spire.refused(0), "identity_collision");
    assert!(!spire.given().is_empty());
    eprintln!("  the operator lets the second have it");
    let id = format!("spiffe://example.org{shared}");
    let (well, _) = run.asked(&["release", &id, "--state", &state]);
    assert!(well);
    assert_eq!(refused.attested(), shared);
    run.cluster.delete_pod("agent-3");
    run.heard(&(spire.said() + &refused.said() + &spire.metrics()));
}
