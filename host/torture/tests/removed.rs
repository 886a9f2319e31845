//! A configuration with one bound removed is reported for exactly the attack
//! that now works; with none removed, for nothing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::config::Config;
use nameplate_torture::{Group, Report, Torture, Verdict};
use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// What a configuration of one attestor says besides its keys.
#[derive(Clone, Copy)]
struct Written {
    attestor: &'static str,
    limits: &'static str,
    envelope: &'static str,
    cluster: &'static str,
}

const TOKENS: Written = Written {
    attestor: "one_time_tokens = true",
    limits: "",
    envelope: "leading = [\"{cluster}\"], reserved = [\"server\"]",
    cluster: "issuer = \"https://issuer.example\"\naudience = [\"spire-server\"]",
};

impl Written {
    fn text(&self) -> String {
        // For machines that are busy with other tests.
        let deadline = match self.limits.contains("deadline") {
            true => "",
            false => "deadline = \"1s\", ",
        };
        format!(
            "trust_domain = \"example.org\"\n[attestors.k8s_sat]\n{}\n\
             limits = {{ {deadline}{} }}\nenvelope = {{ {} }}\n\
             [attestors.k8s_sat.clusters.production]\n\
             service_account_key_file = \"keys.pem\"\n\
             service_account_allow_list = [\"spire:spire-agent\"]\n{}\n",
            self.attestor,
            self.limits.trim_end_matches(", "),
            self.envelope,
            self.cluster
        )
        .replace(", }", " }")
    }
}

/// Of a server that nobody ever asks.
const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: torture
clusters: [{name: torture, cluster: {server: 'https://192.0.2.1:6443'}}]
users: [{name: torture, user: {token: torture}}]
contexts: [{name: torture, context: {cluster: torture, user: torture}}]
";

/// One attacks at a time: what a row is judged by, the memory of the process and
/// the time of its neighbour, is everybody's.
static ALONE: Mutex<()> = Mutex::new(());

/// Attacks `text`, as far as `filter` goes.
fn attacked(text: &str, filter: &str) -> Report {
    let report = attacked_beside_anybody(text, filter);
    assert_eq!(report.neighbour.changed, 0);
    report
}

/// The same, whatever becomes of the neighbour: under a deadline of a tick it is
/// refused now and then where the machine is busy with other things.
fn attacked_beside_anybody(text: &str, filter: &str) -> Report {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(folder.path().join("keys.pem"), key.public_key_pem()).unwrap();
    let root = rcgen::CertificateParams::default().self_signed(&key);
    fs::write(folder.path().join("ca.pem"), root.unwrap().pem()).unwrap();
    fs::write(folder.path().join("kubeconfig.yaml"), KUBECONFIG).unwrap();
    let config = Config::from_toml(text, "config.toml", folder.path())
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let mut torture = Torture::new(Some(&config), SystemTime::now()).unwrap();
    torture.retain(filter);
    torture.run(|_| {}).unwrap()
}

/// What works, or is not asked for; without the sizes, which follow the limits.
fn at_large(report: &Report) -> BTreeSet<String> {
    report
        .rows
        .iter()
        .filter(|row| matches!(row.verdict, Verdict::Works | Verdict::Unasked))
        .map(|row| row.attack.replace(|c: char| c.is_ascii_digit(), ""))
        .collect()
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn each_limit_stops_an_attack_that_nothing_else_stops() {
    assert_eq!(at_large(&attacked(&TOKENS.text(), "limit")), names([]));
    let removed = [
        ("component_bytes = \"64 MiB\"", "is  bytes long"),
        ("nesting = 10_000", "nests  blocks"),
        ("functions = 1_000_000", "has  functions"),
        ("function_bytes = \"16 MiB\"", "has a function of  bytes"),
        ("locals = 10_000_000", "has  local variables"),
        (
            "joins = 100_000_000",
            "brings  variables together in  places",
        ),
        ("indirect_calls = 100_000", "calls through a table  times"),
        (
            "component_instances = 1_000",
            "has  components that each instantiate the one before twice",
        ),
        (
            "declarations = 10_000_000",
            "declares a type of  parts in a few bytes",
        ),
        (
            "segments = 100_000",
            "has  empty data segments that cannot be merged",
        ),
        ("settings_bytes = \"1 MiB\"", "is given settings of  bytes"),
        ("fuel = 100_000_000_000", "burns  of fuel to derive"),
        (
            "configure_fuel = 100_000_000_000",
            "burns  of fuel to configure",
        ),
        ("deadline = \"60s\"", "computes for . s, with fuel enough"),
        ("memory_bytes = \"1 GiB\"", "grows its memory to  pages"),
        ("instances = 1_000", "makes  instances besides its own"),
        ("memories = 100", "has  memories besides its own"),
        ("tables = 100", "has  tables"),
        ("stack_bytes = \"1 MiB\"", "calls itself  times deep"),
        ("lifted_bytes = \"16 MiB\"", "answers  KiB"),
    ];
    for (limits, attack) in removed {
        let report = attacked(&Written { limits, ..TOKENS }.text(), "limit");
        assert_eq!(at_large(&report), names([attack]), "{limits}");
        assert!(!report.holds(), "{limits}");
        assert!(report.rows.iter().all(|row| row.group == Group::Limit));
    }
    // One limit for what is there at the start and for what comes later.
    let limits = "table_elements = 10_000_000";
    let report = attacked(&Written { limits, ..TOKENS }.text(), "limit");
    assert_eq!(
        at_large(&report),
        names([
            "grows a table to  elements",
            "has a segment of  table elements"
        ])
    );
}

#[test]
fn each_bound_of_the_envelope_stops_an_attack_that_nothing_else_stops() {
    assert_eq!(at_large(&attacked(&TOKENS.text(), "envelope")), names([]));
    for (envelope, attacks, holds) in [
        (
            "leading = [], reserved = [\"server\"]",
            names(["answers another cluster's name"]),
            true,
        ),
        // What every cluster's path begins with ties none of them.
        (
            "leading = [\"agents\"], reserved = [\"server\"]",
            names(["answers another cluster's name"]),
            true,
        ),
        (
            "leading = [\"{cluster}\"], reserved = []",
            names(["answers the word `server`", "answers the word `SERVER`"]),
            true,
        ),
        (
            "leading = [\"{cluster}\"], reserved = [\"foo\"]",
            names(["answers the word `server`", "answers the word `SERVER`"]),
            true,
        ),
        (
            "leading = [\"{cluster}\"], reserved = [\"server\"], false_facts = \"admit\"",
            names([
                "answers another's `agent_node_ip`",
                "answers another's `agent_node_label`",
                "answers another's `agent_node_name`",
                "answers another's `agent_node_uid`",
                "answers another's `agent_ns`",
                "answers another's `agent_pod_label`",
                "answers another's `agent_pod_name`",
                "answers another's `agent_pod_uid`",
                "answers another's `agent_sa`",
                "answers another's `ca_thumbprint`",
                "answers another's `ca`",
                "answers another's `cluster`",
                "answers another's `san`",
                "answers another's `serialnumber`",
                "answers another's `subject`",
            ]),
            true,
        ),
        // Patterns stop what lies beside them; one that every selector is like,
        // nothing.
        (
            "leading = [\"{cluster}\"], reserved = [\"server\"], selectors = [\"*\"]",
            names(["answers a selector beside the patterns"]),
            true,
        ),
        (
            "leading = [\"{cluster}\"], reserved = [\"server\"], max_id_bytes = 2048",
            names(["answers an ID of  bytes"]),
            false,
        ),
        (
            "leading = [\"{cluster}\"], reserved = [\"server\"], max_selector_bytes = 4096",
            names(["answers a selector of  bytes"]),
            false,
        ),
        (
            "leading = [\"{cluster}\"], reserved = [\"server\"], max_selectors = 1024",
            names(["answers  selectors"]),
            false,
        ),
    ] {
        let written = Written {
            envelope,
            attestor: "one_time_tokens = true\n\
                       policy = { source = \"builtin:template\", settings = { path = [\"{cluster}\", \"{attestation_id}\"] } }",
            ..TOKENS
        };
        let text = written.text();
        // The policy has to fit, for what is looked at is the envelope.
        let text = match envelope.contains("agents") {
            true => text.replace("path = [", "path = [\"agents\", "),
            false => text,
        };
        let report = attacked(&text, "envelope");
        assert_eq!(at_large(&report), attacks, "{envelope}");
        assert!(report.unnamed.is_empty(), "{envelope}");
        // What is not asked for is said, and is no failure.
        assert_eq!(report.holds(), holds, "{envelope}");
        assert!(!report.holds_strictly(), "{envelope}");
    }
}

/// The twin of the row for patterns: with them the attack is stopped, and what
/// they allow is not.
#[test]
fn patterns_stop_what_lies_beside_them() {
    let bounded = Written {
        envelope: "leading = [\"{cluster}\"], reserved = [\"server\"], \
                   selectors = [\"cluster:{cluster}\", \"agent_*\"]",
        ..TOKENS
    };
    let report = attacked(&bounded.text(), "envelope");
    assert_eq!(at_large(&report), names([]));
    let reason = |attack: &str| {
        let mut rows = report.rows.iter();
        let row = rows.find(|row| row.attack == attack).unwrap();
        row.stopped_by.clone()
    };
    for (attack, stopped) in [
        ("answers a selector beside the patterns", "selector_pattern"),
        ("answers another's `cluster`", "selector_false_fact"),
        ("answers another's `san`", "selector_false_fact"),
    ] {
        assert_eq!(reason(attack).as_deref(), Some(stopped), "{attack}");
    }
}

/// A policy that the envelope does not fit cannot hide what is not asked for.
#[test]
fn what_is_not_asked_for_is_said_whatever_the_policy_does() {
    let unfit = Written {
        envelope: "leading = [\"agents\"], reserved = [\"server\"]",
        cluster: "",
        ..TOKENS
    };
    let report = attacked(&unfit.text(), "issuer");
    assert!(at_large(&report).contains("no issuer"));
    let [unnamed] = report.unnamed.as_slice() else {
        panic!("{:?}", report.unnamed);
    };
    assert!(!unnamed.denied && unnamed.why.contains("the envelope requires `agents`"));
    assert!(!report.holds());
    // One that fits, and a policy that decides against the peer.
    let fits = attacked(&TOKENS.text(), "issuer");
    assert!(fits.unnamed.is_empty() && fits.holds() && fits.holds_strictly());
    let denies = Written {
        attestor: "one_time_tokens = true\npolicy = { source = \"builtin:thumbprint\" }",
        ..TOKENS
    };
    let report = attacked(&denies.text(), "issuer");
    assert_eq!(report.unnamed.len(), 1);
    assert!(report.unnamed.iter().all(|unnamed| unnamed.denied));
    assert!(report.holds() && !report.holds_strictly());
}

/// `k8s_psat`, with every way to look at what a token is bound to.
#[test]
fn what_a_token_is_bound_to_is_looked_at_in_every_mode() {
    let psat = |keys: &str| {
        let text = format!(
            "trust_domain = \"example.org\"\n[attestors.k8s_psat]\n\
             limits = {{ deadline = \"1s\" }}\n\
             envelope = {{ leading = [\"{{cluster}}\"], reserved = [\"server\"] }}\n\
             [attestors.k8s_psat.clusters.production]\n\
             service_account_allow_list = [\"spire:spire-agent\"]\n{keys}\n"
        );
        attacked(&text, "token")
    };
    let local = "verification = \"local\"\nissuer = \"https://issuer.example\"\n\
                 service_account_key_file = \"keys.pem\"\n";
    let review = "kube_config_file = \"kubeconfig.yaml\"\n";
    let pods = names([
        "a pod that is gone",
        "a pod that is of another uid",
        "a pod that is of another account",
        "a pod that is unscheduled",
        "a pod that is on a node that is gone",
        "a pod that is on a node without uid",
        "a pod that is on another node",
    ]);
    for (keys, attacks) in [
        (format!("{local}lookup = true\n{review}"), names([])),
        (local.to_owned(), pods),
        (review.to_owned(), names([])),
        (
            format!("{review}audience = []\n"),
            names(["a token for the API server"]),
        ),
    ] {
        let report = psat(&keys);
        assert_eq!(at_large(&report), attacks, "{keys}");
        assert!(report.holds(), "{keys}");
        let stopped = |text: &str| {
            let mut rows = report.of(Verdict::Stopped);
            rows.any(|row| row.stopped_by.as_deref() == Some(text))
        };
        assert_eq!(
            stopped("node_gone"),
            !attacks.contains("a pod that is gone")
        );
        assert!(stopped("service_account_not_allowed"));
        assert_eq!(
            stopped("token_review_contradicted"),
            !keys.contains("local")
        );
    }
}

/// Keys that are followed at a URL that nobody ever asks.
#[test]
fn keys_that_serve_while_they_are_fetched_let_a_withdrawn_one_in() {
    let followed = |more: &str| {
        let text = format!(
            "trust_domain = \"example.org\"\n[attestors.k8s_psat]\n\
             limits = {{ deadline = \"1s\" }}\n\
             envelope = {{ leading = [\"{{cluster}}\"], reserved = [\"server\"] }}\n\
             [attestors.k8s_psat.clusters.production]\n\
             service_account_allow_list = [\"spire:spire-agent\"]\n\
             verification = \"local\"\nissuer = \"https://issuer.example\"\n\
             jwks_url = \"https://keys.invalid/jwks\"\njwks_ca_file = \"ca.pem\"\n{more}\n"
        );
        attacked(&text, "withdrawn")
    };
    let held = followed("");
    assert_eq!((held.rows.len(), at_large(&held)), (1, names([])));
    let stopped: Vec<_> = held.of(Verdict::Stopped).collect();
    assert_eq!(
        stopped.first().and_then(|row| row.stopped_by.as_deref()),
        Some("signature_invalid")
    );
    let report = followed("jwks_serve_while_refreshing = true");
    assert_eq!(
        at_large(&report),
        names(["a token of a key that was withdrawn in a quiet spell"])
    );
    assert!(report.holds() && !report.holds_strictly());
}

/// `k8s`, with and without a cluster that is asked about its nodes.
#[test]
fn what_the_cluster_is_not_asked_of_nodes_is_said() {
    let nodes = |keys: &str| {
        let text = format!(
            "trust_domain = \"example.org\"\n[attestors.k8s]\n\
             limits = {{ deadline = \"1s\" }}\n\
             envelope = {{ leading = [\"system\", \"node\"], reserved = [\"server\"] }}\n\
             ca_bundle_path = \"ca.pem\"\nverify_client_ip = true\n{keys}\n"
        );
        attacked(&text, "certificate")
    };
    let requests = [
        "a certificate and no request",
        "a request that there is not",
        "a request of another signer",
        "a request that nobody approved",
        "a request that was approved and denied",
        "a request that was approved and failed",
        "a request that came to no certificate",
        "a request of nobody",
        "a request from two nodes",
        "a request from another node",
        "a request by another node",
        "a request from a node that was replaced since",
        "the request of another certificate",
    ];
    // Of these nobody knows on which node the requester is.
    let requesters = [
        "a request by a pod that is on another node",
        "a request by a pod that was replaced",
        "a request by a pod of another account",
        "a request by a pod that is gone",
        "a request by a pod on no node",
        "a request by a token that is bound to nothing",
        "a request by a bootstrap token",
        "a request by an administrator",
        "a request by a user called after the node, of no node's group",
    ];
    let mut unread = names(requests);
    unread.extend(names(requesters));
    let mut everything = unread.clone();
    everything.extend(names(["a node that is gone", "a node without a UID"]));
    let asked = "kube_config_file = \"kubeconfig.yaml\"\n";
    for (keys, attacks) in [
        (asked.to_owned(), names([])),
        (
            format!("{asked}allow_requester_without_node = true\n"),
            names(requesters),
        ),
        (format!("{asked}verify_request = false\n"), unread),
        ("verify_request = false\n".to_owned(), everything),
    ] {
        let report = nodes(&keys);
        assert_eq!(at_large(&report), attacks, "{keys}");
        assert!(report.holds(), "{keys}");
    }
}

/// Configurations that are none of an attacker's, however unusual.
#[test]
fn what_is_unusual_is_no_mistake() {
    let holds = |written: Written, allowed: &str, filter: &str| {
        let text = written.text().replace("[\"spire:spire-agent\"]", allowed);
        let report = attacked(&text, filter);
        assert_eq!(at_large(&report), names([]), "{text}");
        assert!(report.holds_strictly(), "{text}");
    };
    let usual = "[\"spire:spire-agent\"]";
    for allowed in [
        "[\"spire:default\"]",
        "[\"spire:spire-agent\", \"kube-system:spire-agent\", \"spire:default\"]",
    ] {
        holds(TOKENS, allowed, "SPIRE#5142");
    }
    let cluster = "issuer = \"https://issuer.example\"\n\
                   audience = [\"https://kubernetes.default.svc\"]";
    holds(Written { cluster, ..TOKENS }, usual, "audience");
    for envelope in [
        "leading = [\"{cluster}\"], reserved = [\"server\"], max_selectors = 0",
        "leading = [\"{cluster}\"], reserved = [\"server\"], max_selector_bytes = 1",
    ] {
        let attestor = "one_time_tokens = true\n\
                        policy = { source = \"builtin:uuid\", settings = { selectors = [] } }";
        holds(
            Written {
                envelope,
                attestor,
                ..TOKENS
            },
            usual,
            "envelope",
        );
    }
    for limits in [
        "fuel = 20_000",
        "lifted_bytes = \"1 KiB\"",
        "deadline = \"1ms\"",
        "component_bytes = \"80 KiB\", functions = 20_000, function_bytes = \"80 KiB\"",
    ] {
        // The usual policies are larger than 80 KiB, and slower than a tick on
        // a busy machine: what is looked at is what stops the attacks.
        let attestor = "one_time_tokens = true";
        let text = Written {
            limits,
            attestor,
            ..TOKENS
        }
        .text();
        let attacked = match limits {
            "deadline = \"1ms\"" => attacked_beside_anybody,
            _ => attacked,
        };
        for filter in ["limit", "envelope"] {
            let works = attacked(&text, filter);
            let works: Vec<_> = works.of(Verdict::Works).map(|row| &row.detail).collect();
            assert!(works.is_empty(), "{limits}: {works:?}");
        }
    }
}

#[test]
fn what_is_not_asked_of_tokens_is_said() {
    assert_eq!(at_large(&attacked(&TOKENS.text(), "token")), names([]));
    let issuers = names([
        "no issuer",
        "another issuer",
        "the issuer with a slash behind it",
        "the issuer in upper case",
        "the issuer's name with more behind it",
        "the issuer with a space behind it",
        "the issuer with a user before its name",
    ]);
    let audiences = names([
        "no audience",
        "an empty list of audiences",
        "another audience",
        "an audience in upper case",
        "an audience with more behind it",
        "audiences in one text",
        "an audience in a pattern",
    ]);
    let asked = |cluster| Written { cluster, ..TOKENS }.text();
    let without_issuer = asked("audience = [\"spire-server\"]");
    assert_eq!(at_large(&attacked(&without_issuer, "token")), issuers);
    let without_audience = asked("issuer = \"https://issuer.example\"");
    assert_eq!(at_large(&attacked(&without_audience, "token")), audiences);
    let unexpiring = Written {
        attestor: "one_time_tokens = false",
        cluster: "issuer = \"https://issuer.example\"\naudience = [\"spire-server\"]\n\
                  allow_unexpiring_tokens = true",
        ..TOKENS
    };
    assert_eq!(
        at_large(&attacked(&unexpiring.text(), "token")),
        names(["a token without an end", "a token a second time"])
    );
}

#[test]
fn an_svid_of_anybody_is_said_where_anybody_is_let_in() {
    for (prefix, attacks) in [
        ("/agents/", names([])),
        ("/elsewhere/", names([])),
        ("", names(["an SVID elsewhere"])),
    ] {
        let text = format!(
            "trust_domain = \"example.org\"\n[attestors.x509pop]\nmode = \"spiffe\"\n\
             spiffe_prefix = \"{prefix}\"\nverify_client_ip = true\n"
        );
        let report = attacked(&text, "SVID");
        assert_eq!(at_large(&report), attacks, "{prefix}");
        assert!(report.holds(), "{prefix}");
    }
}

#[test]
fn what_is_not_asked_of_certificates_is_said() {
    let attacked = |keys: &str| {
        let text = format!(
            "trust_domain = \"example.org\"\n[attestors.x509pop]\n\
             ca_bundle_path = \"ca.pem\"\n{keys}\n"
        );
        attacked(&text, "certificate")
    };
    assert_eq!(at_large(&attacked("verify_client_ip = true")), names([]));
    for (keys, attacks) in [
        (
            "verify_client_ip = false",
            names(["a peer at another address", "a peer at no address"]),
        ),
        (
            "verify_client_ip = true\nmax_intermediates = 6",
            names([" intermediates"]),
        ),
    ] {
        assert_eq!(at_large(&attacked(keys)), attacks, "{keys}");
    }
}

#[test]
fn what_a_change_of_policy_need_not_pass_is_said() {
    let swap = |gate: &str, rollback: &str| {
        let attestor = format!(
            "one_time_tokens = true\ngate = {{ against = \"cases\"{gate} }}\n\
             rollback = {{ {rollback} }}"
        );
        let text = TOKENS.text().replace("one_time_tokens = true", &attestor);
        attacked(&text, "swap")
    };
    let waits = "a policy that answers otherwise in two hours";
    let vetoes = "one machine that a new policy fails again and again";
    for (gate, rollback, attacks) in [
        ("", "", names([])),
        // However few it takes, one machine is not enough.
        ("", "after = 1, faults = 0.0", names([])),
        (", no_new_dependence = false", "", names([waits])),
        // Another gate that stands open lets nothing else through.
        (", max_changed = 9, allow = [\"**\"]", "", names([])),
        ("", "count = \"attestations\"", names([vetoes])),
    ] {
        let report = swap(gate, rollback);
        assert_eq!(report.rows.len(), 2);
        assert_eq!(at_large(&report), attacks, "{gate} {rollback}");
        assert!(report.holds(), "{gate} {rollback}");
        assert_eq!(report.holds_strictly(), attacks.is_empty());
    }
    // Where there is neither, there is nothing to attack.
    assert!(attacked(&TOKENS.text(), "swap").rows.is_empty());
}

#[test]
fn an_api_server_that_does_not_answer_takes_no_place_of_another_clusters() {
    let attacked = |limits: &str, verification: &str| {
        let cluster = |name: &str| {
            format!(
                "[attestors.k8s_psat.clusters.{name}]\n{verification}\n\
                 kube_config_file = \"kubeconfig.yaml\"\n\
                 service_account_allow_list = [\"spire:spire-agent\"]\n"
            )
        };
        let text = format!(
            "trust_domain = \"example.org\"\n[attestors.k8s_psat]\n{limits}\n{}{}",
            cluster("production"),
            cluster("staging")
        );
        attacked(&text, "does not answer")
    };
    let looked_up = "verification = \"local\"\nlookup = true\n\
                     service_account_key_file = \"keys.pem\"\n\
                     issuer = \"https://issuer.example\"";
    let whole = "attest_limits = { cluster_share = 1.0 }";
    for verification in ["verification = \"review\"", looked_up] {
        for (limits, attacks) in [
            ("", names([])),
            ("attest_limits = { cluster_share = 0.5 }", names([])),
            (whole, names(["a cluster whose API server does not answer"])),
        ] {
            let report = attacked(limits, verification);
            assert_eq!(report.rows.len(), 2, "{limits}");
            assert_eq!(at_large(&report), attacks, "{limits}");
            assert_eq!(report.holds(), limits != whole, "{limits}");
        }
    }
}
