//! What a credential plugin answers: an `ExecCredential` with a status.
//!
//! JSON, or YAML, which client-go takes too. Nothing of it stands in an error.

use crate::credential::bearer;
use crate::yaml::{self, Node, Value};
use http::HeaderValue;
use k8s_openapi::jiff::Timestamp;
use std::time::SystemTime;

/// A credential.
pub(super) struct Given {
    pub(super) header: Option<HeaderValue>,
    /// A certificate and its key, in PEM.
    pub(super) identity: Option<(String, String)>,
    pub(super) expires: Option<SystemTime>,
}

/// Reads what a program wrote.
///
/// # Errors
/// What it did.
pub(super) fn read(output: &[u8]) -> Result<Given, &'static str> {
    const NONE: &str = "gave no `ExecCredential`";
    let text = std::str::from_utf8(output).map_err(|_unquoted| NONE)?;
    let documents = yaml::documents(text).map_err(|_unquoted| NONE)?;
    let status = documents
        .first()
        .and_then(|root| member(root, "status"))
        .filter(|status| matches!(status.value, Value::Map(_)))
        .ok_or("gave an answer without a `status`")?;
    let text = |name: &str| match &member(status, name)?.value {
        Value::Text(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    };
    let header = text("token")
        .map(|token| bearer(token.as_bytes()).ok_or("gave a token that cannot be sent"))
        .transpose()?;
    let identity = match (text("clientCertificateData"), text("clientKeyData")) {
        (Some(certificate), Some(key)) => Some((certificate.to_owned(), key.to_owned())),
        (None, None) => None,
        (Some(_), None) => return Err("gave a certificate without its key"),
        (None, Some(_)) => return Err("gave a key without its certificate"),
    };
    if header.is_none() && identity.is_none() {
        return Err("gave neither a token nor a certificate");
    }
    let expires = text("expirationTimestamp")
        .map(|time| time.parse::<Timestamp>().map(SystemTime::from))
        .transpose()
        .map_err(|_unquoted| "gave an `expirationTimestamp` that is no time")?;
    Ok(Given {
        header,
        identity,
        expires,
    })
}

fn member<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let Value::Map(members) = &node.value else {
        return None;
    };
    let found = members.iter().find(|member| member.key == name)?;
    Some(&found.node)
}

#[cfg(test)]
mod tests {
    use super::read;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_credential_is_read_from_json_and_yaml() {
        for output in [
            r#"{"kind":"ExecCredential","status":{"token":"t\n","expirationTimestamp":"2026-01-01T01:00:00+01:00"}}"#,
            "kind: ExecCredential\nstatus:\n  token: t\n  expirationTimestamp: '2026-01-01T00:00:00Z'\n",
        ] {
            let given = read(output.as_bytes()).unwrap();
            assert_eq!(given.header.unwrap(), "Bearer t");
            let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
            assert_eq!(given.expires, Some(then));
        }
        let both = r#"{"status":{"clientCertificateData":"c","clientKeyData":"k"}}"#;
        let given = read(both.as_bytes()).unwrap();
        assert_eq!(given.identity, Some(("c".to_owned(), "k".to_owned())));
        assert_eq!(given.expires, None);
    }

    #[test]
    fn what_is_none_is_said_and_not_repeated() {
        for (output, why) in [
            ("canary: [", "gave no `ExecCredential`"),
            ("", "gave an answer without a `status`"),
            ("canary", "gave an answer without a `status`"),
            (r#"{"status":null}"#, "gave an answer without a `status`"),
            (r#"{"status":{}}"#, "gave neither a token nor a certificate"),
            (
                r#"{"status":{"token":"a\nb"}}"#,
                "gave a token that cannot be sent",
            ),
            (
                r#"{"status":{"token":"t","clientKeyData":"k"}}"#,
                "gave a key without its certificate",
            ),
            (
                r#"{"status":{"clientCertificateData":"c"}}"#,
                "gave a certificate without its key",
            ),
            (
                r#"{"status":{"token":"t","expirationTimestamp":"soon"}}"#,
                "gave an `expirationTimestamp` that is no time",
            ),
        ] {
            assert_eq!(read(output.as_bytes()).err(), Some(why), "{output}");
        }
    }
}
