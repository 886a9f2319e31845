//! Kubeconfigs as people have them: what kubectl takes is taken, and what is
//! refused is named with its line.

use super::accesses::{node_of, write};
use super::patience;
use super::server::TestServer;
use crate::{Access, ApiServer};
use nameplate_evidence::{ApiError, ClusterApi};
use std::fs;
use std::path::PathBuf;

/// A server that wants the token `good`, and a folder for its kubeconfig.
struct Place {
    server: TestServer,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let server = node_of("good");
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "ca.crt", &server.ca_pem());
        Self { server, folder }
    }

    /// A kubeconfig whose current cluster and user have these members, a line
    /// each, with more contexts, clusters and users behind them.
    fn kubeconfig(
        &self,
        cluster: &str,
        user: &str,
        [contexts, clusters, users]: [&str; 3],
    ) -> PathBuf {
        let url = self.server.url();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             contexts:\n- {{name: c, context: {{cluster: c, user: u}}}}\n{contexts}\
             clusters:\n- name: c\n  cluster:\n    server: {url}\n    {cluster}\n{clusters}\
             users:\n- name: u\n  user:\n    {user}\n{users}"
        );
        write(self.folder.path(), "kubeconfig", &text)
    }

    fn user(&self, user: &str) -> PathBuf {
        self.kubeconfig(CA, user, NO_MORE)
    }

    /// Asks by the kubeconfig, and gives what is wrong with it.
    fn asks(&self, path: PathBuf) -> Result<(), String> {
        let api = ApiServer::new(Access::Kubeconfig(path)).map_err(|error| self.what(&error))?;
        let node = api.node("n", &patience());
        node.map(drop).map_err(|error| self.what(&error))
    }

    fn what(&self, error: &ApiError) -> String {
        let folder = format!("{}/", self.folder.path().display());
        let ApiError::NotConfigured { what } = error else {
            return error.reason().to_owned();
        };
        what.replace(&folder, "")
    }
}

const CA: &str = "certificate-authority: ca.crt";
const NO_MORE: [&str; 3] = ["", "", ""];

#[test]
fn what_other_contexts_lack_does_not_matter() {
    let place = Place::new();
    for more in [
        ["- {name: d, context: {user: u}}\n", "", ""],
        ["- {name: d, context: {cluster: c}}\n", "", ""],
        ["- {name: d, context: {cluster: c, user: null}}\n", "", ""],
        ["- {name: d, context: {}}\n", "", ""],
        ["- {name: d}\n- {}\n- null\n- 7\n", "", ""],
        [
            "",
            "- {name: d, cluster: {}}\n- {name: e, cluster: null}\n- {name: f}\n",
            "",
        ],
        [
            "",
            "- {name: d, cluster: {server: \"https://d\", proxy-url: \"http://p:1\"}}\n",
            "",
        ],
        ["", "- {name: d, cluster: {server: \"http://d\"}}\n", ""],
        [
            "",
            "- {name: d, cluster: {server: [], insecure-skip-tls-verify: true}}\n",
            "",
        ],
        [
            "",
            "- {name: d, cluster: {certificate-authority: gone.crt}}\n",
            "",
        ],
        [
            "",
            "- {name: d, cluster: {}}\n- {name: d, cluster: {}}\n",
            "",
        ],
        [
            "",
            "- {name: d, cluster: {extensions: [{extension: {a: 1}}, 7]}}\n",
            "",
        ],
        ["", "", "- {name: d, user: null}\n- {name: e}\n"],
        [
            "",
            "",
            "- {name: d, user: {auth-provider: {name: gcp, config: null}}}\n",
        ],
        [
            "",
            "",
            "- {name: d, user: {auth-provider: {name: azure}}}\n",
        ],
        [
            "",
            "",
            "- {name: d, user: {exec: {command: aws, args: null, env: null}}}\n",
        ],
        [
            "",
            "",
            "- {name: d, user: {token: \"a\\nb\", client-key-data: 7}}\nsomething-new: {a: b}\n",
        ],
    ] {
        let path = place.kubeconfig(CA, "token: good", more);
        assert_eq!(place.asks(path), Ok(()), "{more:?}");
    }
}

#[test]
fn a_file_may_be_written_in_any_way_yaml_knows() {
    let place = Place::new();
    let path = place.user("token: good");
    let text = fs::read_to_string(&path).unwrap();
    let wide = |first: [u8; 2], unit: fn(u16) -> [u8; 2]| {
        let units = text.encode_utf16().flat_map(unit);
        first.into_iter().chain(units).collect::<Vec<u8>>()
    };
    let url = place.server.url();
    let json = format!(
        "{{\n\t\"current-context\": \"c\",\n\t\"contexts\": [{{\"name\": \"c\", \"context\": \
         {{\"cluster\": \"c\", \"user\": \"u\"}}}}], \"clusters\": [{{\"name\": \"c\", \
         \"cluster\": {{\"server\": \"{url}\", \"certificate-authority\": \"ca.crt\"}}}}],\n\
         \"users\": [{{\"name\": \"u\", \"user\": {{\"token\": \"good\"}}}}]\n}}"
    );
    for bytes in [
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        wide([0xff, 0xfe], u16::to_le_bytes),
        wide([0xfe, 0xff], u16::to_be_bytes),
        [b"---\n", text.as_bytes()].concat(),
        [
            text.as_bytes(),
            b"---\ncurrent-context: d\nusers: [{name: u, user: {token: bad}}]\n",
        ]
        .concat(),
        text.replace("name: u", "name: 0123")
            .replace("user: u", "user: 0123")
            .into_bytes(),
        text.replace("\n", "\r\n").into_bytes(),
        json.into_bytes(),
    ] {
        fs::write(&path, &bytes).unwrap();
        let shown = String::from_utf8_lossy(&bytes);
        assert_eq!(place.asks(path.clone()), Ok(()), "{shown}");
    }
}

#[test]
fn a_token_is_read_as_kubectl_reads_it() {
    let place = Place::new();
    let bad = |line| {
        Err(format!(
            "`kubeconfig`, line {line}: `token` of user `u` has a line break or another \
             character that no token has"
        ))
    };
    write(place.folder.path(), "token", "good\n");
    write(place.folder.path(), "bad", "a\nb\n");
    for (user, outcome) in [
        ("token: |\n      good", Ok(())),
        ("token: \"good\\n\"", Ok(())),
        ("token: \"good\\x7f\"", bad(14)),
        ("token: |\n      go\n      od", bad(14)),
        (
            "token: good\n    token: good",
            Err("`kubeconfig`, line 15: `token` of user `u` stands twice".to_owned()),
        ),
        (
            "token: [good]",
            Err("`kubeconfig`, line 14: `token` of user `u` is no text".to_owned()),
        ),
        ("tokenFile: token", Ok(())),
        // The file counts, and the token while there is none.
        ("token: other\n    tokenFile: token", Ok(())),
        ("token: good\n    tokenFile: gone", Ok(())),
        ("tokenFile: bad", Err("`bad` holds no token".to_owned())),
        (
            "tokenFile: gone",
            Err("`gone` cannot be read: No such file or directory (os error 2)".to_owned()),
        ),
        ("token: other", Err("api_unauthorized".to_owned())),
        (
            "token: ''\n    tokenFile: ''",
            Err("api_unauthorized".to_owned()),
        ),
        (
            "token: good\n    username: a",
            Err(
                "`kubeconfig`, line 15: `username` of user `u` stands beside a token; which of \
                 the two counts is not said"
                    .to_owned(),
            ),
        ),
        (
            "username: a\n    password: b",
            Err("api_unauthorized".to_owned()),
        ),
        (
            "auth-provider: {name: oidc, config: {id-token: good}}",
            Ok(()),
        ),
        ("auth-provider: null\n    token: good", Ok(())),
        (
            "auth-provider: {name: oidc, config: null}",
            Err(
                "`kubeconfig`, line 14: `auth-provider` of user `u` has no `config.id-token`"
                    .to_owned(),
            ),
        ),
        (
            "auth-provider: {name: gcp, config: {id-token: good, cmd-path: gcloud}}",
            Ok(()),
        ),
        (
            "auth-provider: {name: gcp, config: {access-token: good, cmd-path: gcloud}}",
            Err(
                "`kubeconfig`, line 14: `name` of `auth-provider` of user `u` has no `id-token`, \
                 and Kubernetes has it no more: `exec` with the command \
                 `gke-gcloud-auth-plugin` took its place"
                    .to_owned(),
            ),
        ),
        (
            "auth-provider: {name: azure, config: {id-token: good}}",
            Err(
                "`kubeconfig`, line 14: `name` of `auth-provider` of user `u` is none that \
                 Kubernetes still has; `exec` took its place"
                    .to_owned(),
            ),
        ),
        (
            "client-certificate: ca.crt",
            Err("`kubeconfig`, line 14: user `u` has no `client-key`".to_owned()),
        ),
    ] {
        assert_eq!(place.asks(place.user(user)), outcome, "{user}");
    }
}

#[test]
fn a_cluster_that_cannot_be_asked_is_named_with_its_line() {
    use base64::Engine as _;
    let place = Place::new();
    let data = base64::engine::general_purpose::STANDARD.encode(place.server.ca_pem());
    let (first, second) = data.split_at(60);
    let of = |line: usize, member: &str, why: &str| {
        Err(format!(
            "`kubeconfig`, line {line}: `{member}` of cluster `c` {why}"
        ))
    };
    for (cluster, outcome) in [
        (CA.to_owned(), Ok(())),
        (format!("certificate-authority-data: {data}"), Ok(())),
        (
            format!("certificate-authority-data: >-\n      {first}\n      {second}"),
            Ok(()),
        ),
        (
            format!("certificate-authority-data: |\n      {first}\n      {second}"),
            Ok(()),
        ),
        (
            format!("certificate-authority-data: {data}\n    certificate-authority: gone"),
            Ok(()),
        ),
        (format!("{CA}\n    proxy-url: ''"), Ok(())),
        (
            format!("{CA}\n    proxy-url: null\n    insecure-skip-tls-verify: false"),
            Ok(()),
        ),
        (
            format!("{CA}\n    tls-server-name: ''\n    extensions: null"),
            Ok(()),
        ),
        (
            format!("{CA}\n    proxy-url: http://p:1"),
            of(11, "proxy-url", "asks for a proxy, and none is used here"),
        ),
        (
            format!("{CA}\n    insecure-skip-tls-verify: true"),
            of(11, "insecure-skip-tls-verify", "gives protection up"),
        ),
        (
            format!("{CA}\n    insecure-skip-tls-verify: [true]"),
            of(11, "insecure-skip-tls-verify", "is neither true nor false"),
        ),
        (
            format!("{CA}\n    insecure-skip-tls-verify: perhaps"),
            of(11, "insecure-skip-tls-verify", "is neither true nor false"),
        ),
        (
            "certificate-authority-data: '*'".to_owned(),
            of(10, "certificate-authority-data", "is no base64"),
        ),
        (
            "certificate-authority-data: YQ==".to_owned(),
            of(
                10,
                "certificate-authority-data",
                "holds no certificate in PEM",
            ),
        ),
        (
            "certificate-authority: kubeconfig".to_owned(),
            of(
                10,
                "certificate-authority",
                "names a file that holds no certificate in PEM",
            ),
        ),
    ] {
        let path = place.kubeconfig(&cluster, "token: good", NO_MORE);
        assert_eq!(place.asks(path), outcome, "{cluster}");
    }
}

#[test]
fn a_context_that_is_not_whole_is_named_with_its_line() {
    let place = Place::new();
    let whole = fs::read_to_string(place.user("token: good")).unwrap();
    let line = |line: usize, what: &str| format!("`kubeconfig`, line {line}: {what}");
    for (from, to, what) in [
        (
            "current-context: c",
            "current-context: d",
            line(
                3,
                "`current-context` names `d`, and there is no such context",
            ),
        ),
        (
            "current-context: c",
            "current-context: ''",
            "no kubeconfig names a current context: `kubectl config use-context` does".to_owned(),
        ),
        ("cluster: c, ", "", line(5, "context `c` has no `cluster`")),
        (
            "cluster: c, ",
            "cluster: d, ",
            line(
                5,
                "`cluster` of context `c` names `d`, and there is no such cluster",
            ),
        ),
        (
            "context: {cluster",
            "context: 7, x: {cluster",
            line(5, "`context` of context `c` is no mapping"),
        ),
        (
            "contexts:\n",
            "contexts: 7\nx:\n",
            line(4, "`contexts` is no list"),
        ),
        (
            "    server: ",
            "    served: ",
            line(9, "cluster `c` has no `server`"),
        ),
        (
            "    server: ",
            "    server: http://d\n    served: ",
            line(9, "`server` of cluster `c` is not an https URL"),
        ),
        (
            "    server: ",
            "    server: '%'\n    served: ",
            line(9, "`server` of cluster `c` is no URL"),
        ),
        (
            "users:",
            "users: {",
            "`kubeconfig`, line 12, is not YAML".to_owned(),
        ),
    ] {
        let path = write(
            place.folder.path(),
            "kubeconfig",
            &whole.replacen(from, to, 1),
        );
        assert_eq!(place.asks(path), Err(what), "{to}");
    }
    let path = write(place.folder.path(), "kubeconfig", "eyJ.a.token");
    assert_eq!(
        place.asks(path.clone()),
        Err("`kubeconfig` is not a kubeconfig".to_owned())
    );
    fs::write(&path, b"\xc3\x28").unwrap();
    assert_eq!(
        place.asks(path),
        Err("`kubeconfig` is not a kubeconfig: it is no text".to_owned())
    );
}

/// As before it was read here: the first counts. client-go has neither.
#[test]
fn of_two_entries_of_a_name_the_first_counts_and_the_other_is_a_doubt() {
    let place = Place::new();
    let whole = fs::read_to_string(place.user("token: good")).unwrap();
    let doubt = |line: usize, kind: &str, name: &str, first: usize| {
        format!(
            "`kubeconfig`, line {line}: another {kind} is called `{name}`; the first counts, line \
             {first}, and kubectl takes neither"
        )
    };
    let context = "- {name: c, context: {cluster: c, user: u}}\n";
    for (before, more, outcome, doubts) in [
        (context, context.to_owned(), Ok(()), vec![]),
        (
            context,
            "- {name: c, context: {cluster: d}}\n".to_owned(),
            Ok(()),
            vec![doubt(6, "context", "c", 5)],
        ),
        (
            "clusters:\n",
            "- {name: c, cluster: {server: \"https://127.0.0.1:1\"}}\n".to_owned(),
            // Nobody is there.
            Err("api_unreachable".to_owned()),
            vec![doubt(8, "cluster", "c", 7)],
        ),
        (
            "users:\n",
            "- {name: u, user: {token: good}}\n".to_owned(),
            Ok(()),
            vec![],
        ),
        (
            "users:\n",
            "- {name: u, user: {token: good, as: null}}\n- {name: u, user: null}\n".to_owned(),
            Ok(()),
            vec![doubt(13, "user", "u", 12)],
        ),
    ] {
        let text = whole.replacen(before, &format!("{before}{more}"), 1);
        let path = write(place.folder.path(), "kubeconfig", &text);
        let api = ApiServer::new(Access::Kubeconfig(path.clone())).unwrap();
        let folder = format!("{}/", place.folder.path().display());
        let said: Vec<_> = api
            .doubts()
            .iter()
            .map(|doubt| doubt.replace(&folder, ""))
            .collect();
        assert_eq!(said, doubts, "{more}");
        drop(api);
        assert_eq!(place.asks(path), outcome, "{more}");
    }
}

#[test]
fn a_user_that_there_is_not_asks_as_nobody() {
    let place = Place::new();
    let whole = fs::read_to_string(place.user("token: good")).unwrap();
    for (from, to) in [
        ("user: u}", "user: v}"),
        (", user: u}", "}"),
        ("- name: u", "- name: v"),
    ] {
        let path = write(
            place.folder.path(),
            "kubeconfig",
            &whole.replacen(from, to, 1),
        );
        assert_eq!(place.asks(path), Err("api_unauthorized".to_owned()), "{to}");
    }
}
