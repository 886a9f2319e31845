//! First use: replayable evidence may enroll an agent only once.
//!
//! A service account token of `k8s_sat` stays what it was when it was first
//! sent, so whoever got hold of it later could become the same agent. Two
//! checks stand against that. [`KnownAgents`] is the server's own memory of
//! which agents there are; [`UsedTokens`] is a memory of tokens, for operators
//! who want a token to serve once.

use crate::spiffe_id::SpiffeId;
use nameplate_evidence::{Patience, Statement};
use nameplate_words::grouped;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Whoever knows which agents there are: SPIRE's agent store.
pub trait KnownAgents: fmt::Debug + Send + Sync {
    /// Whether there is an agent called `id`. May block while `patience` lasts.
    ///
    /// # Errors
    /// [`KnownAgentsError`] when it cannot be said.
    fn knows(&self, id: &SpiffeId, patience: &Patience) -> Result<bool, KnownAgentsError>;
}

/// It cannot be said whether an agent is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot say whether the agent is known: {0}")]
pub struct KnownAgentsError(pub String);

/// Most tokens that are remembered. At 64 bytes or so each, 8 MiB.
pub const MAX_USED_TOKENS: usize = 1 << 17;

/// Tokens that have served, for as long as they are valid.
///
/// Bounded: when it is full of tokens that are still valid, further ones are
/// refused rather than an old one forgotten.
#[derive(Debug, Default)]
pub(crate) struct UsedTokens {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    until: HashMap<Statement, u64>,
    by_end: BTreeSet<(u64, [u8; 32])>,
}

/// Why a token may not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsedTokenError {
    /// It has served, or is about to in another attestation.
    #[error("the token has already been used")]
    Used,
    /// Too many tokens are remembered.
    #[error(
        "more than {} tokens in use, none of which has ended",
        grouped(MAX_USED_TOKENS)
    )]
    Full,
    /// It never ends, so it would have to be remembered for ever.
    #[error("a token that never expires cannot be accepted once only")]
    Endless,
}

/// A token taken for one attestation. Dropped without
/// [`serve`](Self::serve), the token is as if never seen: a fault of ours must
/// not lock an agent out.
#[derive(Debug)]
pub(crate) struct TakenToken {
    tokens: Arc<UsedTokens>,
    statement: Option<Statement>,
}

impl UsedTokens {
    /// Takes the token that states `statement` and ends at `ends`, at `now`
    /// (both in seconds since 1970). Of several at once exactly one gets it.
    pub(crate) fn take(
        self: &Arc<Self>,
        statement: Statement,
        ends: Option<u64>,
        now: u64,
    ) -> Result<TakenToken, UsedTokenError> {
        let ends = ends.ok_or(UsedTokenError::Endless)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget_before(now);
        if seen.until.contains_key(&statement) {
            return Err(UsedTokenError::Used);
        }
        if seen.until.len() >= MAX_USED_TOKENS {
            return Err(UsedTokenError::Full);
        }
        seen.until.insert(statement, ends);
        seen.by_end.insert((ends, statement.to_bytes()));
        Ok(TakenToken {
            tokens: Arc::clone(self),
            statement: Some(statement),
        })
    }
}

impl Seen {
    /// Forgets what ended before `now`.
    fn forget_before(&mut self, now: u64) {
        while let Some(&(ends, bytes)) = self.by_end.first()
            && ends < now
        {
            self.by_end.pop_first();
            self.until.remove(&Statement::from_bytes(bytes));
        }
    }
}

impl TakenToken {
    /// It has served: it is remembered until it ends.
    pub(crate) fn serve(mut self) {
        self.statement = None;
    }
}

impl Drop for TakenToken {
    fn drop(&mut self) {
        let Some(statement) = self.statement else {
            return;
        };
        let mut seen = self
            .tokens
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(ends) = seen.until.remove(&statement) {
            seen.by_end.remove(&(ends, statement.to_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(number: u64) -> Statement {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Statement::from_bytes(bytes)
    }

    fn tokens() -> Arc<UsedTokens> {
        Arc::new(UsedTokens::default())
    }

    #[test]
    fn a_token_serves_once_while_it_is_valid() {
        let tokens = tokens();
        tokens.take(statement(1), Some(100), 10).unwrap().serve();
        let again = tokens.take(statement(1), Some(100), 100).unwrap_err();
        assert_eq!(again, UsedTokenError::Used);
        tokens.take(statement(2), Some(100), 100).unwrap().serve();
        // Its end has passed: what would refuse it now is the time check.
        tokens.take(statement(1), Some(100), 101).unwrap();
    }

    #[test]
    fn a_token_that_did_not_serve_may_come_again() {
        let tokens = tokens();
        let taken = tokens.take(statement(1), Some(100), 10).unwrap();
        let again = tokens.take(statement(1), Some(100), 10).unwrap_err();
        assert_eq!(again, UsedTokenError::Used);
        drop(taken);
        assert!(tokens.take(statement(1), Some(100), 10).is_ok());
    }

    #[test]
    fn an_endless_token_is_not_accepted_once_only() {
        let refused = tokens().take(statement(1), None, 10).unwrap_err();
        assert_eq!(refused, UsedTokenError::Endless);
    }

    #[test]
    fn memory_is_bounded_and_full_means_no() {
        let tokens = tokens();
        for number in 0..MAX_USED_TOKENS as u64 {
            tokens
                .take(statement(number), Some(100), 10)
                .unwrap()
                .serve();
        }
        let refused = tokens.take(statement(u64::MAX), Some(100), 10).unwrap_err();
        assert_eq!(refused, UsedTokenError::Full);
        assert!(tokens.take(statement(u64::MAX), Some(200), 101).is_ok());
        assert_eq!(tokens.seen.lock().unwrap().until.len(), 0);
    }

    #[test]
    fn of_many_at_once_exactly_one_wins() {
        let tokens = tokens();
        let won: usize = std::thread::scope(|scope| {
            let race = || {
                scope.spawn(|| match tokens.take(statement(1), Some(100), 10) {
                    Ok(taken) => {
                        taken.serve();
                        1
                    }
                    Err(_) => 0,
                })
            };
            let racing: Vec<_> = (0..16).map(|_| race()).collect();
            racing.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(won, 1);
    }
}
