//! The plugin in a real SPIRE, with tokens of a real API server.
//!
//! One test with steps, since they share a cluster. It runs where
//! `NAMEPLATE_PEERS` names the directory that `tests/peers/build` filled.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that says what it left out, and how far it is"
)]

use nameplate_peers::{Agent, Cluster, Spire, eventually, nameplate, peers};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

struct Run {
    bin: PathBuf,
    work: tempfile::TempDir,
    nameplate: PathBuf,
    checksum: String,
    /// Everything that was said, to be searched for tokens.
    said: String,
    number: usize,
}

impl Run {
    fn at(&self) -> &Path {
        self.work.path()
    }

    fn load(&self, side: &str, method: &str) -> String {
        format!(
            "plugin_cmd = \"{}\"\nplugin_args = [\"spire\", \"{side}\", \"--attestor\", \
             \"{method}\"]\nplugin_checksum = \"{}\"\n",
            self.nameplate.display(),
            self.checksum
        )
    }

    /// A server's stanza: ours where it is loaded, the built-in where not.
    fn server(&self, method: &str, ours: bool, keys: &str) -> String {
        let load = if ours {
            self.load("server", method)
        } else {
            String::new()
        };
        format!(
            "NodeAttestor \"{method}\" {{\n{load}plugin_data {{ clusters = {{ \"demo\" = {{\n\
             service_account_allow_list = [\"spire:spire-agent\"]\n{keys}\n}} }} }}\n}}\n"
        )
    }

    fn agent(&self, method: &str, ours: bool, token: &str) -> String {
        let load = if ours {
            self.load("agent", method)
        } else {
            String::new()
        };
        let path = self.at().join("agent.token");
        fs::write(&path, format!("{token}\n")).unwrap();
        format!(
            "NodeAttestor \"{method}\" {{\n{load}plugin_data {{\ncluster = \"demo\"\n\
             token_path = \"{}\"\n}}\n}}\n",
            path.display()
        )
    }

    fn spire(&mut self, step: &str, server: &str) -> Spire {
        eprintln!("- {step}");
        self.number += 1;
        let work = self.at().join(self.number.to_string());
        fs::create_dir(&work).unwrap();
        Spire::start(&self.bin, &work, server)
    }

    fn attest(&mut self, step: &str, server: &str, agent: &str) -> Agent {
        let mut spire = self.spire(step, server);
        spire.start_agent(agent);
        let attested = spire.attested();
        self.said.push_str(&spire.said());
        attested
    }

    fn refuse(&mut self, step: &str, server: &str, agent: &str) -> String {
        let mut spire = self.spire(step, server);
        spire.start_agent(agent);
        let reason = spire.refused();
        self.said.push_str(&spire.said());
        reason
    }
}

const REVIEW: &str = "kube_config_file = \"WORK/reviewer.kubeconfig\"\n\
    allowed_node_label_keys = [\"topology.kubernetes.io/zone\", \"rack\"]\n\
    allowed_pod_label_keys = [\"app\"]";

const LOCAL: &str = "verification = \"local\"\njwks_file = \"WORK/jwks.json\"\n\
    issuer = \"https://kubernetes.default.svc.cluster.local\"";

#[test]
fn in_a_real_spire() {
    let Some(bin) = peers() else {
        eprintln!(
            "left out: needs a real SPIRE and API server; `tests/peers/build` makes them and says \
             how to run this"
        );
        return;
    };
    let nameplate = nameplate();
    let mut checksum = String::new();
    for byte in Sha256::digest(fs::read(&nameplate).unwrap()) {
        write!(checksum, "{byte:02x}").unwrap();
    }
    // Short, as socket paths have to be.
    let work = tempfile::Builder::new().prefix("np").tempdir().unwrap();
    let mut run = Run {
        bin,
        work,
        nameplate,
        checksum,
        said: String::new(),
        number: 0,
    };
    let place = run.at().display().to_string();
    let review = REVIEW.replace("WORK", &place);
    let local = LOCAL.replace("WORK", &place);
    eprintln!("- a cluster");
    let mut cluster = Cluster::start(&run.bin, run.at());
    let uid = cluster.pod("agent-1");
    let token = cluster.pod_token("agent-1", &uid, "spire-server");
    let mut tokens = vec![token.clone()];

    let psat = "k8s_psat";
    let built_in = run.server(psat, false, &review);
    let by_review = run.server(psat, true, &review);
    let by_keys = run.server(psat, true, &local);
    let stock_agent = run.agent(psat, false, &token);
    let our_agent = run.agent(psat, true, &token);

    let stock = run.attest("stock and stock", &built_in, &stock_agent);
    assert!(stock.can_reattest);
    assert_eq!(stock.selectors.len(), 11, "{stock:?}");
    let ours = run.attest("our server reviews, stock agent", &by_review, &stock_agent);
    assert_eq!(ours, stock);
    let looked_up = local.clone() + "\nlookup = true\n" + &review;
    let looked_up = run.server(psat, true, &looked_up);
    let ours = run.attest("our server looks up, stock agent", &looked_up, &stock_agent);
    assert_eq!(ours, stock);
    let ours = run.attest("our server by keys, stock agent", &by_keys, &stock_agent);
    assert_eq!((&ours.path, ours.can_reattest), (&stock.path, true));
    let read =
        |selector: &&String| selector.starts_with("agent_node_ip:") || selector.contains("_label:");
    let proven: Vec<_> = stock.selectors.iter().filter(|s| !read(s)).collect();
    assert_eq!(ours.selectors.iter().collect::<Vec<_>>(), proven);
    let ours = run.attest("stock server, our agent", &built_in, &our_agent);
    assert_eq!(ours, stock);

    let by_pod = run.server(
        psat,
        true,
        &(local.clone() + "\nuse_pod_uid_for_agent_id = true"),
    );
    let ours = run.attest("SPIRE's other shape", &by_pod, &our_agent);
    assert_eq!(ours.path, format!("/spire/agent/k8s_psat/demo/pod/{uid}"));

    let sat = "k8s_sat";
    let bound = json!({"expirationSeconds": 600});
    let legacy = cluster.token("spire-agent", &bound);
    tokens.push(legacy.clone());
    let agent = run.agent(sat, true, &legacy);
    let keys = format!("service_account_key_file = \"{place}/sa.pub\"");
    let server = run.server(sat, true, &keys);
    let selectors = ["agent_ns:spire", "agent_sa:spire-agent", "cluster:demo"];
    let ours = run.attest("k8s_sat by keys", &server, &agent);
    assert_eq!(ours.selectors, selectors);
    assert!(!ours.can_reattest);
    let asked = format!(
        "use_token_review_api_validation = true\nkube_config_file = \"{place}/reviewer.kubeconfig\""
    );
    let server = run.server(sat, true, &asked);
    let ours = run.attest("k8s_sat by review", &server, &agent);
    assert_eq!(ours.selectors, selectors);

    let other = cluster.token("other", &json!({"expirationSeconds": 600}));
    tokens.push(other.clone());
    let agent = run.agent(sat, true, &other);
    let server = run.server(sat, true, &keys);
    let reason = run.refuse("an account that is not on the list", &server, &agent);
    assert_eq!(reason, "service_account_not_allowed");
    let elsewhere = cluster.pod_token("agent-1", &uid, "elsewhere");
    tokens.push(elsewhere.clone());
    let agent = run.agent(psat, false, &elsewhere);
    let reason = run.refuse("another audience, by keys", &by_keys, &agent);
    assert_eq!(reason, "audience_mismatch");
    let reason = run.refuse("another audience, by review", &by_review, &agent);
    assert_eq!(reason, "token_review_refused");

    eprintln!("- a configuration is validated");
    let good = Spire::validate(&run.bin, run.at(), &by_keys);
    assert!(good.status.success(), "{good:?}");
    let bad = by_keys.replace("issuer", "isuer");
    let bad = Spire::validate(&run.bin, run.at(), &bad);
    assert!(!bad.status.success());
    let said = String::from_utf8_lossy(&bad.stdout) + String::from_utf8_lossy(&bad.stderr);
    assert!(said.contains("did you mean `issuer`?"), "{said}");

    let policy = run.at().join("policy.wasm");
    let load = |name: &str| {
        let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
        fs::read(room.join(format!("{name}.wasm"))).unwrap()
    };
    let swap = |component: &[u8]| {
        let next = policy.with_extension("next");
        fs::write(&next, component).unwrap();
        fs::rename(next, &policy).unwrap();
    };
    swap(&load("node"));
    let named = format!("{local}\npolicy {{ source = \"{}\" }}", policy.display());
    let agent = run.agent(psat, false, &token);
    let server = run.server(psat, true, &named);
    let mut spire = run.spire("the policy is swapped while SPIRE runs", &server);
    spire.start_agent(&agent);
    assert_eq!(spire.attested().path, stock.path);
    swap(&load("pod"));
    spire.logged("Swapped after a file changed");
    spire.start_agent(&agent);
    let by_pod = format!("/spire/agent/k8s_psat/demo/spire/spire-agent/{uid}");
    assert_eq!(spire.attested().path, by_pod);
    swap(b"broken");
    spire.logged("A changed file was refused, what served goes on");
    spire.start_agent(&agent);
    assert_eq!(spire.attested().path, by_pod);
    run.said.push_str(&spire.said());
    drop(spire);

    let mut spire = run.spire("SPIRE is killed", &by_keys);
    let sockets = run.at().join(run.number.to_string());
    let plugins = || {
        let is_ours = |entry: &fs::DirEntry| {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let parent = fs::read_to_string(entry.path().join("environ")).unwrap_or_default();
            command.windows(6).any(|word| word == b"server")
                && String::from_utf8_lossy(&command).contains("nameplate\0spire")
                && parent.contains(&format!("TMPDIR={}", sockets.display()))
        };
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes.filter(is_ours).count()
    };
    assert_eq!(plugins(), 1);
    spire.server().kill();
    eventually("the plugin ends with SPIRE", || plugins() == 0);
    run.said.push_str(&spire.said());

    // The API server has just reviewed the first pod's token, and answers from
    // memory for 10 s: SPIRE's own plugin would attest.
    let agent = run.agent(psat, false, &token);
    let again = run.attest("before the pod is made anew", &by_review, &agent);
    assert_eq!(again, stock);
    cluster.delete_pod("agent-1");
    assert_ne!(cluster.pod("agent-1"), uid);
    let reason = run.refuse("a pod made anew under its name", &by_review, &agent);
    eprintln!("  {reason}");
    assert!(
        ["pod_mismatch", "token_review_refused"].contains(&reason.as_str()),
        "{reason}"
    );

    cluster.stop_server();
    let ours = run.attest("no API server, by keys", &by_keys, &agent);
    assert_eq!(ours.path, stock.path);
    let reason = run.refuse("no API server, by review", &by_review, &agent);
    assert_eq!(reason, "api_unreachable");

    for token in &tokens {
        assert!(!run.said.contains(token.as_str()), "a token was said");
        let signature = token.rsplit('.').next().unwrap();
        assert!(!run.said.contains(signature), "a signature was said");
    }
}
