//! From bytes to identity: `cargo run --example embed -- CONFIG PAYLOAD`.

use nameplate_attestor::evidence::{Method, RawEvidence};
use nameplate_attestor::policy::Sandbox;
use nameplate_attestor::{Attempt, Attestors};
use std::error::Error;
use std::path::Path;
use std::time::SystemTime;

/// What an agent that sent `payload` is called.
pub(crate) fn name(
    config: &Path,
    payload: Vec<u8>,
    now: SystemTime,
) -> Result<String, Box<dyn Error>> {
    let attestors = Attestors::open(config, Sandbox::new()?)?;
    let attestor = attestors.named("k8s_sat").ok_or("no k8s_sat here")?;
    let evidence = RawEvidence::new(Method::K8sSat, payload)?;
    match attestor.attest(&evidence, &Attempt::at(now)) {
        Ok(attestation) => Ok(attestation.identity.spiffe_id().to_string()),
        Err(error) => {
            eprintln!("{}", error.chain()); // everything, for the operator
            Err(error.peer_message().to_string().into()) // one sentence, for the peer
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(config), Some(payload)) = (arguments.next(), arguments.next()) else {
        return Err("usage: embed CONFIG PAYLOAD".into());
    };
    let id = name(
        Path::new(&config),
        std::fs::read(payload)?,
        SystemTime::now(),
    )?;
    println!("{id}");
    Ok(())
}
