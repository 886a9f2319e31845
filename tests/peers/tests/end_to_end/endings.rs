//! The plugin ends, or SPIRE does: nobody panics, and nothing stays behind.

use crate::Subject;
use crate::run::Run;
use nameplate_peers::{Spire, eventually, kill, processes};
use std::fs;
use std::path::Path;

const PSAT: &str = "k8s_psat";
const PLUGIN: [&str; 3] = ["spire", "server", "--attestor"];

/// The sockets of the plugin (`nameplate-…`), and of SPIRE for it (`plugin…`).
fn sockets(directory: &Path, prefix: &str) -> Vec<String> {
    fs::read_dir(directory)
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect()
}

/// A SPIRE whose plugin has answered.
fn serving(run: &mut Run, step: &str, subject: &Subject) -> Spire {
    let server = run.our_server(PSAT, &subject.local);
    let spire = run.spire(step, &server);
    let stanza = run.built_in_agent(PSAT, &subject.token);
    let mut agent = spire.start_agent("a", &stanza);
    let _path = agent.attested();
    assert_eq!(processes(&run.at_spire(), &PLUGIN).len(), 1);
    assert_eq!(sockets(&run.at_spire(), "nameplate-").len(), 1);
    assert_eq!(sockets(&run.at_spire(), "plugin").len(), 1);
    spire
}

/// SPIRE starts no plugin twice: it goes on, and says that nobody answers.
pub(crate) fn of_the_plugin(run: &mut Run, subject: &Subject) {
    let mut spire = serving(run, "the plugin is killed", subject);
    let at = run.at_spire();
    processes(&at, &PLUGIN).into_iter().for_each(kill);
    spire.logged("plugin process exited");
    let stanza = run.built_in_agent(PSAT, &subject.token);
    let agent = spire.start_agent("b", &stanza);
    eventually("the agent is told", || agent.said().contains("Unavailable"));
    assert!(spire.is_healthy());
    drop(agent);
    let status = spire.process().stop();
    assert!(status.success(), "{status}");
    assert_eq!(sockets(&at, "plugin"), Vec::<String>::new());
    run.heard(&spire.said());
    // Killed, it had no time to take its own along; the next start does.
    let left = sockets(&at, "nameplate-");
    assert_eq!(left.len(), 1);
    let server = run.our_server(PSAT, &subject.local);
    let mut spire = run.spire_again("SPIRE is started anew", &server);
    let now = sockets(&at, "nameplate-");
    assert_eq!(now.len(), 1);
    assert_ne!(now, left);
    assert!(spire.process().stop().success());
    assert_eq!(sockets(&at, "nameplate-"), Vec::<String>::new());
    run.heard(&spire.said());
}

pub(crate) fn of_spire(run: &mut Run, subject: &Subject) {
    let mut spire = serving(run, "SPIRE is stopped", subject);
    let at = run.at_spire();
    let status = spire.process().stop();
    assert!(status.success(), "{status}");
    assert!(processes(&at, &PLUGIN).is_empty());
    assert_eq!(sockets(&at, "nameplate-"), Vec::<String>::new());
    assert_eq!(sockets(&at, "plugin"), Vec::<String>::new());
    run.heard(&spire.said());

    let mut spire = serving(run, "SPIRE is killed", subject);
    let at = run.at_spire();
    spire.process().kill();
    eventually("the plugin ends with SPIRE", || {
        processes(&at, &PLUGIN).is_empty()
    });
    // SPIRE's own socket for the plugin stays, as nobody is left to remove it.
    assert_eq!(sockets(&at, "nameplate-"), Vec::<String>::new());
    run.heard(&spire.said());
}
