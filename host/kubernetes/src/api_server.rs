//! An API server that is asked about tokens, pods, nodes and certificates.

use crate::access::{Access, Made};
use crate::breaker::{Admitted, Breaker, Outcome};
use crate::certificate_requests;
use crate::name::ObjectName;
use crate::objects::{NodeAnswer, PodAnswer, ReviewAnswer, SigningRequestAnswer};
use crate::shared::Shared;
use crate::waiting::{wait, wait_while_it_goes_on};
use crate::{answer, words};
use http::{HeaderValue, Method, Request, header};
use hyper::body::Bytes;
use kube::Client;
use nameplate_evidence::{
    ApiError, ApiStatus, ClusterApi, NodeRecord, Patience, PodRecord, SigningRequestRecord,
    TokenReview,
};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The default timeout of one answer. Shorter than an attestation's, so that a
/// server that hangs does not use up all of it.
pub const API_TIMEOUT: Duration = Duration::from_secs(5);

/// An API server.
///
/// Asked for a cluster ([`ClusterApi`]), it has [`API_TIMEOUT`] for each answer
/// or what [`ApiServer::with_timeout`] says, and is left alone for a while when
/// it gave none several times in a row: [`ApiError::Suspended`]. All who ask
/// the same one share what is known of that.
///
/// A kubeconfig, and what it names, is looked at before every request: when it
/// has changed, the next request is made with what it says now. A file that
/// holds a token is read anew for each. A program that is asked for a
/// credential is run once for all who name it so, again when what it gave
/// expires or the API server refuses it.
#[derive(Debug, Clone)]
pub struct ApiServer {
    connection: Arc<Connection>,
    timeout: Duration,
}

struct Connection {
    breaker: Breaker,
    access: Access,
    made: Mutex<Option<Made>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// A request and what must not stand in an error about it.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    pub(crate) secret: String,
}

impl ApiServer {
    /// The API server that `access` finds; shared by all who ask the same one.
    /// No request is made.
    ///
    /// # Errors
    /// [`ApiError::NotConfigured`] when a kubeconfig cannot be used.
    pub fn new(access: Access) -> Result<Self, ApiError> {
        static KNOWN: Shared<Access, Connection> = Shared::new();
        let connection = KNOWN.get(&access, || {
            Ok::<_, ApiError>(Connection {
                breaker: Breaker::default(),
                access: access.clone(),
                made: Mutex::new(None),
            })
        })?;
        // Kubernetes' own mounts may yet come.
        if access != Access::InCluster {
            let candidate = Arc::clone(&connection);
            let patience = Patience::until(Instant::now() + Duration::from_secs(30));
            wait(&patience, async move { candidate.asking().await.map(drop) })?;
        }
        Ok(Self {
            connection,
            timeout: API_TIMEOUT,
        })
    }

    /// What in its kubeconfig is taken, and may not be meant so: a sentence for
    /// each.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let made = self.connection.made();
        made.as_ref()
            .map_or_else(Vec::new, |made| made.doubts.clone())
    }

    /// The same, where each answer that a cluster is asked for may take
    /// `timeout`.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    pub(crate) fn ask<T: DeserializeOwned + Send + 'static>(
        &self,
        ask: Ask,
        patience: &Patience,
    ) -> Result<T, ApiError> {
        let connection = Arc::clone(&self.connection);
        wait(patience, async move { connection.answer(&ask).await })
    }

    /// The same within the time that one answer may take, unless the server is
    /// left alone.
    fn ask_in_time<T: DeserializeOwned + Send + 'static>(
        &self,
        ask: Ask,
        patience: &Patience,
    ) -> Result<T, ApiError> {
        let (began, most) = (Instant::now(), self.timeout);
        // Nothing comes to a server for which nobody can wait.
        if patience.left(began).is_zero() {
            return Err(ApiError::OutOfPatience);
        }
        let admitted = self.connection.breaker.admit()?;
        let patience = patience.no_longer_than(began + most);
        if admitted == Admitted::Usual {
            let answer = self.ask(ask, &patience);
            let outcome = Outcome::of(&answer, began.elapsed(), most);
            self.connection.breaker.note(&admitted, outcome);
            return answer;
        }
        // A peer that gives up, again and again, must not keep the server from
        // being found well.
        let mut trial = Trial {
            connection: Arc::clone(&self.connection),
            outcome: Outcome::Untold,
        };
        wait_while_it_goes_on(&patience, async move {
            let answer = tokio::time::timeout(most, trial.connection.answer(&ask)).await;
            let answer = answer.unwrap_or(Err(ApiError::OutOfPatience));
            trial.outcome = Outcome::of(&answer, most, most);
            drop(trial);
            answer
        })
    }

    fn get_in_time<T: DeserializeOwned + Send + 'static>(
        &self,
        path: String,
        patience: &Patience,
    ) -> Result<T, ApiError> {
        self.ask_in_time(Ask::get(path), patience)
    }

    pub(crate) fn get<T: DeserializeOwned + Send + 'static>(
        &self,
        path: String,
        patience: &Patience,
    ) -> Result<T, ApiError> {
        self.ask(Ask::get(path), patience)
    }
}

impl Ask {
    fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            body: Vec::new(),
            secret: String::new(),
        }
    }
}

/// A call that tries a server. However it ends, its outcome is noted; one that
/// broke down leaves the trying to the next.
struct Trial {
    connection: Arc<Connection>,
    outcome: Outcome,
}

impl Drop for Trial {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Untold);
        self.connection.breaker.note(&Admitted::Trial, outcome);
    }
}

/// A client, and what goes along with a request.
struct Asking {
    client: Client,
    authorization: Option<HeaderValue>,
    /// Which run of a program gave the credential.
    run: Option<u64>,
}

impl Asking {
    fn of(made: &Made) -> Self {
        Self {
            client: made.client.clone(),
            authorization: made.authorization(),
            run: made.run(),
        }
    }
}

impl Connection {
    async fn answer<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, ApiError> {
        answer::json(&self.body(ask).await?)
    }

    /// The body of the answer, asked once more where the credential was not
    /// accepted: it may have been replaced this moment.
    async fn body(&self, ask: &Ask) -> Result<Bytes, ApiError> {
        let asking = self.asking().await?;
        match asking.send(ask).await {
            Err(ApiError::Unauthorized { .. }) => self.anew(asking.run).await?.send(ask).await,
            other => other,
        }
    }

    /// The client for what the configuration says now.
    async fn asking(&self) -> Result<Asking, ApiError> {
        if let Some(made) = &*self.made()
            && made.is_current(SystemTime::now())
        {
            return Ok(Asking::of(made));
        }
        self.anew(None).await
    }

    /// A new one, not with what the run `refused` of a program gave.
    async fn anew(&self, refused: Option<u64>) -> Result<Asking, ApiError> {
        let made = self.access.client(SystemTime::now(), refused).await?;
        let asking = Asking::of(&made);
        *self.made() = Some(made);
        Ok(asking)
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Option<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asking {
    async fn send(&self, ask: &Ask) -> Result<Bytes, ApiError> {
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(&ask.path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .body(kube::client::Body::from(ask.body.clone()))
            .map_err(|_unquoted| ApiError::Malformed {
                what: "the request cannot be written".to_owned(),
            })?;
        let answer = self
            .client
            .send(request)
            .await
            .map_err(|error| ApiError::Unreachable {
                what: words::clean(&words::chain(&error), &ask.secret),
            })?;
        answer::read(answer, &ask.secret).await
    }
}

impl ClusterApi for ApiServer {
    fn review(
        &self,
        token: &str,
        audiences: &[String],
        patience: &Patience,
    ) -> Result<TokenReview, ApiError> {
        let object = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": { "token": token, "audiences": audiences },
        });
        let ask = Ask {
            method: Method::POST,
            path: "/apis/authentication.k8s.io/v1/tokenreviews".to_owned(),
            body: object.to_string().into_bytes(),
            secret: token.to_owned(),
        };
        let answer: ReviewAnswer = self.ask_in_time(ask, patience)?;
        answer.review(|text| words::clean(text, token))
    }

    fn pod(&self, namespace: &str, name: &str, patience: &Patience) -> Result<PodRecord, ApiError> {
        let namespace = ObjectName::parse("namespace", namespace)?;
        let pod = ObjectName::parse("pod", name)?;
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}",
            namespace.as_str(),
            pod.as_str()
        );
        self.get_in_time::<PodAnswer>(path, patience)?.pod(name)
    }

    fn node(&self, name: &str, patience: &Patience) -> Result<NodeRecord, ApiError> {
        let node = ObjectName::parse("node", name)?;
        let path = format!("/api/v1/nodes/{}", node.as_str());
        self.get_in_time::<NodeAnswer>(path, patience)?.node(name)
    }

    fn signing_request(
        &self,
        name: &str,
        patience: &Patience,
    ) -> Result<SigningRequestRecord, ApiError> {
        let request = ObjectName::parse("CertificateSigningRequest", name)?;
        let path = format!("{}/{}", certificate_requests::PATH, request.as_str());
        self.get_in_time::<SigningRequestAnswer>(path, patience)?
            .request(name)
    }

    fn status(&self) -> ApiStatus {
        self.connection.breaker.status()
    }
}
