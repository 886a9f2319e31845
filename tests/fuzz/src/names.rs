//! SPIFFE IDs, the small words of a configuration, and what a policy answers.

use crate::fit_to_show;
use nameplate_attestor::{
    AttestorName, Envelope, Leading, MAX_ID_BYTES, PathSegment, SelectorPattern, SpiffeId,
    TrustDomain,
};
use nameplate_evidence::{AllowedServiceAccount, Method};
use nameplate_policy::{Derivation, Digest};
use nameplate_tests::facts;
use std::error::Error;
use std::fmt::Display;
use std::str::{self, FromStr};

/// A SPIFFE ID is what it reads as, and one to another implementation.
pub(crate) fn spiffe_id(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    reads_back::<SpiffeId>(text);
    let ours = text.parse::<SpiffeId>().is_ok();
    let theirs = spiffe::SpiffeId::new(text);
    let as_it_stands = theirs.is_ok_and(|theirs| theirs.to_string() == text);
    if text.len() <= MAX_ID_BYTES {
        assert_eq!(ours, as_it_stands, "{text}");
    } else {
        assert!(!ours);
    }
}

/// Words that are read and written: each is written as it was read.
pub(crate) fn words(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    reads_back::<TrustDomain>(text);
    reads_back::<PathSegment>(text);
    reads_back::<AttestorName>(text);
    reads_back::<Leading>(text);
    reads_back::<AllowedServiceAccount>(text);
    selector_pattern(text);
    reads_back::<Method>(text);
    reads_back::<Digest>(text);
}

/// Stars that stand together are one, so it is what was written that reads back.
fn selector_pattern(text: &str) {
    match text.parse::<SelectorPattern>() {
        Ok(pattern) => assert_eq!(pattern.to_string().parse(), Ok(pattern)),
        Err(error) => fit_to_show(&error),
    }
}

fn reads_back<T>(text: &str)
where
    T: FromStr<Err: Error + 'static> + Display,
{
    match text.parse::<T>() {
        Ok(word) => assert_eq!(word.to_string(), text),
        Err(error) => fit_to_show(&error),
    }
}

/// A policy's answer: a line for each path segment, an empty one, and a line
/// for each selector. An identity lies in its namespace and in its envelope.
pub(crate) fn admit(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (path, selectors) = text.split_once("\n\n").unwrap_or((&text, ""));
    let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
    let asked = Derivation {
        path: lines(path),
        selectors: if selectors.is_empty() {
            Vec::new()
        } else {
            lines(selectors)
        },
    };
    let facts = facts::bound();
    let namespace = facts::namespace();
    let narrow = Envelope {
        leading: vec!["{cluster}".parse().unwrap()],
        max_id_bytes: 100,
        max_selector_bytes: 16,
        max_selectors: 4,
        reserved: vec!["server".to_owned()],
        selectors: vec!["c*:{cluster}".parse().unwrap()],
        ..Envelope::default()
    };
    for envelope in [Envelope::default(), narrow] {
        let identity = match envelope.admit(&namespace, &facts, asked.clone()) {
            Ok(identity) => identity,
            Err(error) => {
                fit_to_show(&error);
                continue;
            }
        };
        let id = identity.spiffe_id();
        assert!(id.as_str().len() <= envelope.max_id_bytes);
        assert_eq!(id.as_str().parse::<SpiffeId>().as_ref(), Ok(id));
        let segments: Vec<_> = id.segments().collect();
        assert_eq!(segments.get(..3), Some(&["spire", "agent", "k8s_sat"][..]));
        assert_eq!(
            segments.get(3..),
            Some(&asked.path.iter().map(String::as_str).collect::<Vec<_>>()[..])
        );
        if !envelope.leading.is_empty() {
            assert_eq!(segments.get(3), Some(&"production"));
            assert!(!segments.contains(&"server"));
        }
        let selectors: Vec<_> = identity.selectors().map(|one| one.value).collect();
        assert_eq!(selectors, asked.selectors);
        assert!(selectors.len() <= envelope.max_selectors);
        for value in selectors {
            assert!((1..=envelope.max_selector_bytes).contains(&value.len()));
            assert!(!value.chars().any(char::is_control));
            if let Some(cluster) = value.strip_prefix("cluster:") {
                assert_eq!(cluster, "production");
            }
            if !envelope.selectors.is_empty() {
                assert!(value.starts_with('c') && value.ends_with(":production"));
            }
        }
    }
}
