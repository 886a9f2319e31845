//! What a peer says, and where that leaves its attestation.

use crate::attestor::{Attestation, Numbered};
use nameplate_evidence::RawEvidence;
use nameplate_evidence::certificates::Challenge;
use std::sync::Arc;

/// What a peer says: first its evidence, then, if it is asked, its answer.
#[derive(Debug)]
pub enum Presented<'a> {
    /// Evidence.
    Evidence(&'a RawEvidence),
    /// The answer to a challenge, which consumes it.
    Answer(Challenged, &'a [u8]),
}

/// Where an attestation stands.
#[derive(Debug)]
pub enum Step {
    /// At its end.
    Attested(Attestation),
    /// At a challenge.
    Challenged(Challenged),
}

/// An attestation that waits for the peer's answer. It goes on with what it
/// began with, whatever is swapped meanwhile. Dropping it leaves no record.
#[derive(Debug)]
#[must_use = "nothing is proven before the challenge is answered"]
pub struct Challenged {
    pub(crate) current: Arc<Numbered>,
    pub(crate) challenge: Box<Challenge>,
}

impl Challenged {
    /// What the peer has to be sent.
    pub fn message(&self) -> Vec<u8> {
        self.challenge.message()
    }

    /// The cluster whose API server is asked once it is answered; an empty name
    /// where it has none.
    pub fn waits_for(&self) -> Option<&str> {
        self.challenge.waits_for()
    }
}
