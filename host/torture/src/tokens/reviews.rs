//! At what an API server says of tokens: what it says is the answer to one
//! question, and two readers of one token must not come to two names.

use super::{TokenAttack, TokenGround};
use crate::attack::Expected;
use crate::cluster::{OWN_AUDIENCE, Said, Signer};
use crate::error::TortureError;
use nameplate_evidence::{Binding, ReviewProof, TokenReview};
use serde_json::{Value, json};

/// A name, claims, what is said of them, what has to come of that, and an
/// incident.
type Answered = (&'static str, Value, Said, Expected, Option<&'static str>);

const POD_NAME: &str = "authentication.kubernetes.io/pod-name";

pub(super) fn attacks(
    ground: &TokenGround,
    proof: &ReviewProof,
) -> Result<Vec<TokenAttack>, TortureError> {
    let mut answered = audiences(ground, proof);
    answered.extend(verdicts(ground));
    answered.extend(contradictions(ground));
    let mut attacks = Vec::new();
    for (name, claims, said, expected, incident) in answered {
        let token = ground.issued_as(&claims, Signer::Rsa, said)?;
        attacks.push(TokenAttack {
            name: name.to_owned(),
            incident,
            payload: ground.payload(&token),
            named: false,
            expected,
        });
    }
    Ok(attacks)
}

/// Good tokens that are for somebody else.
fn audiences(ground: &TokenGround, proof: &ReviewProof) -> Vec<Answered> {
    let known = |audience: &str| proof.audience.iter().any(|one| one == audience);
    let strange = ground.strange(&[OWN_AUDIENCE, "vault", "spire-server"], known);
    let mut answered = Vec::new();
    let mut push = |name, audience: &str, always: bool, expected| {
        let claims = ground.claims_with(&[("/aud", json!([audience]))]);
        let review = ground.review(&claims);
        let said = match always {
            true => Said::Always(review),
            false => Said::Good(review),
        };
        answered.push((name, claims, said, expected, Some("SPIRE#5142")));
    };
    if proof.audience.is_empty() {
        // Whatever pod has a token has one for the API server.
        push(
            "a token for the API server",
            OWN_AUDIENCE,
            false,
            Expected::Unasked("`audience`"),
        );
        push(
            "another audience",
            "vault",
            false,
            Expected::by("token_review_refused"),
        );
        return answered;
    }
    push(
        "another audience",
        strange,
        false,
        Expected::by("token_review_refused"),
    );
    push(
        "another audience, and a server that knows of none",
        strange,
        true,
        Expected::by("audience_not_reviewed"),
    );
    answered
}

/// What is no good word for a token.
fn verdicts(ground: &TokenGround) -> Vec<Answered> {
    let claims = || ground.claims();
    let good = || ground.review(&claims());
    let mut answered: Vec<Answered> = vec![
        (
            "a token that the server does not know",
            claims(),
            Said::Always(TokenReview {
                authenticated: false,
                ..good()
            }),
            Expected::by("token_not_authenticated"),
            None,
        ),
        (
            "a token that is good, and an error besides",
            claims(),
            Said::Always(TokenReview {
                error: Some("it has been revoked".to_owned()),
                ..good()
            }),
            Expected::by("token_review_refused"),
            None,
        ),
    ];
    let last_year = ground.now.saturating_sub(31_536_000);
    let old = ground.claims_with(&[("/exp", json!(last_year))]);
    answered.push((
        "a token of last year that the server calls good",
        old.clone(),
        Said::Good(ground.review(&old)),
        Expected::by("token_expired"),
        Some("SPIRE 1.12.3"),
    ));
    if !matches!(ground.cluster.binding, Binding::Any) {
        let endless = ground.claims_without("/exp");
        answered.push((
            "a token without an end that the server calls good",
            endless.clone(),
            Said::Good(ground.review(&endless)),
            Expected::by("token_never_expires"),
            Some("SPIRE 1.12.3"),
        ));
    }
    for (name, username) in [
        ("a user that is no service account", "system:node:worker-1"),
        ("a user of no name", ""),
        (
            "a service account of no name",
            "system:serviceaccount:spire:",
        ),
        (
            "a service account in three parts",
            "system:serviceaccount:a:b:c",
        ),
    ] {
        let review = TokenReview {
            username: username.to_owned(),
            ..good()
        };
        answered.push((
            name,
            claims(),
            Said::Always(review),
            Expected::by("username_malformed"),
            Some("SPIRE#5142"),
        ));
    }
    answered
}

/// Answers that are not about the token that was sent.
fn contradictions(ground: &TokenGround) -> Vec<Answered> {
    let claims = ground.claims();
    let of = |changes: &[(&str, Value)]| ground.review(&ground.claims_with(changes));
    let mut two_pods = ground.review(&claims);
    let pods = ["spire-agent-x7k2p", "gone"].map(str::to_owned).to_vec();
    two_pods.extra.insert(POD_NAME.to_owned(), pods);
    let uid = "00000000-0000-4000-8000-000000000000";
    let contradicted = || Expected::by("token_review_contradicted");
    [
        (
            "a review of another pod",
            of(&[("/kubernetes.io/pod/name", json!("spire-agent-other"))]),
            contradicted(),
        ),
        (
            "a review of a pod of another UID",
            of(&[("/kubernetes.io/pod/uid", json!(uid))]),
            contradicted(),
        ),
        (
            "a review of no pod",
            ground.review(&ground.claims_without("/kubernetes.io/pod")),
            contradicted(),
        ),
        (
            "a review of another account",
            of(&[("/kubernetes.io/serviceaccount/name", json!("builder"))]),
            contradicted(),
        ),
        (
            "a review of an account of another UID",
            of(&[("/kubernetes.io/serviceaccount/uid", json!(uid))]),
            contradicted(),
        ),
        (
            "a review of two pods",
            two_pods,
            Expected::by("token_review_malformed"),
        ),
    ]
    .into_iter()
    .map(|(name, review, expected)| {
        (
            name,
            // Another token each, for the server knows them by their texts.
            ground.claims(),
            Said::Always(review),
            expected,
            Some("SPIRE#7117"),
        )
    })
    .collect()
}
