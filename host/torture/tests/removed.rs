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

/// Attacks `text`, as far as `filter` goes.
fn attacked(text: &str, filter: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(folder.path().join("keys.pem"), key.public_key_pem()).unwrap();
    let root = rcgen::CertificateParams::default().self_signed(&key);
    fs::write(folder.path().join("ca.pem"), root.unwrap().pem()).unwrap();
    let config = Config::from_toml(text, "config.toml", folder.path())
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let mut torture = Torture::new(Some(&config), SystemTime::now()).unwrap();
    torture.retain(filter);
    let report = torture.run(|_| {}).unwrap();
    assert_eq!(report.neighbour.changed, 0);
    report
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
        ("settings_bytes = \"1 MiB\"", "is given settings of  bytes"),
        ("fuel = 100_000_000_000", "burns  of fuel to derive"),
        (
            "configure_fuel = 100_000_000_000",
            "burns  of fuel to configure",
        ),
        ("deadline = \"60s\"", "computes for . s, with fuel enough"),
        ("memory_bytes = \"1 GiB\"", "grows its memory to  pages"),
        ("table_elements = 10_000_000", "grows a table to  elements"),
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
}

#[test]
fn each_bound_of_the_envelope_stops_an_attack_that_nothing_else_stops() {
    assert_eq!(at_large(&attacked(&TOKENS.text(), "envelope")), names([]));
    for (envelope, attack, holds) in [
        (
            "leading = [], reserved = [\"server\"]",
            "answers another cluster's name",
            true,
        ),
        (
            "leading = [\"{cluster}\"], reserved = []",
            "answers the word `admin`",
            true,
        ),
        (
            "leading = [\"{cluster}\"], reserved = [\"server\"], max_id_bytes = 2048",
            "answers an ID of  bytes",
            false,
        ),
        (
            "leading = [\"{cluster}\"], reserved = [\"server\"], max_selector_bytes = 4096",
            "answers a selector of  bytes",
            false,
        ),
        (
            "leading = [\"{cluster}\"], reserved = [\"server\"], max_selectors = 1024",
            "answers  selectors",
            false,
        ),
    ] {
        let report = attacked(&Written { envelope, ..TOKENS }.text(), "envelope");
        assert_eq!(at_large(&report), names([attack]), "{envelope}");
        // What is not asked for is said, and is no failure.
        assert_eq!(report.holds(), holds, "{envelope}");
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
