//! Who a Kubernetes token is for: the claims of a service account.
//!
//! Trusts that a key of the cluster signed these claims. Kubernetes has
//! written them in two forms: legacy tokens carry flat claims whose names
//! begin with `kubernetes.io/serviceaccount/`, bound tokens (since 1.13) one
//! object called `kubernetes.io`. As in SPIRE each name stands in exactly one
//! place, so that two readers cannot disagree about which one counts.

use super::claims::text;
use crate::error::TokenError;
use crate::json::{Json, Object};
use crate::subject::{Node, Pod};

/// The objects a token speaks of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: Option<String>,
    pub(crate) pod: Option<Pod>,
    pub(crate) node: Option<Node>,
}

impl Names {
    /// Reads the names out of all claims.
    pub(crate) fn parse(claims: &Object<'_>) -> Result<Self, TokenError> {
        let bound = object(claims.get("kubernetes.io"), "kubernetes.io")?;
        let account = object(
            bound.and_then(|bound| bound.get("serviceaccount")),
            "kubernetes.io.serviceaccount",
        )?;

        let namespace = one_place(
            text(
                claims.get("kubernetes.io/serviceaccount/namespace"),
                "kubernetes.io/serviceaccount/namespace",
            )?,
            text(
                bound.and_then(|bound| bound.get("namespace")),
                "kubernetes.io.namespace",
            )?,
            TokenError::NamespaceFoundTwice,
        )?
        .ok_or(TokenError::NamespaceMissing)?;
        let name = one_place(
            text(
                claims.get("kubernetes.io/serviceaccount/service-account.name"),
                "kubernetes.io/serviceaccount/service-account.name",
            )?,
            text(
                account.and_then(|account| account.get("name")),
                "kubernetes.io.serviceaccount.name",
            )?,
            TokenError::NameFoundTwice,
        )?
        .ok_or(TokenError::NameMissing)?;
        let uid = one_place(
            text(
                claims.get("kubernetes.io/serviceaccount/service-account.uid"),
                "kubernetes.io/serviceaccount/service-account.uid",
            )?,
            text(
                account.and_then(|account| account.get("uid")),
                "kubernetes.io.serviceaccount.uid",
            )?,
            TokenError::UidFoundTwice,
        )?;

        let pod = reference(
            bound.and_then(|bound| bound.get("pod")),
            [
                "kubernetes.io.pod",
                "kubernetes.io.pod.name",
                "kubernetes.io.pod.uid",
            ],
        )?
        .map(|(name, uid)| Pod {
            name,
            uid,
            address: None,
            labels: Vec::new(),
        });
        let node = reference(
            bound.and_then(|bound| bound.get("node")),
            [
                "kubernetes.io.node",
                "kubernetes.io.node.name",
                "kubernetes.io.node.uid",
            ],
        )?
        .map(|(name, uid)| Node {
            name,
            uid,
            address: None,
            labels: Vec::new(),
        });

        Ok(Self {
            namespace,
            name,
            uid,
            pod,
            node,
        })
    }
}

/// What was said in one of two places.
fn one_place(
    legacy: Option<String>,
    bound: Option<String>,
    found_twice: TokenError,
) -> Result<Option<String>, TokenError> {
    match (legacy, bound) {
        (Some(_), Some(_)) => Err(found_twice),
        (legacy, bound) => Ok(legacy.or(bound)),
    }
}

/// A reference to another object: its name, and its UID where given. `claims`
/// are the names of the object, of its name and of its UID.
fn reference(
    value: Option<&Json<'_>>,
    claims: [&'static str; 3],
) -> Result<Option<(String, Option<String>)>, TokenError> {
    let [whole, name, uid] = claims;
    let Some(referred) = object(value, whole)? else {
        return Ok(None);
    };
    let named = text(referred.get("name"), name)?.ok_or(TokenError::ClaimMalformed {
        claim: name,
        expected: "a non-empty string",
    })?;
    Ok(Some((named, text(referred.get("uid"), uid)?)))
}

fn object<'o, 'a>(
    value: Option<&'o Json<'a>>,
    claim: &'static str,
) -> Result<Option<&'o Object<'a>>, TokenError> {
    match value {
        None => Ok(None),
        Some(Json::Object(object)) => Ok(Some(object)),
        Some(_) => Err(TokenError::ClaimMalformed {
            claim,
            expected: "an object",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::Names;
    use crate::json::Object;
    use crate::subject::{Node, Pod};

    const LEGACY: &str = r#""kubernetes.io/serviceaccount/namespace":"spire","kubernetes.io/serviceaccount/service-account.name":"agent","kubernetes.io/serviceaccount/service-account.uid":"u1""#;
    const BOUND: &str = r#""kubernetes.io":{"namespace":"spire","serviceaccount":{"name":"agent","uid":"u1"},"pod":{"name":"p","uid":"u2"},"node":{"name":"n","uid":"u3"},"warnafter":1}"#;

    fn names(members: &str) -> Result<Names, String> {
        let claims = format!("{{{members}}}");
        let claims = Object::parse(claims.as_bytes()).unwrap();
        Names::parse(&claims).map_err(|error| error.to_string())
    }

    fn refused(members: &str) -> String {
        names(members).unwrap_err()
    }

    #[test]
    fn legacy_claims_name_an_account() {
        let names = names(LEGACY).unwrap();
        assert_eq!((&*names.namespace, &*names.name), ("spire", "agent"));
        assert_eq!(names.uid.as_deref(), Some("u1"));
        assert_eq!((names.pod, names.node), (None, None));
    }

    #[test]
    fn bound_claims_name_an_account_a_pod_and_a_node() {
        let names = names(BOUND).unwrap();
        assert_eq!((&*names.namespace, &*names.name), ("spire", "agent"));
        assert_eq!(names.uid.as_deref(), Some("u1"));
        let (address, labels) = (None, Vec::new());
        let uid = Some("u2".to_owned());
        let pod = Pod {
            name: "p".to_owned(),
            uid,
            address,
            labels,
        };
        assert_eq!(names.pod, Some(pod));
        let (address, labels) = (None, Vec::new());
        let uid = Some("u3".to_owned());
        assert_eq!(
            names.node,
            Some(Node {
                name: "n".to_owned(),
                uid,
                address,
                labels
            })
        );
    }

    #[test]
    fn uids_may_be_absent() {
        let bound = BOUND
            .replace(r#","uid":"u1""#, "")
            .replace(r#","uid":"u2""#, "")
            .replace(r#","uid":"u3""#, "");
        let names = names(&bound).unwrap();
        assert_eq!(names.uid, None);
        assert_eq!(names.pod.unwrap().uid, None);
        assert_eq!(names.node.unwrap().uid, None);
    }

    #[test]
    fn names_may_stand_in_different_places() {
        let mixed = r#""kubernetes.io/serviceaccount/namespace":"spire","kubernetes.io":{"serviceaccount":{"name":"agent"}}"#;
        assert_eq!(names(mixed).unwrap().name, "agent");
    }

    #[test]
    fn each_name_stands_in_one_place() {
        let both = |bound: &str| refused(&format!("{LEGACY},\"kubernetes.io\":{bound}"));
        // The same value twice is refused as well.
        assert_eq!(
            both(r#"{"namespace":"spire"}"#),
            "token names a namespace in two claims"
        );
        assert_eq!(
            both(r#"{"serviceaccount":{"name":"agent"}}"#),
            "token names a service account in two claims"
        );
        assert_eq!(
            both(r#"{"serviceaccount":{"uid":"u1"}}"#),
            "token has a service account UID in two claims"
        );
        assert!(names(&format!("{LEGACY},\"kubernetes.io\":{{}}")).is_ok());
    }

    #[test]
    fn each_name_stands_somewhere() {
        assert_eq!(refused(""), "token names no namespace");
        assert_eq!(
            refused(&LEGACY.replace("/namespace", "/x")),
            "token names no namespace"
        );
        assert_eq!(
            refused(&LEGACY.replace(".name", ".x")),
            "token names no service account"
        );
        assert_eq!(
            refused(&BOUND.replace("namespace", "x")),
            "token names no namespace"
        );
        assert_eq!(
            refused(&BOUND.replace("serviceaccount", "x")),
            "token names no service account"
        );
    }

    #[test]
    fn what_is_there_is_well_formed() {
        for bad in ["\"\"", "null", "1", "[]", "{}"] {
            let expect = |members: String, claim: &str| {
                assert_eq!(
                    refused(&members),
                    format!("claim `{claim}` is not a non-empty string"),
                    "{bad}"
                );
            };
            expect(
                LEGACY.replace("\"spire\"", bad),
                "kubernetes.io/serviceaccount/namespace",
            );
            expect(
                LEGACY.replace("\"agent\"", bad),
                "kubernetes.io/serviceaccount/service-account.name",
            );
            expect(
                LEGACY.replace("\"u1\"", bad),
                "kubernetes.io/serviceaccount/service-account.uid",
            );
            expect(BOUND.replace("\"spire\"", bad), "kubernetes.io.namespace");
            expect(
                BOUND.replace("\"agent\"", bad),
                "kubernetes.io.serviceaccount.name",
            );
            expect(
                BOUND.replace("\"u1\"", bad),
                "kubernetes.io.serviceaccount.uid",
            );
            expect(BOUND.replace("\"p\"", bad), "kubernetes.io.pod.name");
            expect(BOUND.replace("\"u2\"", bad), "kubernetes.io.pod.uid");
            expect(BOUND.replace("\"n\"", bad), "kubernetes.io.node.name");
            expect(BOUND.replace("\"u3\"", bad), "kubernetes.io.node.uid");
        }
        for (from, claim) in [
            (
                r#"{"name":"agent","uid":"u1"}"#,
                "kubernetes.io.serviceaccount",
            ),
            (r#"{"name":"p","uid":"u2"}"#, "kubernetes.io.pod"),
            (r#"{"name":"n","uid":"u3"}"#, "kubernetes.io.node"),
        ] {
            for bad in ["null", "\"x\"", "[]", "0"] {
                assert_eq!(
                    refused(&BOUND.replace(from, bad)),
                    format!("claim `{claim}` is not an object")
                );
            }
        }
        assert_eq!(
            refused(r#""kubernetes.io":null"#),
            "claim `kubernetes.io` is not an object"
        );
    }

    #[test]
    fn a_pod_and_a_node_have_names() {
        assert_eq!(
            refused(&BOUND.replace(r#""name":"p","#, "")),
            "claim `kubernetes.io.pod.name` is not a non-empty string"
        );
        assert_eq!(
            refused(&BOUND.replace(r#""name":"n","#, "")),
            "claim `kubernetes.io.node.name` is not a non-empty string"
        );
    }
}
