//! A token that the cluster's API server vouches for (`TokenReview`).
//!
//! Trusts the API server. What the token itself says is read only after the
//! server called it good, and must not contradict what the server said: two
//! readers of one token must not come to two names.

use std::collections::HashSet;

use crate::api::TokenReview;
use crate::binding::{reviewed_node, reviewed_pod};
use crate::error::TokenError;
use crate::peer_text::PeerText;
use crate::token::Names;

/// Prefix of the user name of every service account.
pub(crate) const USERNAME: &str = "system:serviceaccount:";

/// Who the API server says a token is for.
pub(crate) fn names(review: &TokenReview, audiences: &[String]) -> Result<Names, TokenError> {
    if let Some(error) = review.error.as_deref().filter(|error| !error.is_empty()) {
        return Err(TokenError::ReviewRefused {
            message: PeerText::long(error),
        });
    }
    if !review.authenticated {
        return Err(TokenError::NotAuthenticated);
    }
    // A server that knows no audiences answers for its own (Kubernetes,
    // `TokenReviewStatus.audiences`): whoever asked has to compare.
    if !audiences.is_empty() {
        let wanted: HashSet<_> = audiences.iter().collect();
        if !review.audiences.iter().any(|got| wanted.contains(got)) {
            return Err(TokenError::AudienceNotReviewed);
        }
    }
    let malformed = || TokenError::UsernameMalformed {
        username: PeerText::long(&review.username),
    };
    let (namespace, name) = service_account(&review.username).ok_or_else(malformed)?;
    Ok(Names {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: review.uid.clone().filter(|uid| !uid.is_empty()),
        pod: reviewed_pod(review)?,
        node: reviewed_node(review)?,
    })
}

/// Namespace and name of the service account that is called `username`.
pub(crate) fn service_account(username: &str) -> Option<(&str, &str)> {
    username
        .strip_prefix(USERNAME)
        .and_then(|account| account.split_once(':'))
        .filter(|(namespace, name)| {
            !namespace.is_empty() && !name.is_empty() && !name.contains(':')
        })
}

/// Holds what the token says against what the API server made of it.
pub(crate) fn agree(reviewed: &Names, claimed: &Names) -> Result<(), TokenError> {
    let pods = match (&reviewed.pod, &claimed.pod) {
        (Some(reviewed), Some(claimed)) => {
            reviewed.name == claimed.name && reviewed.uid == claimed.uid
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    let accounts = reviewed.namespace == claimed.namespace && reviewed.name == claimed.name;
    let uids = match (&reviewed.uid, &claimed.uid) {
        (Some(reviewed), Some(claimed)) => reviewed == claimed,
        (None, _) | (_, None) => true,
    };
    if pods && accounts && uids {
        Ok(())
    } else {
        Err(TokenError::ReviewContradicted)
    }
}
