//! Requests for certificates, as whoever decides on them sees them.

use crate::kubernetes::Cluster;
use crate::process::eventually;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};

const PATH: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// A certificate that the cluster's signer made, by a request.
#[derive(Debug)]
pub struct Signed {
    /// The metadata of the request, as the API server has them.
    pub metadata: Value,
    /// In PEM.
    pub certificate: String,
    /// Its key.
    pub key: KeyPair,
}

impl Cluster {
    /// The names of all requests that there are.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let list = self.ask("GET", PATH, &Value::Null);
        let items = list["items"].as_array().unwrap();
        let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
        items.iter().map(name).collect()
    }

    /// Waits for a request that is not among `before`, and gives its name.
    #[must_use]
    pub fn requested(&self, before: &[String]) -> String {
        let mut new = None;
        eventually("a certificate is requested", || {
            let requests = self.requests();
            new = requests.into_iter().find(|name| !before.contains(name));
            new.is_some()
        });
        new.unwrap()
    }

    /// Says `verdict`, `Approved` or `Denied`, as `kubectl certificate` does.
    pub fn decide(&self, name: &str, verdict: &str) {
        let path = format!("{PATH}/{name}");
        let mut request = self.ask("GET", &path, &Value::Null);
        request["status"]["conditions"] = json!([{
            "type": verdict, "status": "True",
            "reason": "EndToEnd", "message": "a test has decided",
        }]);
        let _decided = self.ask("PUT", &format!("{path}/approval"), &request);
    }

    /// Removes a request.
    pub fn delete_request(&self, name: &str) {
        let _deleted = self.ask("DELETE", &format!("{PATH}/{name}"), &Value::Null);
    }

    /// Lets `signer` sign a certificate of the group of nodes for `common_name`,
    /// by a request of an administrator.
    #[must_use]
    pub fn sign(&self, name: &str, common_name: &str, signer: &str) -> Signed {
        self.sign_for("admin", name, common_name, signer)
    }

    /// The same, by a request of whoever has `token`.
    #[must_use]
    pub fn sign_by_token(
        &self,
        token: &str,
        name: &str,
        common_name: &str,
        signer: &str,
    ) -> Signed {
        self.write_user("of-a-token", token);
        self.sign_for("of-a-token", name, common_name, signer)
    }

    fn sign_for(&self, user: &str, name: &str, common_name: &str, signer: &str) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in [
            (DnType::OrganizationName, "system:nodes"),
            (DnType::CommonName, common_name),
        ] {
            params.distinguished_name.push(kind, value);
        }
        let request = params.serialize_request(&key).unwrap().pem().unwrap();
        let object = json!({
            "metadata": {"name": name},
            "spec": {"request": STANDARD.encode(request), "signerName": signer,
                "usages": ["digital signature", "client auth"]},
        });
        let _made = self.ask_as(user, "POST", PATH, &object);
        self.decide(name, "Approved");
        let mut request = Value::Null;
        eventually("the signer signs", || {
            request = self.ask("GET", &format!("{PATH}/{name}"), &Value::Null);
            request["status"]["certificate"].is_string()
        });
        let certificate = STANDARD.decode(request["status"]["certificate"].as_str().unwrap());
        Signed {
            certificate: String::from_utf8(certificate.unwrap()).unwrap(),
            metadata: request["metadata"].take(),
            key,
        }
    }
}
