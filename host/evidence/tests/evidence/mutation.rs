//! A token that was changed in any way is another token, and is refused.

use std::sync::LazyLock;

use nameplate_evidence::{Method, RawEvidence, TokenVerifier};
use proptest::prelude::*;

use crate::support::{NOW, P256, RSA, at, claims, evidence, production, token};

static VERIFIER: LazyLock<TokenVerifier> = LazyLock::new(|| {
    let file = format!("{}{}", RSA.pem(), P256.pem());
    let keys = nameplate_evidence::KeySet::from_pem(file.as_bytes()).unwrap();
    TokenVerifier::new([production(keys)])
});

static TOKENS: LazyLock<[String; 2]> = LazyLock::new(|| {
    [
        token(&RSA, "RS256", &claims()),
        token(&P256, "ES256", &claims()),
    ]
});

#[derive(Debug, Clone)]
enum Change {
    Replace(usize, char),
    Insert(usize, char),
    Remove(usize),
    Swap(usize, usize),
    Truncate(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let character = prop_oneof![
        4 => "[A-Za-z0-9_-]".prop_map(|text| text.chars().next().unwrap_or('A')),
        1 => any::<char>(),
        1 => Just('.'),
    ];
    prop_oneof![
        4 => (any::<usize>(), character.clone()).prop_map(|(at, new)| Change::Replace(at, new)),
        2 => (any::<usize>(), character).prop_map(|(at, new)| Change::Insert(at, new)),
        1 => any::<usize>().prop_map(Change::Remove),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Change::Swap(a, b)),
        1 => any::<usize>().prop_map(Change::Truncate),
    ]
}

fn changed(token: &str, changes: &[Change]) -> String {
    let mut text: Vec<char> = token.chars().collect();
    for change in changes {
        let length = text.len().max(1);
        match *change {
            Change::Replace(at, new) if !text.is_empty() => text[at % length] = new,
            Change::Insert(at, new) => text.insert(at % length, new),
            Change::Remove(at) if !text.is_empty() => {
                text.remove(at % length);
            }
            Change::Swap(a, b) if !text.is_empty() => text.swap(a % length, b % length),
            Change::Truncate(at) => text.truncate(at % length),
            Change::Replace(..) | Change::Remove(_) | Change::Swap(..) => {}
        }
    }
    text.into_iter().collect()
}

#[test]
fn unchanged_tokens_are_accepted() {
    for token in &*TOKENS {
        assert!(VERIFIER.verify(&evidence(token), at(NOW)).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn changed_tokens_are_refused(
        which in 0..2_usize,
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let token = &TOKENS[which];
        let changed = changed(token, &changes);
        let same = changed.trim_ascii() == token;
        let result = VERIFIER.verify(&evidence(&changed), at(NOW));
        prop_assert_eq!(result.is_ok(), same);
    }

    #[test]
    fn any_payload_ends_in_a_refusal(bytes in prop::collection::vec(any::<u8>(), 1..512)) {
        let raw = RawEvidence::new(Method::K8sSat, bytes).unwrap();
        prop_assert!(VERIFIER.verify(&raw, at(NOW)).is_err());
    }

    #[test]
    fn any_signed_claims_end_in_a_refusal(claims in r#"[{}\[\]:,"a-z0-9./ ]{0,64}"#) {
        let token = crate::support::token_of(&P256, "ES256", r#"{"alg":"ES256"}"#, &claims);
        prop_assert!(VERIFIER.verify(&evidence(&token), at(NOW)).is_err());
    }
}
