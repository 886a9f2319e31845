//! A certificate that a cluster's signer makes for this node: asked for with a
//! CertificateSigningRequest, waited for, and removed afterwards.
//!
//! The key is made here. It goes into no request, and into no file unless a
//! [`KeyDirectory`] is set. What the signer gives is not verified here: that is
//! the server's part, which looks at the request too.

mod error;
mod kept;
mod signing_request;

pub use error::NodeCertificateError;
pub use kept::{KeyDirectory, KeyDirectoryError};

use super::{Credential, NodeSurroundings};
use kept::Kept;
use nameplate_evidence::certificates::Prover;
use nameplate_evidence::{ApiError, Patience};
use nameplate_kubernetes::{
    Access, ApiServer, CertificateRequests, NewRequest, RequestState, Requested, StillWaiting,
};
use signing_request::SigningRequest;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How long one answer of the API server is waited for.
const ANSWER: Duration = Duration::from_secs(10);

/// A certificate for this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCertificate {
    /// Whom it is asked of, and with which credential.
    pub access: Access,
    /// The name of the node.
    pub node: String,
    /// Who shall sign it.
    pub signer: String,
    /// How long it shall hold.
    pub lifetime: Duration,
    /// How long an approval is waited for.
    pub approval_timeout: Duration,
    /// Whether the server looks at the request: it is then named to it, and
    /// left until the attestation is over.
    pub verify_request: bool,
    /// Where key and certificate are kept until they are renewed; without it
    /// there are new ones for each attestation.
    pub directory: Option<KeyDirectory>,
}

/// What is done about a certificate, for whoever follows it.
#[derive(Debug)]
pub enum NodeProgress<'a> {
    /// A request was made.
    Requested {
        /// Its name.
        request: &'a str,
        /// Who is asked.
        signer: &'a str,
    },
    /// It is waited for.
    Waiting {
        /// Its name.
        request: &'a str,
        /// For what, and how long.
        still: &'a StillWaiting<'a>,
    },
    /// The certificate is there.
    Issued {
        /// The name of the request.
        request: &'a str,
    },
    /// The certificate that was kept is used.
    Reused {
        /// When it ends.
        until: SystemTime,
    },
    /// What was kept is no certificate with its key; another is asked for.
    KeptUnusable {
        /// Why.
        error: &'a (dyn Error + 'static),
    },
    /// The kept certificate could not be renewed, and is used as long as it holds.
    NotRenewed {
        /// Why.
        error: &'a NodeCertificateError,
    },
    /// A request stays behind.
    NotRemoved {
        /// Its name.
        request: &'a str,
        /// Why.
        error: &'a ApiError,
    },
}

/// A request that a server may want to look at until the attestation is over.
#[derive(Debug)]
#[must_use = "the request is to be removed"]
pub struct OpenRequest {
    api: Arc<dyn CertificateRequests>,
    requested: Requested,
}

/// Who follows what a node does.
pub trait NodeLog: fmt::Debug + Send + Sync {
    /// Takes note.
    fn say(&self, progress: &NodeProgress<'_>);
}

impl OpenRequest {
    /// Removes the request. Blocks for 10 s at most.
    pub fn remove(self, log: &dyn NodeLog) {
        remove(&*self.api, &self.requested, log);
    }
}

/// With time of its own: whoever waited for the certificate may have given up.
fn remove(api: &dyn CertificateRequests, requested: &Requested, log: &dyn NodeLog) {
    let patience = Patience::until(Instant::now() + ANSWER);
    if let Err(error) = api.remove(requested, &patience) {
        log.say(&NodeProgress::NotRemoved {
            request: &requested.name,
            error: &error,
        });
    }
}

impl NodeCertificate {
    /// What proves the node now: the certificate that was kept, or a new one.
    pub(super) fn credential(
        &self,
        surroundings: &NodeSurroundings<'_>,
    ) -> Result<Credential, NodeCertificateError> {
        let api = ApiServer::new(self.access.clone()).map_err(NodeCertificateError::Access)?;
        self.credential_of(Arc::new(api), surroundings)
    }

    /// The longest that it takes: making, waiting, and looking at a kept one.
    pub(super) fn timeout(&self) -> Duration {
        self.approval_timeout.saturating_add(3 * ANSWER)
    }

    fn credential_of(
        &self,
        api: Arc<dyn CertificateRequests>,
        surroundings: &NodeSurroundings<'_>,
    ) -> Result<Credential, NodeCertificateError> {
        let Some(directory) = &self.directory else {
            let new = self.request(&*api, surroundings)?;
            return Ok(self.once(api, new, surroundings.log));
        };
        let stored = stored(directory, surroundings.log)?;
        let usable = stored.as_ref().filter(|kept| {
            kept.node == self.node && kept.signer == self.signer && kept.holds(surroundings.now)
        });
        if let Some(kept) = usable
            && !kept.is_due(surroundings.now)
            && self.counts(&*api, kept, surroundings)
        {
            let until = kept.until;
            surroundings.log.say(&NodeProgress::Reused { until });
            return Ok(self.named(kept.prover()?, &kept.request).into());
        }
        match (self.request(&*api, surroundings), usable) {
            (Ok(new), _) => {
                self.keep(&*api, directory, &new, stored.as_ref(), surroundings.log)?;
                Ok(self.named(new.prover, &new.requested).into())
            }
            (Err(error), Some(kept)) if error.may_pass() => {
                let error = &error;
                surroundings.log.say(&NodeProgress::NotRenewed { error });
                Ok(self.named(kept.prover()?, &kept.request).into())
            }
            (Err(error), _) => Err(error),
        }
    }

    fn named(&self, prover: Prover, requested: &Requested) -> Prover {
        if self.verify_request {
            prover.requested_as(&requested.name)
        } else {
            prover
        }
    }

    /// For one attestation, after which the request goes.
    fn once(&self, api: Arc<dyn CertificateRequests>, new: New, log: &dyn NodeLog) -> Credential {
        let credential = Credential::from(self.named(new.prover, &new.requested));
        if !self.verify_request {
            remove(&*api, &new.requested, log);
            return credential;
        }
        let requested = new.requested;
        Credential {
            request: Some(OpenRequest { api, requested }),
            ..credential
        }
    }

    /// Whether a server that looks at the request will find it. Kubernetes
    /// removes old ones by itself.
    fn counts(
        &self,
        api: &dyn CertificateRequests,
        kept: &Kept,
        surroundings: &NodeSurroundings<'_>,
    ) -> bool {
        if !self.verify_request {
            return true;
        }
        let patience = surroundings
            .patience
            .no_longer_than(Instant::now() + ANSWER);
        match api.state(&kept.request, &patience) {
            Ok(state) => matches!(state, RequestState::Issued(_)),
            // An API server that is away is no reason to ask it for more.
            Err(_) => true,
        }
    }

    /// Keeps the new one in place of the one before it, whose request goes.
    fn keep(
        &self,
        api: &dyn CertificateRequests,
        directory: &KeyDirectory,
        new: &New,
        before: Option<&Kept>,
        log: &dyn NodeLog,
    ) -> Result<(), NodeCertificateError> {
        let stored = directory.write(&Kept::new(
            self,
            &new.requested,
            &new.certificate,
            new.key.private_key_pem(),
        ));
        if stored.is_err() || !self.verify_request {
            remove(api, &new.requested, log);
        }
        stored?;
        if let Some(before) = before {
            remove(api, &before.request, log);
        }
        Ok(())
    }

    /// Makes a request and waits for its certificate. Without one, the request
    /// does not stay.
    fn request(
        &self,
        api: &dyn CertificateRequests,
        surroundings: &NodeSurroundings<'_>,
    ) -> Result<New, NodeCertificateError> {
        let NodeSurroundings { patience, log, .. } = *surroundings;
        let key = SigningRequest::for_node(&self.node)?;
        let name = signing_request::object_name(&self.node);
        let new = NewRequest {
            name: &name,
            request: key.pem(),
            signer: &self.signer,
            lifetime: self.lifetime,
        };
        let begin = Instant::now();
        let requested = api
            .make(&new, &patience.no_longer_than(begin + ANSWER))
            .map_err(NodeCertificateError::Unmade)?;
        log.say(&NodeProgress::Requested {
            request: &name,
            signer: &self.signer,
        });
        let patience = patience.no_longer_than(begin + self.approval_timeout);
        let certificate = api.certificate(&requested, &patience, &mut |still| {
            log.say(&NodeProgress::Waiting {
                request: &name,
                still,
            });
        });
        let usable = certificate
            .map_err(|source| NodeCertificateError::NotIssued {
                request: name.clone(),
                waited: begin.elapsed(),
                source,
            })
            .and_then(|certificate| {
                let prover =
                    Prover::from_pem(certificate.as_bytes(), key.private_key_pem().as_bytes())?;
                Ok((certificate, prover))
            });
        let (certificate, prover) = match usable {
            Ok(usable) => usable,
            Err(error) => {
                remove(api, &requested, log);
                return Err(error);
            }
        };
        log.say(&NodeProgress::Issued { request: &name });
        Ok(New {
            key,
            certificate,
            prover,
            requested,
        })
    }
}

/// What is kept, if it can be read.
fn stored(
    directory: &KeyDirectory,
    log: &dyn NodeLog,
) -> Result<Option<Kept>, NodeCertificateError> {
    match directory.read() {
        Ok(kept) => Ok(kept),
        Err(error) if error.is_of_contents() => {
            log.say(&NodeProgress::KeptUnusable { error: &error });
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// A certificate that was just issued.
struct New {
    key: SigningRequest,
    /// In PEM.
    certificate: String,
    prover: Prover,
    requested: Requested,
}

#[cfg(test)]
mod tests;
