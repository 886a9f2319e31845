//! go-plugin's own services: the broker that says where SPIRE's services
//! listen, the controller that ends the plugin, and the carrier of standard
//! streams, which has nothing to carry.

use crate::host_services::{HOST_SERVICES, HostServices};
use crate::proto::plugin::grpc_broker_server::GrpcBroker;
use crate::proto::plugin::grpc_controller_server::GrpcController;
use crate::proto::plugin::grpc_stdio_server::GrpcStdio;
use crate::proto::plugin::{ConnInfo, Empty, StdioData};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// Learns where SPIRE listens.
#[derive(Debug)]
pub(super) struct Broker {
    host: Arc<HostServices>,
    stopping: watch::Receiver<bool>,
}

impl Broker {
    pub(super) fn new(host: Arc<HostServices>, stopping: watch::Receiver<bool>) -> Self {
        Self { host, stopping }
    }
}

#[tonic::async_trait]
impl GrpcBroker for Broker {
    type StartStreamStream = ReceiverStream<Result<ConnInfo, Status>>;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let host = Arc::clone(&self.host);
        let mut told = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(info)) = told.message().await {
                if info.service_id == HOST_SERVICES && info.network == "unix" {
                    host.listen_at(PathBuf::from(info.address));
                }
            }
        });
        Ok(Response::new(silent(self.stopping.clone())))
    }
}

/// Ends the plugin.
#[derive(Debug)]
pub(super) struct Controller {
    stop: Arc<watch::Sender<bool>>,
}

impl Controller {
    pub(super) fn new(stop: Arc<watch::Sender<bool>>) -> Self {
        Self { stop }
    }
}

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.stop.send_replace(true);
        Ok(Response::new(Empty {}))
    }
}

/// Carries nothing.
#[derive(Debug)]
pub(super) struct Stdio {
    stopping: watch::Receiver<bool>,
}

impl Stdio {
    pub(super) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self { stopping }
    }
}

#[tonic::async_trait]
impl GrpcStdio for Stdio {
    type StreamStdioStream = ReceiverStream<Result<StdioData, Status>>;

    async fn stream_stdio(
        &self,
        _: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        Ok(Response::new(silent(self.stopping.clone())))
    }
}

/// A stream that says nothing and ends with the plugin. SPIRE gives a plugin
/// up whose broker ends before that.
fn silent<T: Send + 'static>(
    mut stopping: watch::Receiver<bool>,
) -> ReceiverStream<Result<T, Status>> {
    let (open, stream) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => {}
            () = open.closed() => {}
        }
        drop(open);
    });
    ReceiverStream::new(stream)
}
