//! The SPIFFE Workload API, asked for the SVID of this process.
//!
//! Trusts whoever serves the socket that the operator named: what it gives is
//! shown to a server, which decides.

use crate::dial::{self, said};
use crate::proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::proto::workload::{X509svid, X509svidRequest};
use nameplate_attestor::evidence::Patience;
use nameplate_attestor::evidence::certificates::Prover;
use nameplate_attestor::{SvidEndpoint, SvidError, SvidSource};
use std::time::Instant;
use tokio::runtime::Handle;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

/// Says that a call is meant for a Workload API, which refuses all others
/// (SPIFFE Workload Endpoint §6.1).
const HEADER: &str = "workload.spiffe.io";

/// Asks, on the runtime that it was made on.
#[derive(Debug)]
pub(crate) struct WorkloadApi {
    runtime: Handle,
}

impl WorkloadApi {
    /// To be called on the runtime that shall carry the calls.
    pub(crate) fn new() -> Self {
        Self {
            runtime: Handle::current(),
        }
    }
}

/// Asked on a blocking thread.
impl SvidSource for WorkloadApi {
    fn svid(&self, endpoint: &SvidEndpoint, patience: &Patience) -> Result<Prover, SvidError> {
        let left = patience.left(Instant::now());
        let asked = tokio::time::timeout(left, first(endpoint));
        let what = match self.runtime.block_on(asked) {
            Ok(Ok(Some(svid))) => {
                return Ok(Prover::from_der(&svid.x509_svid, &svid.x509_svid_key)?);
            }
            Ok(Ok(None)) => "no SVIDs in response".to_owned(),
            Ok(Err(status)) => said(&status),
            Err(_elapsed) => "no answer in time".to_owned(),
        };
        Err(SvidError::NotGiven { what })
    }
}

/// The first SVID of the first answer; those that follow tell of changes.
async fn first(endpoint: &SvidEndpoint) -> Result<Option<X509svid>, Status> {
    let mut api = SpiffeWorkloadApiClient::new(dial::unix(endpoint.path().to_owned()));
    let mut request = Request::new(X509svidRequest {});
    let header = MetadataValue::from_static("true");
    request.metadata_mut().insert(HEADER, header);
    let mut answers = api.fetch_x509svid(request).await?.into_inner();
    let answer = answers.message().await?;
    Ok(answer.and_then(|answer| answer.svids.into_iter().next()))
}
