//! How others are called, on a Unix socket, and what they say when they refuse.

use hyper_util::rt::TokioIo;
use nameplate_attestor::chain;
use std::error::Error as _;
use std::path::PathBuf;
use tokio::net::UnixStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// A connection to the socket at `path`, made when it is first used and again
/// after a loss.
pub(crate) fn unix(path: PathBuf) -> Channel {
    // The authority is a formality on a Unix socket.
    let endpoint = Endpoint::from_static("http://spire.invalid");
    endpoint.connect_with_connector_lazy(tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    }))
}

/// The code, and the words of whoever was called, or what kept the call from it.
pub(crate) fn said(status: &Status) -> String {
    let code = status.code();
    match status.source() {
        Some(cause) => format!("{code:?}: {}", chain(cause)),
        None => format!("{code:?}: {}", status.message()),
    }
}
