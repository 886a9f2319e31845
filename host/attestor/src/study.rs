//! What a policy does, found out by asking it: about many facts, about facts
//! that were changed, and beside another policy.
//!
//! Nothing here decides about a machine. Every question goes to a fresh
//! sandbox under the limits of a server, so what is found holds there.
//!
//! | question | answer |
//! |---|---|
//! | why does this machine have this name? | [`Explanation`] |
//! | what would another policy change, and for whom? | [`Comparison`] |
//! | do two subjects bear one ID? | [`Collisions`], [`Sightings`] |
//! | does what was recorded come out the same again? | [`Replay`] |
//!
//! Facts to ask about come from a [`Source`]: cases, a decision log, or facts
//! made of given ones.

mod bounds;
mod collisions;
mod comparison;
mod edits;
mod explanation;
mod generator;
mod names;
mod replay;
mod rounds;
pub(crate) mod samples;
mod settings;
mod shape;
mod sightings;
mod source;

pub use bounds::{Bounds, EnvelopeUnreadable};
pub use collisions::{Collision, Collisions, Difference, SharedId, both_subjects, differences};
pub(crate) use comparison::shapes;
pub use comparison::{Change, Comparison, ComparisonOptions, Group, Sample};
pub use explanation::{
    Aspect, Derivation, Effects, ExplainError, Explained, Explanation, How, Influence, Origin,
    Part, Together, Tried,
};
pub use generator::Generator;
pub use names::{AsRecorded, Names};
pub use replay::{Came, Divergence, Replay, ReplayProgress, Replayed, Replayer, Unreplayable};
pub use sightings::{Sight, Sightings};
pub use source::{Described, FactsOfSource, LogFacts, Source};
