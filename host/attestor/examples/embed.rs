//! From bytes to identity: `cargo run --example embed -- CONFIG ATTESTOR PAYLOAD`.

use nameplate_attestor::evidence::RawEvidence;
use nameplate_attestor::policy::Sandbox;
use nameplate_attestor::{Attempt, Attestors};
use std::error::Error;
use std::path::Path;
use std::time::SystemTime;

/// What an agent that sent `payload` is called by the attestor of that name.
pub(crate) fn name(
    config: &Path,
    attestor: &str,
    payload: Vec<u8>,
    now: SystemTime,
) -> Result<String, Box<dyn Error>> {
    let attestors = Attestors::open(config, Sandbox::new()?)?;
    let attestor = attestors.named(attestor).ok_or("no such attestor")?;
    let evidence = RawEvidence::new(attestor.method(), payload)?;
    // Waits 30 s at most for an API server or for published keys.
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
    let mut next = || arguments.next();
    let (Some(config), Some(attestor), Some(payload)) = (next(), next(), next()) else {
        return Err("usage: embed CONFIG ATTESTOR PAYLOAD".into());
    };
    let id = name(
        Path::new(&config),
        &attestor.to_string_lossy(),
        std::fs::read(payload)?,
        SystemTime::now(),
    )?;
    println!("{id}");
    Ok(())
}
