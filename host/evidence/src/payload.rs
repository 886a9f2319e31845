//! The payload of `k8s_sat`: a JSON object that names a cluster and holds a
//! token.
//!
//! Trusts nothing. Members other than the three known ones are ignored, as
//! SPIRE ignores them; the known ones are compared exactly and may appear
//! once.

use std::borrow::Cow;

use crate::error::EvidenceError;
use crate::json::{Json, Object};

/// What a peer says about itself. Of this only the token can be proven.
pub(crate) struct Payload<'a> {
    /// The cluster the peer says it belongs to; not empty.
    pub(crate) cluster: Cow<'a, str>,
    /// The token, possibly with white space round it; not empty.
    token: Cow<'a, str>,
    /// The UUID the peer claims for itself, in lower case.
    pub(crate) claimed_id: Option<String>,
}

impl<'a> Payload<'a> {
    /// Parses the bytes of a payload.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, EvidenceError> {
        let mut object =
            Object::parse(bytes).map_err(|source| EvidenceError::PayloadMalformed { source })?;
        let cluster = string(&mut object, "cluster")?;
        let token = string(&mut object, "token")?;
        let uuid = string(&mut object, "uuid")?;

        let cluster = cluster
            .filter(|name| !name.is_empty())
            .ok_or(EvidenceError::ClusterMissing)?;
        let token = token
            .filter(|text| !text.trim_ascii().is_empty())
            .ok_or(EvidenceError::TokenMissing)?;
        let claimed_id = uuid.as_deref().map(claimed_id).transpose()?;
        Ok(Self {
            cluster,
            token,
            claimed_id,
        })
    }

    /// The token without surrounding white space: token files end in a newline
    /// and agents send them as they are.
    pub(crate) fn token(&self) -> &str {
        self.token.trim_ascii()
    }
}

/// Takes a string out of the payload. Another type is refused rather than
/// taken for absent.
fn string<'a>(
    object: &mut Object<'a>,
    member: &'static str,
) -> Result<Option<Cow<'a, str>>, EvidenceError> {
    match object.take(member) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(
            Json::Null
            | Json::Bool(_)
            | Json::Integer(_)
            | Json::OtherNumber
            | Json::Array(_)
            | Json::Object(_),
        ) => Err(EvidenceError::PayloadMemberMalformed { member }),
    }
}

/// A UUID in the hyphenated form of RFC 9562 §4, in lower case.
fn claimed_id(text: &str) -> Result<String, EvidenceError> {
    let hyphenated = text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(position, byte)| match position {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
    if hyphenated {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(EvidenceError::ClaimedIdMalformed)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::Payload;
    use crate::error::EvidenceError;

    const UUID: &str = "6ba7b810-9DAD-11d1-80b4-00c04fd430c8";

    fn refused(payload: &str) -> EvidenceError {
        match Payload::parse(payload.as_bytes()) {
            Ok(_) => panic!("`{payload}` was accepted"),
            Err(error) => error,
        }
    }

    #[test]
    fn a_payload_names_a_cluster_and_holds_a_token() {
        let payload = Payload::parse(br#"{"cluster":"c","token":" t\n","more":[]}"#).unwrap();
        assert_eq!(payload.cluster, "c");
        assert_eq!(payload.token(), "t");
        assert_eq!(payload.claimed_id, None);
    }

    #[test]
    fn refusals_come_in_their_order() {
        let cases = [
            ("{", "payload_malformed", "attestation payload is malformed"),
            (
                "[]",
                "payload_malformed",
                "attestation payload is malformed",
            ),
            (
                r#"{"cluster":1,"token":""}"#,
                "payload_member_malformed",
                "`cluster` of the attestation payload is not a string",
            ),
            (
                r#"{"cluster":"","token":null}"#,
                "payload_member_malformed",
                "`token` of the attestation payload is not a string",
            ),
            (
                "{}",
                "cluster_missing",
                "attestation payload names no cluster",
            ),
            (
                r#"{"cluster":"","token":"t"}"#,
                "cluster_missing",
                "attestation payload names no cluster",
            ),
            (
                r#"{"Cluster":"c","token":"t"}"#,
                "cluster_missing",
                "attestation payload names no cluster",
            ),
            (
                r#"{"cluster":"c"}"#,
                "token_missing",
                "attestation payload holds no token",
            ),
            (
                r#"{"cluster":"c","token":" \n"}"#,
                "token_missing",
                "attestation payload holds no token",
            ),
            (
                r#"{"cluster":"c","token":"t","uuid":""}"#,
                "claimed_id_malformed",
                "`uuid` of the attestation payload is not a UUID in hyphenated form",
            ),
        ];
        for (payload, reason, text) in cases {
            let error = refused(payload);
            assert_eq!(error.reason(), reason, "{payload}");
            assert_eq!(error.to_string(), text, "{payload}");
        }
    }

    #[test]
    fn a_member_may_appear_once() {
        let error = refused(r#"{"cluster":"a","token":"t","cluster":"b"}"#);
        assert_eq!(error.reason(), "payload_malformed");
        assert_eq!(
            error.source().unwrap().to_string(),
            "member `cluster` appears twice at line 1 column 41"
        );
    }

    #[test]
    fn a_claimed_id_is_a_uuid_and_becomes_lower_case() {
        let with = |uuid: &str| format!(r#"{{"cluster":"c","token":"t","uuid":"{uuid}"}}"#);
        let good = with(UUID);
        let payload = Payload::parse(good.as_bytes()).unwrap();
        assert_eq!(
            payload.claimed_id.as_deref(),
            Some(UUID.to_lowercase().as_str())
        );

        for bad in [
            UUID.replace('-', ""),
            format!("{{{UUID}}}"),
            format!("urn:uuid:{UUID}"),
            format!("{UUID}0"),
            UUID.replace('6', "g"),
            UUID.replacen('-', "0", 1),
            "../../../../../../../../../../../../x".to_owned(),
        ] {
            assert_eq!(
                refused(&with(&bad)).reason(),
                "claimed_id_malformed",
                "{bad}"
            );
        }
    }
}
