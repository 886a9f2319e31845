//! The naming is swapped while SPIRE runs.

use crate::Subject;
use crate::run::Run;
use nameplate_peers::eventually;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PSAT: &str = "k8s_psat";

/// The component of a policy that ships.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    fs::read(room.join(format!("{name}.wasm"))).unwrap()
}

/// A file that a policy is put in place of another in, whole.
pub(crate) struct PolicyFile(PathBuf);

impl PolicyFile {
    pub(crate) fn with(run: &Run, component: &[u8]) -> Self {
        let file = Self(run.at().join("policy.wasm"));
        file.swap(component);
        file
    }

    pub(crate) fn swap(&self, component: &[u8]) {
        let next = self.0.with_extension("next");
        fs::write(&next, component).unwrap();
        fs::rename(next, &self.0).unwrap();
    }

    pub(crate) fn key(&self) -> String {
        format!("policy {{ source = \"{}\" }}", self.0.display())
    }
}

pub(crate) fn of_the_policy(run: &mut Run, subject: &Subject) {
    let Subject {
        uid, token, local, ..
    } = subject;
    let policy = PolicyFile::with(run, &component("thumbprint"));
    let keys = format!("{local}\n{}", policy.key());
    let agent = run.built_in_agent(PSAT, token);
    let server = run.our_server(PSAT, &keys);
    let spire = run.spire("the policy is swapped while SPIRE runs", &server);
    // It wants the cluster's CA, which is not configured.
    let mut first = spire.start_agent("a", &agent);
    assert_eq!(spire.refused(0), "policy_denied");
    policy.swap(&component("pod"));
    spire.logged("Swapped after a file changed");
    // PermissionDenied is what ends an agent at once.
    eventually("the denied agent has ended", || !first.process().runs());
    let by_pod = format!("/spire/agent/k8s_psat/demo/spire/spire-agent/{uid}");
    assert_eq!(spire.start_agent("a", &agent).attested(), by_pod);
    policy.swap(b"broken");
    spire.logged("A changed file was refused, what served goes on");
    let mut last = spire.start_agent("a", &agent);
    assert_eq!(last.attested(), by_pod);
    run.heard(&(spire.said() + &last.said() + &spire.metrics()));
}

/// Three machines of three clusters, since the thumbprint is the cluster's: they
/// attest again each few seconds, by themselves.
pub(crate) fn while_agents_attest_again(run: &mut Run, subject: &Subject) {
    const CLUSTERS: [&str; 3] = ["red", "green", "blue"];
    let policy = PolicyFile::with(run, &component("uuid"));
    let ca = run.at().join("ca.crt");
    let local = &subject.local;
    let keys = format!("{local}\nca_file = \"{}\"\n{}", ca.display(), policy.key());
    let server = run.our_server_of(PSAT, &CLUSTERS.map(|cluster| (cluster, keys.as_str())));
    let spire = run.spire_for(
        "uuid becomes thumbprint while agents attest",
        "16s",
        &server,
    );
    let stanzas = CLUSTERS.map(|cluster| run.built_in_agent_of(cluster, &subject.token));
    let mut agents: Vec<_> = CLUSTERS
        .iter()
        .zip(&stanzas)
        .map(|(cluster, stanza)| spire.start_agent(cluster, stanza))
        .collect();
    let given_to = |cluster: &str| -> Vec<String> {
        let first = format!("/spire/agent/k8s_psat/{cluster}/");
        spire
            .given()
            .iter()
            .filter_map(|path| Some(path.strip_prefix(&first)?.to_owned()))
            .collect()
    };
    let each = |ready: &dyn Fn(&[String]) -> bool| {
        CLUSTERS.iter().all(|cluster| ready(&given_to(cluster)))
    };
    eventually("each agent attests twice", || {
        each(&|given| given.len() > 1)
    });
    policy.swap(&component("thumbprint"));
    let is_thumbprint = |name: &String| name.len() == 64;
    eventually("each agent attests twice by the new naming", || {
        each(&|given| given.iter().filter(|name| is_thumbprint(name)).count() > 1)
    });
    for cluster in CLUSTERS {
        let given = given_to(cluster);
        let swapped = given.iter().position(is_thumbprint).unwrap();
        let (before, after) = given.split_at(swapped);
        assert!(before.iter().all(|name| name.len() == 36), "{before:?}");
        let drawn: BTreeSet<_> = before.iter().collect();
        assert_eq!(drawn.len(), before.len(), "a UUID given twice: {before:?}");
        let named: BTreeSet<_> = after.iter().collect();
        assert_eq!(named.len(), 1, "{after:?}");
        eprintln!(
            "  {cluster}: {} by uuid, {} by thumbprint",
            before.len(),
            after.len()
        );
    }
    assert_eq!(spire.refusals(), Vec::<String>::new());
    for agent in &mut agents {
        assert!(agent.process().runs());
        let said = agent.said();
        assert!(!said.contains("\"level\":\"error\""), "{said}");
        run.heard(&said);
    }
    run.heard(&(spire.said() + &spire.metrics()));
}
