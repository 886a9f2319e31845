//! What a node does about its certificate, as lines of SPIRE's log.

use crate::log::{Level, log};
use nameplate_attestor::{NodeLog, NodeProgress, chain};

/// Tells SPIRE.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpireLog;

impl NodeLog for SpireLog {
    fn say(&self, progress: &NodeProgress<'_>) {
        match progress {
            NodeProgress::Requested { request, signer } => log(
                Level::Info,
                "Certificate requested",
                &[("request", request), ("signer", signer)],
            ),
            NodeProgress::Waiting { request, still } => {
                let message = match (still.trouble, still.approved) {
                    (Some(_), _) => "Waiting for the API server",
                    (None, false) => "Waiting for an approval of the certificate",
                    (None, true) => "Approved, waiting for the signer",
                };
                let waited = still.waited.as_secs();
                match still.trouble {
                    Some(trouble) => log(
                        Level::Warn,
                        message,
                        &[
                            ("request", request),
                            ("waited_s", &waited),
                            ("error", trouble),
                        ],
                    ),
                    None => log(
                        Level::Info,
                        message,
                        &[("request", request), ("waited_s", &waited)],
                    ),
                }
            }
            NodeProgress::Issued { request } => {
                log(Level::Info, "Certificate issued", &[("request", request)]);
            }
            NodeProgress::Reused { until } => log(
                Level::Info,
                "Kept certificate used",
                &[("until", &humantime::format_rfc3339_seconds(*until))],
            ),
            NodeProgress::KeptUnusable { error } => log(
                Level::Warn,
                "Kept certificate cannot be used, another is requested",
                &[("error", &chain(*error))],
            ),
            NodeProgress::NotRenewed { error } => log(
                Level::Warn,
                "Certificate not renewed, the kept one is used",
                &[("error", &chain(*error))],
            ),
            NodeProgress::NotRemoved { request, error } => log(
                Level::Warn,
                "Certificate request stays behind",
                &[("request", request), ("error", error)],
            ),
        }
    }
}
