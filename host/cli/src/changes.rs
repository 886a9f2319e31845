//! What became of generations, said on standard error as a server says it in
//! its log.

use crate::report::{NOTE, printable};
use nameplate_attestor::{Change, Observer};
use std::io::Write;

/// Says each change in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SaidChanges;

impl Observer for SaidChanges {
    fn changed(&self, name: &str, change: &Change) {
        let said = match change {
            Change::Restored(refused) => format!(
                "the last good naming serves, not what is configured: {}",
                refused.reasons.join("; ")
            ),
            Change::RolledBack { refused, .. } => format!(
                "rolled back to the naming before: {}",
                refused.reasons.join("; ")
            ),
            Change::Warning(warning) => warning.clone(),
        };
        let mut err = anstream::stderr().lock();
        // What cannot be told is not worth failing for.
        let _told = writeln!(
            err,
            "{NOTE}warning:{NOTE:#} attestor `{name}`: {}",
            printable(&said)
        );
    }
}
