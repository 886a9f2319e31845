//! Hostile components: at each limit, at what a policy may be, and at the
//! envelope.
//!
//! Each is made for the limits and the envelope that it will meet. At a limit
//! it asks for a little more than is allowed, but never for more than the
//! bound of reason ([`limits::REASON`]): where the operator allows more than that, the
//! attack works, and is reported.

mod answers;
mod contract;
mod limits;
mod sections;
mod selectors;

use crate::attack::{Expected, Group};
use crate::component::AssemblyError;
use nameplate_attestor::Envelope;
use nameplate_policy::Limits;
use serde_json::{Value, json};

pub(crate) use limits::{REASON, burning};

/// Which of the limits on time ends a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndedBy {
    /// The operator's fuel or the operator's clock, whichever is first.
    Either,
    /// The clock: fuel is out of the way.
    Clock,
    /// Fuel: the clock is out of the way, and a busy machine changes nothing.
    Fuel,
}

/// A component and what has to come of it.
#[derive(Clone, Debug)]
pub(crate) struct ComponentAttack {
    pub(crate) name: String,
    pub(crate) group: Group,
    pub(crate) incident: Option<&'static str>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) settings: Value,
    /// Which of the limits on time it is under.
    pub(crate) ended_by: EndedBy,
    /// Whether several threads load it at once.
    pub(crate) together: bool,
    pub(crate) expected: Expected,
}

impl ComponentAttack {
    fn new(
        group: Group,
        name: impl Into<String>,
        bytes: Result<Vec<u8>, AssemblyError>,
        expected: Expected,
    ) -> Result<Self, AssemblyError> {
        Ok(Self {
            name: name.into(),
            group,
            incident: None,
            bytes: bytes?,
            settings: json!({}),
            ended_by: match group {
                // They answer at once, and what they answer is what counts.
                Group::Envelope => EndedBy::Fuel,
                Group::Limit
                | Group::Component
                | Group::Token
                | Group::Certificate
                | Group::Swap => EndedBy::Either,
            },
            together: false,
            expected,
        })
    }

    fn repeating(mut self, incident: &'static str) -> Self {
        self.incident = Some(incident);
        self
    }
}

/// What the components are made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) envelope: &'a Envelope,
    /// A path that the envelope admits.
    pub(crate) path: &'a [String],
    /// Bytes of the whole ID of that path.
    pub(crate) id_bytes: usize,
    /// A path that the envelope admits for the same peer of another cluster;
    /// none where there are not several clusters.
    pub(crate) elsewhere: Option<&'a [String]>,
    /// The cluster that the twin of a peer is of, where it is of one.
    pub(crate) cluster: Option<&'a str>,
    /// Turns of the loop of [`burning`] that this machine makes in a second.
    pub(crate) turns_per_second: u64,
}

/// Every hostile component for what it will meet.
///
/// # Errors
/// When one cannot be assembled: a defect of ours.
pub(crate) fn attacks(made: Made<'_>) -> Result<Vec<ComponentAttack>, AssemblyError> {
    let mut attacks = limits::attacks(made)?;
    attacks.extend(contract::attacks(made)?);
    attacks.extend(sections::attacks()?);
    attacks.extend(answers::attacks(made)?);
    Ok(attacks)
}
