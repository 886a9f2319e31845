//! The agent's `plugin_data`: whom a node of `k8s` asks for its certificate.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test; clippy's own exemption covers `#[test]` functions only"
)]

use nameplate_attestor::config::{PluginData, Problems};
use nameplate_attestor::evidence::Method;
use nameplate_attestor::kubernetes::Access;
use nameplate_attestor::{AgentConfig, NodeCertificate};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

/// A kubeconfig, a token, and the authority that both of them need.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = ca.self_signed(&KeyPair::generate().unwrap()).unwrap();
        place.write("ca.crt", &ca.pem());
        place.write("token", "t\n");
        place.write(
            "kubeconfig",
            "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n\
             clusters: [{name: c, cluster: {server: \"https://127.0.0.1:1\", \
             certificate-authority: ca.crt}}]\nusers: [{name: u, user: {token: t}}]\n",
        );
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn read(&self, text: &str) -> Result<(AgentConfig, Problems), Problems> {
        let data = PluginData {
            text: text.to_owned(),
            trust_domain: "example.org".to_owned(),
            attestor: "k8s".to_owned(),
            method: Method::K8s,
        };
        AgentConfig::from_plugin(&data, "plugin_data", self.0.path())
    }

    fn good(&self, text: &str) -> NodeCertificate {
        match self.read(text) {
            Ok((AgentConfig::Requested(certificate), _)) => certificate,
            Ok((other, _)) => panic!("{other:?}"),
            Err(problems) => panic!("{}", problems.render(false)),
        }
    }

    /// The problems, one a line, without the place.
    fn bad(&self, text: &str) -> String {
        let problems = self.read(text).unwrap_err();
        let messages: Vec<_> = problems
            .list
            .iter()
            .map(|problem| problem.message.as_str())
            .collect();
        let place = self.0.path().to_str().unwrap();
        messages.join("\n").replace(place, "PLACE")
    }
}

const KUBECONFIG: &str = "kube_config_file = \"kubeconfig\"\nnode_name = \"node-1\"\n";
const TOKEN: &str = "token_path = \"token\"\napi_server = \"https://127.0.0.1:1\"\n\
                     ca_file = \"ca.crt\"\nnode_name = \"node-1\"\n";

#[test]
fn a_kubeconfig_and_nothing_else_is_enough() {
    let place = Place::new();
    let access = Access::Kubeconfig(place.0.path().join("kubeconfig"));
    let certificate = place.good(KUBECONFIG);
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    assert_eq!(
        certificate,
        NodeCertificate {
            access,
            node: "node-1".to_owned(),
            signer: "kubernetes.io/kube-apiserver-client-kubelet".to_owned(),
            lifetime: minutes(60),
            approval_timeout: minutes(5),
            verify_request: true,
            directory: None,
        }
    );
    // The attestor's first form called it so.
    let first_form = KUBECONFIG.replace("kube_config_file", "kubeconfig_path");
    assert_eq!(place.good(&first_form), certificate);
    // And SPIRE's call the pod's own credential so.
    let pod = KUBECONFIG.replace("\"kubeconfig\"", "\"\"");
    assert_eq!(place.good(&pod).access, Access::InCluster);
}

#[test]
fn a_name_that_stands_twice_in_the_kubeconfig_is_a_warning() {
    let place = Place::new();
    let whole = fs::read_to_string(place.0.path().join("kubeconfig")).unwrap();
    for (user, warned) in [
        ("{name: u, user: {token: t}}", ""),
        (
            "{name: u, user: {token: other}}",
            "`PLACE/kubeconfig`, line 4: another user is called `u`; the first counts, line 4, \
             and kubectl takes neither",
        ),
    ] {
        let twice = whole.replace("users: [", "users: [{name: u, user: {token: t}}, ");
        let twice = twice.replace("{name: u, user: {token: t}}]", &format!("{user}]"));
        place.write("kubeconfig", &twice);
        let (_, warnings) = place.read(KUBECONFIG).unwrap();
        let said: Vec<_> = warnings
            .list
            .iter()
            .map(|warning| warning.message.as_str())
            .collect();
        let folder = place.0.path().to_str().unwrap();
        assert_eq!(said.concat().replace(folder, "PLACE"), warned);
    }
}

#[test]
fn everything_can_be_said() {
    let place = Place::new();
    let certificate = place.good(&format!(
        "{TOKEN}signer = \"example.org/agents\"\ncertificate_ttl = \"10m\"\n\
         approval_timeout = \"1h\"\nverify_request = false\nkey_directory = \"keys\"\n"
    ));
    let at = |name: &str| place.0.path().join(name);
    assert_eq!(
        certificate.access,
        Access::Token {
            token: at("token"),
            server: "https://127.0.0.1:1".to_owned(),
            ca: at("ca.crt"),
        }
    );
    assert_eq!(certificate.signer, "example.org/agents");
    assert_eq!(certificate.lifetime.as_secs(), 600);
    assert_eq!(certificate.approval_timeout.as_secs(), 3600);
    assert!(!certificate.verify_request);
    assert_eq!(certificate.directory.unwrap().path(), at("keys"));
    // Reading a configuration makes nothing.
    assert!(!at("keys").exists());
}

#[test]
fn a_node_is_called_as_it_is_told_or_as_its_host() {
    let place = Place::new();
    let named = |more: &str| {
        let text = format!("kube_config_file = \"kubeconfig\"\n{more}\n");
        place.good(&text).node
    };
    let variable = "node_name_env = \"CARGO_PKG_NAME\"";
    assert_eq!(named(variable), env!("CARGO_PKG_NAME"));
    assert_eq!(named(&format!("{variable}\nnode_name = \"n\"")), "n");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let unset = "node_name_env = \"NAMEPLATE_TEST_SETS_NO_SUCH_VARIABLE\"";
    assert_eq!(named(unset), host.trim().to_lowercase());
}

#[test]
fn each_key_that_is_wrong_is_said() {
    let place = Place::new();
    for (text, problems) in [
        (
            format!("{KUBECONFIG}token_path = \"token\"\n"),
            "`token_path` and `kube_config_file` exclude each other",
        ),
        (
            format!("{KUBECONFIG}kubeconfig_path = \"kubeconfig\"\n"),
            "`kubeconfig_path` and `kube_config_file` are two names of one key",
        ),
        (
            format!("{KUBECONFIG}api_server = \"https://a\"\nca_file = \"ca.crt\"\n"),
            "`api_server` goes with `token_path`\n`ca_file` goes with `token_path`",
        ),
        (
            KUBECONFIG.replace("\"kubeconfig\"", "\"token\""),
            "cannot ask: `PLACE/token` is not a kubeconfig",
        ),
        (
            TOKEN.replace("https", "http"),
            "cannot ask: `http://127.0.0.1:1` is not an https URL",
        ),
        (
            TOKEN.replace("\"token\"", "\"gone\""),
            "cannot ask: `PLACE/gone` cannot be read: No such file or directory (os error 2)",
        ),
        (
            KUBECONFIG.replace("node-1", "../x"),
            "`../x` is not the name of a node",
        ),
        (KUBECONFIG.replace("node-1", ""), "`node_name` is empty"),
        (
            format!("{KUBECONFIG}signer = \"kubelet\"\n"),
            "a signer's name has a domain, a slash and a path",
        ),
        (
            format!("{KUBECONFIG}certificate_ttl = \"9m\"\n"),
            "`certificate_ttl` must be between 10m and 1year 18h, found 9m",
        ),
        (
            format!("{KUBECONFIG}approval_timeout = \"0s\"\n"),
            "`approval_timeout` must be between 1s and 1day, found 0s",
        ),
        (
            format!("{KUBECONFIG}k8s_private_key_path = \"key\"\n"),
            "`k8s_private_key_path` was of the attestor's first form",
        ),
        (
            format!("{KUBECONFIG}key_directory = \"no/keys\"\n"),
            "key directory `PLACE/no/keys` cannot be used: No such file or directory (os error 2)",
        ),
        (
            format!("{KUBECONFIG}cluster = \"demo\"\n"),
            "unknown key `cluster`",
        ),
        (
            format!("{KUBECONFIG}check_directories = false\n"),
            "`check_directories` without `key_directory` says nothing",
        ),
        (
            format!("{KUBECONFIG}key_directory = \"keys\"\ncheck_directories = \"no\"\n"),
            "expected a boolean for `check_directories`, found a string",
        ),
    ] {
        assert_eq!(place.bad(&text), problems, "{text}");
    }
    let open = place.0.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        place.bad(&format!("{KUBECONFIG}key_directory = \"open\"\n")),
        "key directory `PLACE/open` has mode 0755, which lets others than its owner in: \
         it has to have 0700"
    );
}

#[test]
fn a_key_directory_is_this_process_s_own_unless_it_is_said() {
    let place = Place::new();
    let exposed = place.0.path().join("exposed");
    fs::create_dir(&exposed).unwrap();
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o777)).unwrap();
    let written = format!("{KUBECONFIG}key_directory = \"exposed/keys\"\n");
    assert_eq!(
        place.bad(&written),
        "no key is kept where others may write, unless `check_directories = false` says so: \
         others may write to `PLACE/exposed` (mode 0777): `chmod o-w PLACE/exposed`"
    );
    place.good(&format!("{written}check_directories = false\n"));
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o755)).unwrap();
    place.good(&written);
    place.good(&format!("{written}check_directories = true\n"));
}
