//! Hostile policies and hostile evidence, against an operator's own
//! configuration.

pub mod component;
pub mod guests;
