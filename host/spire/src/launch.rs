//! go-plugin's side of the process: how it starts, where it listens, and how
//! it ends.

mod broker;
mod socket;

use crate::aid::Aid;
use crate::attest::{Attest, AttestLimits};
use crate::catalog::{Catalog, Configured, Side};
use crate::host_services::HostServices;
use crate::log::{Level, log, panics};
use crate::metrics::Metrics;
use crate::proto::agent_nodeattestor::node_attestor_server::NodeAttestorServer as AgentNodeAttestorServer;
use crate::proto::config::config_server::ConfigServer;
use crate::proto::init::init_server::InitServer;
use crate::proto::nodeattestor::node_attestor_server::NodeAttestorServer;
use crate::proto::plugin::grpc_broker_server::GrpcBrokerServer;
use crate::proto::plugin::grpc_controller_server::GrpcControllerServer;
use crate::proto::plugin::grpc_stdio_server::GrpcStdioServer;
use crate::serving::Serving;
use crate::{api_servers, decision_log, followed_keys, generations};
use broker::{Broker, Controller, Stdio};
use nameplate_attestor::chain;
use nameplate_attestor::decisions::DecisionLog;
use nameplate_attestor::evidence::Method;
use nameplate_attestor::policy::Sandbox;
use socket::Socket;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::transport::server::Router;

/// The variable, and its value, by which a plugin knows that SPIRE started
/// it: both are the plugin's type.
const COOKIE: &str = "NodeAttestor";

/// The longest message that is read, in bytes: a payload and its frame. What
/// evidence may have is less, and refused in its own words.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The longest configuration that is read, in bytes.
const MAX_CONFIGURE_BYTES: usize = 2 << 20;

/// Streams at once on one connection. SPIRE has one connection for all
/// agents, so that half-open streams must not use it up.
const MAX_STREAMS: u32 = 16 * 1024;

/// How long streams may go on once the plugin was asked to end. SPIRE kills
/// it after two seconds.
const GRACE: Duration = Duration::from_millis(500);

/// One side of a node attestor.
#[derive(Clone, Debug)]
pub enum Plugin {
    /// The side of spire-server.
    Server(ServerPlugin),
    /// The side of spire-agent.
    Agent(AgentPlugin),
}

impl Plugin {
    /// Who loads it.
    const fn spire(&self) -> &'static str {
        match self {
            Self::Server(_) => "spire-server",
            Self::Agent(_) => "spire-agent",
        }
    }
}

/// The agent side of a node attestor.
#[derive(Clone, Debug)]
pub struct AgentPlugin {
    /// The method whose evidence is sent.
    pub method: Method,
    /// The name in SPIRE's configuration, which SPIRE never tells a plugin.
    pub name: String,
}

/// The server side of a node attestor.
#[derive(Clone, Debug)]
pub struct ServerPlugin {
    /// The method whose evidence is attested.
    pub method: Method,
    /// The name in SPIRE's configuration, which SPIRE never tells a plugin.
    pub name: String,
    /// What peers may ask at once.
    pub limits: AttestLimits,
    /// The file that SPIRE reads `plugin_data` from, which it never tells a
    /// plugin: to be watched.
    pub data_file: Option<PathBuf>,
}

/// Why a plugin did not serve. Where SPIRE started it, SPIRE's log says so too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// SPIRE did not start this process.
    #[error("this is a plugin of SPIRE, to be started by {spire}")]
    StartedByHand {
        /// Which of SPIRE's two.
        spire: &'static str,
    },
    /// The sandbox for policies cannot be made.
    #[error("no sandbox for policies")]
    Sandbox(#[source] nameplate_attestor::policy::SandboxError),
    /// No socket to listen on.
    #[error("cannot listen")]
    Listen(#[source] io::Error),
    /// The handshake line cannot be written.
    #[error("cannot tell SPIRE where the plugin listens")]
    Handshake(#[source] io::Error),
    /// Threads or signals are not to be had.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    /// Serving ended with an error.
    #[error("cannot serve")]
    Serve(#[source] tonic::transport::Error),
}

/// Serves SPIRE until it asks the plugin to end, or dies.
///
/// Standard output carries one line, go-plugin's handshake; the log goes to
/// standard error.
///
/// # Errors
/// [`LaunchError`] when SPIRE did not start this process, or when it cannot
/// serve. All but the first were logged.
pub fn serve(plugin: Plugin) -> Result<(), LaunchError> {
    if std::env::var_os(COOKIE).as_deref() != Some(OsStr::new(COOKIE)) {
        return Err(LaunchError::StartedByHand {
            spire: plugin.spire(),
        });
    }
    panics();
    let outcome = launch(plugin);
    if let Err(error) = &outcome {
        log(
            Level::Error,
            "Plugin cannot serve",
            &[("error", &chain(error))],
        );
    }
    outcome
}

fn launch(plugin: Plugin) -> Result<(), LaunchError> {
    // SPIRE has the kernel kill its plugins when it dies, which would leave
    // the socket behind. Asked to end, the plugin takes it along.
    let term = rustix::process::Signal::TERM;
    rustix::process::set_parent_process_death_signal(Some(term))
        .map_err(|error| LaunchError::Runtime(error.into()))?;
    let (part, at_work) = match plugin {
        Plugin::Server(plugin) => {
            let sandbox = Sandbox::new().map_err(LaunchError::Sandbox)?;
            let at_work = plugin.limits.concurrent;
            (Part::Server(plugin, sandbox), at_work)
        }
        // One agent attests one machine.
        Plugin::Agent(plugin) => (Part::Agent(plugin), 1),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Those that ask nobody, and those that wait.
        .max_blocking_threads(at_work.saturating_mul(2).saturating_add(8))
        .enable_all()
        .build()
        .map_err(LaunchError::Runtime)?;
    let outcome = runtime.block_on(run(part));
    // An attestation that is at work does not hold the process.
    runtime.shutdown_background();
    // Nor is what it was told dropped, but what was decided is written.
    DecisionLog::end_all();
    outcome
}

/// A side with what it needs to serve.
enum Part {
    Server(ServerPlugin, Sandbox),
    Agent(AgentPlugin),
}

impl Part {
    /// Adds the services of this side. To be called on the runtime.
    fn add_to(self, router: Router, host: &Arc<HostServices>) -> Router {
        match self {
            Self::Server(plugin, sandbox) => {
                let metrics = Metrics::to(Arc::clone(host));
                let serving = Arc::new(Serving::new(
                    plugin.method,
                    plugin.name,
                    plugin.data_file,
                    sandbox,
                    metrics.clone(),
                ));
                api_servers::tell(&serving, metrics.clone());
                followed_keys::tell(&serving, metrics.clone());
                decision_log::tell(&serving, metrics.clone());
                generations::tell(&serving, metrics.clone());
                let attest = Attest::new(
                    Arc::clone(&serving),
                    Arc::clone(host),
                    metrics,
                    plugin.limits,
                );
                let attest =
                    NodeAttestorServer::new(attest).max_decoding_message_size(MAX_MESSAGE_BYTES);
                add_catalog(router, Side::Server, serving).add_service(attest)
            }
            Self::Agent(plugin) => {
                let aid = Arc::new(Aid::new(plugin.method, plugin.name));
                let attestor = AgentNodeAttestorServer::from_arc(Arc::clone(&aid))
                    .max_decoding_message_size(MAX_MESSAGE_BYTES);
                add_catalog(router, Side::Agent, aid).add_service(attestor)
            }
        }
    }
}

fn add_catalog(router: Router, side: Side, plugin: Arc<dyn Configured>) -> Router {
    let catalog = Catalog { side, plugin };
    router
        .add_service(InitServer::new(catalog.clone()))
        .add_service(ConfigServer::new(catalog).max_decoding_message_size(MAX_CONFIGURE_BYTES))
}

async fn run(part: Part) -> Result<(), LaunchError> {
    // Taken before anybody can be told that the plugin is there.
    let mut terminated = signal(SignalKind::terminate()).map_err(LaunchError::Runtime)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(LaunchError::Runtime)?;

    let host = Arc::new(HostServices::new());
    let (stop, stopping) = watch::channel(false);
    let stop = Arc::new(stop);
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_service_status("plugin", tonic_health::ServingStatus::Serving)
        .await;

    let socket = Socket::bind().map_err(LaunchError::Listen)?;
    let listener = UnixListener::from_std(socket.listener).map_err(LaunchError::Listen)?;
    let router = Server::builder()
        .max_concurrent_streams(Some(MAX_STREAMS))
        .add_service(GrpcBrokerServer::new(Broker::new(
            Arc::clone(&host),
            stopping.clone(),
        )))
        .add_service(GrpcControllerServer::new(Controller::new(Arc::clone(
            &stop,
        ))))
        .add_service(GrpcStdioServer::new(Stdio::new(stopping.clone())))
        .add_service(health_service);
    let router = part.add_to(router, &host);
    handshake(&socket.path.to_string_lossy()).map_err(LaunchError::Handshake)?;

    let ended = |mut stopping: watch::Receiver<bool>| async move {
        // The sender lives as long as this function.
        let _stopped = stopping.wait_for(|stop| *stop).await;
    };
    let serve = router
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), ended(stopping.clone()));
    let signals = async {
        loop {
            tokio::select! {
                _ = terminated.recv() => break,
                // A terminal sends it to SPIRE too, which then ends the plugin.
                _ = interrupted.recv() => {}
            }
        }
    };
    let outcome = tokio::select! {
        served = serve => served.map_err(LaunchError::Serve),
        () = signals => Ok(()),
        () = async { ended(stopping).await; tokio::time::sleep(GRACE).await } => Ok(()),
    };
    if let Err(error) = socket.path.close() {
        log(Level::Warn, "The socket stays behind", &[("error", &error)]);
    }
    outcome
}

/// Core protocol, plugin protocol, network, address, transport, certificate.
fn handshake(path: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "1|1|unix|{path}|grpc|")?;
    out.flush()
}
