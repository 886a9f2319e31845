//! Stands in for an API server that does not do its work, over TLS. What real
//! ones answer is asked of one in the end-to-end suite.

use crate::server::{Listening, encrypted, read};
use crate::support::Place;
use rustls::ServerConfig;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It is taken, and nothing comes back.
    Silent,
    /// An answer comes back byte by byte, and has no end.
    Dripping,
    /// The connection is reset.
    Resetting,
    /// It is answered 500.
    Failing,
    /// A review says that the token is not good.
    Reviewing,
}

/// The API server; it ends with the test's process.
pub(super) struct StandIn {
    manner: Arc<Mutex<Manner>>,
    /// Connections so far.
    asked: watch::Receiver<usize>,
}

impl StandIn {
    /// One that begins in this manner, and a kubeconfig for it in `place`.
    pub(super) fn start(place: &Place, manner: Manner) -> Self {
        let listening = Listening::on_loopback();
        let url = &listening.url;
        place.write("api-ca.crt", &listening.ca_pem);
        place.write(
            "kubeconfig",
            &format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
                 contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
                 clusters: [{{name: c, cluster: {{certificate-authority: api-ca.crt, server: '{url}'}}}}]\n\
                 users: [{{name: u, user: {{token: of-the-reviewer}}}}]\n"
            ),
        );
        let manner = Arc::new(Mutex::new(manner));
        let (count, asked) = watch::channel(0);
        let now = Arc::clone(&manner);
        listening.meet(move |stream, config| {
            let manner = *now.lock().unwrap();
            count.send_modify(|asked| *asked += 1);
            meet(stream, config, manner);
        });
        Self { manner, asked }
    }

    /// From now on it is of another manner.
    pub(super) fn turn(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// Connections so far.
    pub(super) fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Waits for so many connections.
    pub(super) async fn was_asked(&self, times: usize) {
        let mut asked = self.asked.clone();
        let enough = asked.wait_for(|asked| *asked >= times);
        super::soon(enough).await.unwrap();
    }
}

/// The client may be gone at any time.
fn meet(tcp: TcpStream, config: Arc<ServerConfig>, manner: Manner) {
    if manner == Manner::Resetting {
        // Closed with something unread, a connection is reset.
        let _something = tcp.peek(&mut [0]);
        return;
    }
    let mut stream = encrypted(tcp, config);
    if read(&mut stream).is_none() {
        return;
    }
    let answer = |status: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
    };
    let answer = match manner {
        Manner::Silent | Manner::Resetting => loop {
            thread::park();
        },
        Manner::Dripping => loop {
            if stream
                .write_all(b"H")
                .and_then(|()| stream.flush())
                .is_err()
            {
                return;
            }
            // What makes it slow.
            thread::sleep(Duration::from_millis(100));
        },
        Manner::Failing => answer("500 Internal Server Error", "{}"),
        Manner::Reviewing => answer("201 Created", r#"{"status":{"authenticated":false}}"#),
    };
    let _sent = stream
        .write_all(answer.as_bytes())
        .and_then(|()| stream.flush());
}
