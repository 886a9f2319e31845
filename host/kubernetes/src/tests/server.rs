//! An HTTPS server on loopback with a CA of its own.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A status and a body.
pub(super) struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    pub(super) fn json(body: String) -> Self {
        Self::status(200, body)
    }

    pub(super) fn status(status: u16, body: String) -> Self {
        Self { status, body }
    }
}

/// The server; it ends with the test's process.
pub(super) struct TestServer {
    url: String,
    ca_pem: String,
    requests: Arc<AtomicUsize>,
}

impl TestServer {
    pub(super) fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve(move |request, _, _| answer(request))
    }

    /// The answer knows how many requests there were, itself included.
    pub(super) fn start_counting(
        answer: impl Fn(&str, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serve(move |request, _, count| answer(request, count))
    }

    /// The answer knows the server's own URL.
    pub(super) fn start_knowing(
        answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serve(move |request, url, _| answer(request, url))
    }

    fn serve(answer: impl Fn(&str, &str, usize) -> Answer + Send + Sync + 'static) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let listening = Listening::on_loopback();
        let server = Self {
            url: listening.url.clone(),
            ca_pem: listening.ca_pem.clone(),
            requests: Arc::clone(&requests),
        };
        let url = listening.url.clone();
        listening.meet(move |tcp, config| {
            let mut stream = encrypted(tcp, config);
            // A peer that trusts another CA sends no request.
            if let Some(request) = read(&mut stream) {
                let count = requests.fetch_add(1, Ordering::SeqCst) + 1;
                write(&mut stream, &answer(&request, &url, count));
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) fn ca_pem(&self) -> String {
        self.ca_pem.clone()
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

pub(super) type Tls = StreamOwned<ServerConnection, TcpStream>;

/// A socket on loopback, and a certificate for it of a CA of its own.
pub(super) struct Listening {
    pub(super) url: String,
    pub(super) ca_pem: String,
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

impl Listening {
    pub(super) fn on_loopback() -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let leaf = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &ca)
            .unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            url: format!("https://{}", listener.local_addr().unwrap()),
            ca_pem: ca.pem(),
            listener,
            config: Arc::new(config),
        }
    }

    /// Meets each connection on a thread of its own, until the process ends.
    pub(super) fn meet(self, meet: impl Fn(TcpStream, Arc<ServerConfig>) + Send + Sync + 'static) {
        let meet = Arc::new(meet);
        thread::spawn(move || {
            for stream in self.listener.incoming().flatten() {
                let (meet, config) = (Arc::clone(&meet), Arc::clone(&self.config));
                thread::spawn(move || meet(stream, config));
            }
        });
    }
}

pub(super) fn encrypted(tcp: TcpStream, config: Arc<ServerConfig>) -> Tls {
    StreamOwned::new(ServerConnection::new(config).unwrap(), tcp)
}

/// Head and body of a request; none where none came.
pub(super) fn read(stream: &mut Tls) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.trim().parse().unwrap());
        if body.len() >= length {
            return Some(text.into_owned());
        }
    }
}

fn write(stream: &mut Tls, answer: &Answer) {
    let head = format!(
        "HTTP/1.1 {} X\r\ncontent-length: {}\r\nlocation: https://127.0.0.1:1/\r\n\
         connection: close\r\n\r\n",
        answer.status,
        answer.body.len()
    );
    // The client may have seen enough.
    let _sent = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(answer.body.as_bytes()))
        .and_then(|()| stream.flush());
}
