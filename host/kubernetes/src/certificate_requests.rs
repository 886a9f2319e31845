//! CertificateSigningRequests (`certificates.k8s.io/v1`): made, waited for and
//! removed, by whoever wants a certificate.
//!
//! Trusts the API server to say what became of a request. An object of the
//! same name that somebody else made is recognised by its UID, and is neither
//! waited for nor removed.

use crate::api_server::{ApiServer, Ask};
use crate::name::ObjectName;
use crate::waiting::wait;
use crate::words;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use nameplate_evidence::{ApiError, Patience};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::time::{Duration, Instant};

/// Where the objects are.
pub(crate) const PATH: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// The shortest time between two looks at a request, and the longest. A signer
/// needs some 50 ms, a human some minutes.
const LOOKS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// How long one look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is said that nothing has changed.
const SAY_AGAIN: Duration = Duration::from_secs(15);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct NewRequest<'a> {
    /// The name of the object.
    pub name: &'a str,
    /// The request (PKCS #10) in PEM.
    pub request: &'a str,
    /// Who shall sign it, such as `kubernetes.io/kube-apiserver-client-kubelet`.
    pub signer: &'a str,
    /// How long the certificate shall hold; at least 10 minutes. The signer may
    /// make it shorter.
    pub lifetime: Duration,
}

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// The name of the object.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// How a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestState {
    /// Nobody has decided yet.
    Pending,
    /// Approved, and not signed yet.
    Approved,
    /// An approver said no.
    Denied(Verdict),
    /// The signer refuses it.
    Failed(Verdict),
    /// The certificate, in PEM.
    Issued(String),
    /// There is no such object any more.
    Gone,
}

/// Why a request was denied or failed, in the words of whoever decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// What is said while a request is waited for.
#[derive(Debug)]
pub struct StillWaiting<'a> {
    /// Whether it is approved, and the signer is waited for.
    pub approved: bool,
    /// Time since the first look.
    pub waited: Duration,
    /// Why the last look brought nothing, when it did not.
    pub trouble: Option<&'a ApiError>,
}

/// Why a request has no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotIssued {
    /// An approver said no.
    #[error("denied: {0}")]
    Denied(Verdict),
    /// The signer refuses it.
    #[error("approved, and refused by the signer: {0}")]
    Failed(Verdict),
    /// Somebody removed the object.
    #[error("removed before it was decided on")]
    Gone,
    /// Nobody decided in time.
    #[error("not approved in time")]
    NotApproved,
    /// The signer did not sign in time.
    #[error("approved, and not signed in time")]
    NotSigned,
    /// The API server does not tell how it stands.
    #[error("the API server does not tell how it stands")]
    Api(#[from] ApiError),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.reason.as_str(), self.message.as_str()) {
            ("", "") => f.write_str("no reason given"),
            (reason, "") => f.write_str(reason),
            ("", message) => f.write_str(message),
            (reason, message) => write!(f, "{reason}: {message}"),
        }
    }
}

/// Whoever takes requests for certificates.
pub trait CertificateRequests: fmt::Debug + Send + Sync {
    /// Makes a request, for a key that signs and authenticates a client.
    ///
    /// # Errors
    /// [`ApiError`]; also when there is an object of that name.
    fn make(&self, new: &NewRequest<'_>, patience: &Patience) -> Result<Requested, ApiError>;

    /// How a request stands.
    ///
    /// # Errors
    /// [`ApiError`]; that there is no such object is an answer.
    fn state(&self, requested: &Requested, patience: &Patience) -> Result<RequestState, ApiError>;

    /// Removes a request, if it is still there.
    ///
    /// # Errors
    /// [`ApiError`].
    fn remove(&self, requested: &Requested, patience: &Patience) -> Result<(), ApiError>;

    /// Waits until a request is decided on, and gives the certificate in PEM.
    /// Says how it stands when that changes, and now and again.
    ///
    /// # Errors
    /// [`NotIssued`]; an API server that does not answer is asked again until
    /// `patience` ends.
    fn certificate(
        &self,
        requested: &Requested,
        patience: &Patience,
        say: &mut dyn FnMut(&StillWaiting<'_>),
    ) -> Result<String, NotIssued> {
        let begin = Instant::now();
        let [mut pause, longest] = LOOKS;
        let mut approved = false;
        let mut said = None;
        loop {
            let look = patience.no_longer_than(Instant::now() + LOOK_TIMEOUT);
            let trouble = match self.state(requested, &look) {
                Ok(RequestState::Issued(certificate)) => return Ok(certificate),
                Ok(RequestState::Denied(verdict)) => return Err(NotIssued::Denied(verdict)),
                Ok(RequestState::Failed(verdict)) => return Err(NotIssued::Failed(verdict)),
                Ok(RequestState::Gone) => return Err(NotIssued::Gone),
                Ok(RequestState::Pending) => None,
                Ok(RequestState::Approved) => {
                    approved = true;
                    None
                }
                Err(error) if error.is_transient() => Some(error),
                Err(error) => return Err(error.into()),
            };
            let now = Instant::now();
            if patience.left(now).is_zero() {
                return Err(match (trouble, approved) {
                    // That time ran out is no trouble of its own.
                    (Some(error), _) if error != ApiError::OutOfPatience => error.into(),
                    (_, true) => NotIssued::NotSigned,
                    (_, false) => NotIssued::NotApproved,
                });
            }
            let state = (approved, trouble.as_ref().map(ApiError::reason));
            if said.is_none_or(|(before, at)| before != state || now >= at + SAY_AGAIN) {
                said = Some((state, now));
                say(&StillWaiting {
                    approved,
                    waited: now.saturating_duration_since(begin),
                    trouble: trouble.as_ref(),
                });
            }
            // Nothing ends it but time, or whoever gives up.
            let _ended = wait::<()>(
                &patience.no_longer_than(now + pause),
                std::future::pending(),
            );
            pause = (pause * 2).min(longest);
        }
    }
}

impl CertificateRequests for ApiServer {
    fn make(&self, new: &NewRequest<'_>, patience: &Patience) -> Result<Requested, ApiError> {
        ObjectName::parse("CertificateSigningRequest", new.name)?;
        let object = json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": { "name": new.name },
            "spec": {
                "request": STANDARD.encode(new.request),
                "signerName": new.signer,
                "usages": ["digital signature", "client auth"],
                "expirationSeconds": new.lifetime.as_secs(),
            },
        });
        let made: RequestAnswer =
            self.ask(ask(Method::POST, PATH.to_owned(), &object), patience)?;
        Ok(made.metadata)
    }

    fn state(&self, requested: &Requested, patience: &Patience) -> Result<RequestState, ApiError> {
        match self.get::<RequestAnswer>(path_of(requested)?, patience) {
            Ok(answer) if answer.metadata.uid == requested.uid => answer.state(),
            // Made anew under its name, by somebody else.
            Ok(_) | Err(ApiError::NotFound { .. }) => Ok(RequestState::Gone),
            Err(error) => Err(error),
        }
    }

    fn remove(&self, requested: &Requested, patience: &Patience) -> Result<(), ApiError> {
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": { "uid": requested.uid },
        });
        let ask = ask(Method::DELETE, path_of(requested)?, &options);
        match self.ask::<IgnoredAny>(ask, patience) {
            Ok(IgnoredAny) | Err(ApiError::NotFound { .. }) => Ok(()),
            // Another object has its name.
            Err(ApiError::Refused { status: 409, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn ask(method: Method, path: String, object: &Value) -> Ask {
    Ask {
        method,
        path,
        body: object.to_string().into_bytes(),
        secret: String::new(),
    }
}

fn path_of(requested: &Requested) -> Result<String, ApiError> {
    let name = ObjectName::parse("CertificateSigningRequest", &requested.name)?;
    Ok(format!("{PATH}/{}", name.as_str()))
}

/// `certificates.k8s.io/v1`, `CertificateSigningRequest`.
#[derive(Deserialize)]
struct RequestAnswer {
    metadata: Requested,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
    certificate: Option<String>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

impl RequestAnswer {
    /// Denied and failed are for ever; an approval is not the last word
    /// (`certificates.k8s.io/v1`, `CertificateSigningRequestStatus`).
    fn state(self) -> Result<RequestState, ApiError> {
        let condition = |kind: &str| {
            let mut conditions = self.status.conditions.iter();
            conditions
                .find(|condition| condition.kind == kind)
                .map(Condition::verdict)
        };
        if let Some(verdict) = condition("Denied") {
            return Ok(RequestState::Denied(verdict));
        }
        if let Some(verdict) = condition("Failed") {
            return Ok(RequestState::Failed(verdict));
        }
        if condition("Approved").is_none() {
            return Ok(RequestState::Pending);
        }
        match self.status.certificate.filter(|text| !text.is_empty()) {
            None => Ok(RequestState::Approved),
            Some(text) => STANDARD
                .decode(text)
                .ok()
                .and_then(|pem| String::from_utf8(pem).ok())
                .map(RequestState::Issued)
                .ok_or_else(|| ApiError::Malformed {
                    what: "a certificate that is not base64 of PEM".to_owned(),
                }),
        }
    }
}

impl Condition {
    fn verdict(&self) -> Verdict {
        Verdict {
            reason: words::clean(&self.reason, ""),
            message: words::clean(&self.message, ""),
        }
    }
}
