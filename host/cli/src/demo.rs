//! stub
use crate::failure::Failure;
use crate::report::{Exit, Output};
/// Take the tour: real tokens, three policies, nothing to set up
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  nameplate demo")]
pub(crate) struct Arguments {}
pub(crate) fn run(_: &Arguments, _: Output) -> Result<Exit, Failure> { Ok(Exit::Done) }
