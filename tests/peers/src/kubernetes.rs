//! An API server with its etcd, and the objects of a cluster.

use crate::process::{Running, eventually, free_port};
use jsonwebtoken::EncodingKey;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::runtime::Runtime;

/// A cluster without nodes that run: etcd, an API server, and the signer of
/// certificates once it is started.
#[derive(Debug)]
pub struct Cluster {
    bin: PathBuf,
    work: PathBuf,
    port: u16,
    runtime: Runtime,
    _etcd: Running,
    server: Option<Running>,
    signer: Option<Running>,
}

impl Cluster {
    /// Starts it, with its files in `work`.
    #[must_use]
    pub fn start(bin: &Path, work: &Path) -> Self {
        certificates(work);
        let port = free_port();
        let etcd = Running::start(
            Command::new(bin.join("etcd")).current_dir(work).args([
                "--name=peers",
                "--data-dir=etcd",
                "--logger=zap",
                "--log-level=error",
                // A name with a port is what etcd takes for a socket's.
                "--listen-client-urls=unix://etcd.sock:1",
                "--advertise-client-urls=http://127.0.0.1:0",
                "--listen-peer-urls=http://127.0.0.1:0",
                "--initial-advertise-peer-urls=http://127.0.0.1:0",
                "--initial-cluster=peers=http://127.0.0.1:0",
            ]),
            &work.join("etcd.log"),
        );
        eventually("etcd listens", || work.join("etcd.sock:1").exists());
        let mut cluster = Self {
            bin: bin.to_owned(),
            work: work.to_owned(),
            port,
            runtime: Runtime::new().unwrap(),
            _etcd: etcd,
            server: None,
            signer: None,
        };
        for name in ["admin", "manager"] {
            cluster.write_kubeconfig(
                name,
                &format!("client-certificate: {name}.crt, client-key: {name}.key"),
            );
        }
        cluster.start_server();
        cluster.fill();
        cluster
    }

    /// Starts the API server, again or for the first time.
    pub fn start_server(&mut self) {
        let file = |name: &str| self.work.join(name).display().to_string();
        let mut server = Running::start(
            Command::new(self.bin.join("kube-apiserver"))
                .current_dir(&self.work)
                .arg(format!("--etcd-servers=unix://{}", file("etcd.sock:1")))
                .arg(format!("--secure-port={}", self.port))
                .arg(format!("--client-ca-file={}", file("ca.crt")))
                .arg(format!("--tls-cert-file={}", file("apiserver.crt")))
                .arg(format!("--tls-private-key-file={}", file("apiserver.key")))
                .arg(format!("--service-account-issuer={}", self.issuer()))
                .arg(format!(
                    "--service-account-signing-key-file={}",
                    file("sa.key")
                ))
                .arg(format!("--service-account-key-file={}", file("sa.pub")))
                .args([
                    "--bind-address=127.0.0.1",
                    "--advertise-address=127.0.0.1",
                    "--endpoint-reconciler-type=none",
                    "--service-cluster-ip-range=10.0.0.0/24",
                    "--authorization-mode=Node,RBAC",
                    "--enable-admission-plugins=NodeRestriction",
                ]),
            &self.work.join("kube-apiserver.log"),
        );
        server.ready("the API server is ready", || {
            self.runtime.block_on(async {
                let Ok(client) = self.client("admin").await else {
                    return false;
                };
                let ready = http::Request::get("/readyz").body(Vec::new()).unwrap();
                client.request_text(ready).await.is_ok()
            })
        });
        self.server = Some(server);
    }

    /// Starts what signs the certificates that were approved, and approves none.
    pub fn start_signer(&mut self) {
        let file = |name: &str| self.work.join(name).display().to_string();
        self.signer = Some(Running::start(
            Command::new(self.bin.join("kube-controller-manager"))
                .current_dir(&self.work)
                .arg(format!("--kubeconfig={}", file("manager.kubeconfig")))
                .arg(format!("--cluster-signing-cert-file={}", file("ca.crt")))
                .arg(format!("--cluster-signing-key-file={}", file("ca.key")))
                .args([
                    "--controllers=certificatesigningrequest-signing-controller",
                    "--leader-elect=false",
                    "--secure-port=0",
                ]),
            &self.work.join("kube-controller-manager.log"),
        ));
    }

    /// What the API server calls itself in tokens: where it is, so that its
    /// keys can be discovered.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Gives the API server another key for service accounts, with which the
    /// tokens that there are become worthless.
    pub fn rotate_keys(&mut self) {
        self.stop_server();
        account_keys(&self.work);
        self.start_server();
        self.let_review();
    }

    /// Ends the API server.
    pub fn stop_server(&mut self) {
        self.server = None;
    }

    async fn client(&self, user: &str) -> Result<Client, Box<dyn std::error::Error>> {
        let file = self.work.join(format!("{user}.kubeconfig"));
        let kubeconfig = Kubeconfig::read_from(file)?;
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        Ok(Client::try_from(config)?)
    }

    /// Asks as an administrator.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask_as("admin", method, path, body)
    }

    /// Asks as `user`, of whom there is a kubeconfig.
    pub(crate) fn ask_as(&self, user: &str, method: &str, path: &str, body: &Value) -> Value {
        let content_type = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .body(if body.is_null() {
                Vec::new()
            } else {
                body.to_string().into_bytes()
            })
            .unwrap();
        self.runtime
            .block_on(async { self.client(user).await.unwrap().request(request).await })
            .unwrap_or_else(|error| panic!("{user}: {method} {path}: {error}"))
    }

    fn post(&self, path: &str, body: &Value) {
        let _made = self.ask("POST", path, body);
    }

    /// The namespace, accounts, node and rights of an attestation.
    fn fill(&self) {
        self.post(
            "/api/v1/namespaces",
            &json!({"metadata": {"name": "spire"}}),
        );
        for account in ["spire-agent", "spire-server", "other"] {
            self.post(
                "/api/v1/namespaces/spire/serviceaccounts",
                &json!({"metadata": {"name": account}}),
            );
        }
        let labels = json!({"topology.kubernetes.io/zone": "eu-1a", "rack": "r7"});
        self.post(
            "/api/v1/nodes",
            &json!({"metadata": {"name": "node-1", "labels": labels}}),
        );
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        self.post(
            &format!("{rbac}/clusterroles"),
            &json!({"metadata": {"name": "reviewer"}, "rules": [
                {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
                {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get"]},
                {"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"],
                    "verbs": ["get"]},
            ]}),
        );
        self.post(
            &format!("{rbac}/clusterroles"),
            &json!({"metadata": {"name": "requester"}, "rules": [
                {"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"],
                    "verbs": ["create", "get", "delete"]},
            ]}),
        );
        for (role, account) in [("reviewer", "spire-server"), ("requester", "spire-agent")] {
            self.post(
                &format!("{rbac}/clusterrolebindings"),
                &json!({
                    "metadata": {"name": role},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                    "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "spire"}],
                }),
            );
        }
        self.let_review();
    }

    /// Writes what a spire-server needs: a credential that may review, as a
    /// kubeconfig and alone, and the keys of service accounts. Whoever reads
    /// them sees the old ones or the new ones.
    fn let_review(&self) {
        let token = self.token("spire-server", &json!({"expirationSeconds": 3600}));
        self.write_kubeconfig("reviewer", &format!("token: {token}"));
        let jwks = self.ask("GET", "/openid/v1/jwks", &Value::Null);
        for (name, text) in [("reviewer.token", token), ("jwks.json", jwks.to_string())] {
            let next = self.work.join(name).with_extension("next");
            fs::write(&next, text).unwrap();
            fs::rename(next, self.work.join(name)).unwrap();
        }
    }

    /// Writes a kubeconfig of `user`, who has this token.
    pub(crate) fn write_user(&self, user: &str, token: &str) {
        self.write_kubeconfig(user, &format!("token: {token}"));
    }

    fn write_kubeconfig(&self, name: &str, user: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: \"https://127.0.0.1:{}\", \
             certificate-authority: ca.crt}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n",
            self.port
        );
        fs::write(self.work.join(format!("{name}.kubeconfig")), text).unwrap();
    }

    /// Makes the pod `name` on `node-1`, as if it ran there; its UID.
    #[must_use]
    pub fn pod(&self, name: &str) -> String {
        let pods = "/api/v1/namespaces/spire/pods";
        let pod = self.ask(
            "POST",
            pods,
            &json!({
                "metadata": {"name": name, "labels": {"app": "spire-agent"}},
                "spec": {"nodeName": "node-1", "serviceAccountName": "spire-agent",
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "agent", "image": "none"}]},
            }),
        );
        let status = json!({"status": {"phase": "Running", "hostIP": "10.1.2.3",
            "hostIPs": [{"ip": "10.1.2.3"}], "podIP": "10.9.0.7"}});
        let _patched = self.ask("PATCH", &format!("{pods}/{name}/status"), &status);
        pod["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    /// Removes a pod at once.
    pub fn delete_pod(&self, name: &str) {
        let path = format!("/api/v1/namespaces/spire/pods/{name}?gracePeriodSeconds=0");
        let _deleted = self.ask("DELETE", &path, &Value::Null);
    }

    /// A token of `account`, as the kubelet asks for it.
    #[must_use]
    pub fn token(&self, account: &str, spec: &Value) -> String {
        let path = format!("/api/v1/namespaces/spire/serviceaccounts/{account}/token");
        let answer = self.ask("POST", &path, &json!({"spec": spec}));
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// `token` as the cluster would have issued it at another time, `seconds`
    /// from when it did: the API server signs none that has ended.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the harness asked for this token itself"
    )]
    pub fn moved(&self, token: &str, seconds: i64) -> String {
        let key = fs::read_to_string(self.work.join("sa.key")).unwrap();
        let key = KeyPair::from_pem(&key).unwrap();
        let key = EncodingKey::from_ec_der(&key.serialize_der());
        let mut claims: Value = jsonwebtoken::dangerous::insecure_decode(token)
            .unwrap()
            .claims;
        for time in ["iat", "nbf", "exp"] {
            claims[time] = (claims[time].as_i64().unwrap() + seconds).into();
        }
        let header = jsonwebtoken::decode_header(token).unwrap();
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    }

    /// A token of `spire-agent` that is projected into the pod `name`.
    #[must_use]
    pub fn pod_token(&self, name: &str, uid: &str, audience: &str) -> String {
        self.token(
            "spire-agent",
            &json!({"audiences": [audience], "expirationSeconds": 600, "boundObjectRef":
                {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}}),
        )
    }
}

/// A CA, who is signed by it, and the key of service accounts.
fn certificates(work: &Path) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "peers");
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let write = |name: &str, text: String| fs::write(work.join(name), text).unwrap();
    write("ca.crt", ca.pem());
    write("ca.key", ca.key().serialize_pem());
    let issue = |name: &str, names: Vec<String>, organization: Option<&str>, usage| {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(names).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, name);
        if let Some(organization) = organization {
            leaf.distinguished_name
                .push(DnType::OrganizationName, organization);
        }
        leaf.extended_key_usages = vec![usage];
        write(
            &format!("{name}.crt"),
            leaf.signed_by(&key, &ca).unwrap().pem(),
        );
        write(&format!("{name}.key"), key.serialize_pem());
    };
    let names = ["localhost", "127.0.0.1"].map(str::to_owned).to_vec();
    issue(
        "apiserver",
        names,
        None,
        ExtendedKeyUsagePurpose::ServerAuth,
    );
    let admin = Some("system:masters");
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    issue("admin", Vec::new(), admin, client.clone());
    issue("manager", Vec::new(), admin, client);
    account_keys(work);
}

/// The key pair of service accounts.
fn account_keys(work: &Path) {
    let accounts = KeyPair::generate().unwrap();
    fs::write(work.join("sa.key"), accounts.serialize_pem()).unwrap();
    fs::write(work.join("sa.pub"), accounts.public_key_pem()).unwrap();
}
