//! How peers are named: a policy, its settings, and the bounds it runs in.

use super::document::Node;
use crate::envelope::Envelope;
use nameplate_policy::{Digest, Limits, PolicySource};
use std::ops::Range;
use std::sync::Arc;

/// Which policy names peers, and within which bounds.
#[derive(Clone, Debug)]
pub struct NamingConfig {
    /// Where the policy comes from: a built-in that there is, or a file, whose
    /// path starts at the configuration file's directory.
    pub source: PolicySource,
    /// The digest that the component must have.
    pub digest: Option<Digest>,
    /// What the policy is configured with: a JSON object.
    pub settings: serde_json::Value,
    /// What the policy may answer.
    pub envelope: Envelope,
    /// What the policy may cost.
    pub limits: Limits,
    /// Where the file says so.
    pub place: PolicyPlace,
}

/// Places of a policy's parts in the configuration, for problems that show
/// only when the policy is loaded.
///
/// Each falls back to the nearest place that was written: the line of a
/// default is the line that it is a default of. All are `None` only when the
/// naming was not read from a text.
#[derive(Clone, Debug, Default)]
pub struct PolicyPlace {
    /// The `policy` value, or the attestor's name when there is none.
    pub(super) policy: Option<Range<usize>>,
    pub(super) source: Option<Range<usize>>,
    pub(super) digest: Option<Range<usize>>,
    pub(super) settings: Option<Arc<Node>>,
}

impl PolicyPlace {
    /// Whether a policy was written, and is not the method's default.
    pub(super) fn is_written(&self) -> bool {
        self.source.is_some() || self.settings.is_some()
    }

    /// Place of `source`.
    pub fn source(&self) -> Option<Range<usize>> {
        self.source.clone().or_else(|| self.policy.clone())
    }

    /// Place of `digest`.
    pub fn digest(&self) -> Option<Range<usize>> {
        self.digest.clone().or_else(|| self.source())
    }

    /// Place of `settings`.
    pub fn settings(&self) -> Option<Range<usize>> {
        let written = self.settings.as_ref().map(|node| node.span.clone());
        written.or_else(|| self.source())
    }

    /// Place of the setting that an RFC 6901 `pointer` names, as a policy
    /// gives it with a problem, or of its nearest parent there is.
    pub fn setting(&self, pointer: &str) -> Option<Range<usize>> {
        let settings = self.settings.as_ref();
        settings
            .and_then(|node| node.at_pointer(pointer))
            .or_else(|| self.settings())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Value;
    use crate::config::toml;

    #[test]
    fn a_place_falls_back_to_what_was_written() {
        assert_eq!(PolicyPlace::default().setting("/a"), None);
        let mut place = PolicyPlace {
            policy: Some(1..2),
            ..PolicyPlace::default()
        };
        assert_eq!(place.source(), Some(1..2));
        assert_eq!(place.digest(), Some(1..2));
        assert_eq!(place.setting("/a"), Some(1..2));
        place.source = Some(3..4);
        assert_eq!(place.digest(), Some(3..4));
        assert_eq!(place.settings(), Some(3..4));
        place.digest = Some(5..6);
        assert_eq!(place.digest(), Some(5..6));

        let text = "settings = { a = { b = 1 } }";
        let Value::Table(mut entries) = toml::parse(text).unwrap().value else {
            panic!("a document is a table");
        };
        place.settings = Some(Arc::new(entries.remove(0).node));
        let shown = |pointer| text.get(place.setting(pointer).unwrap()).unwrap();
        assert_eq!(shown("/a/b"), "b = 1");
        assert_eq!(shown("/a/c"), "a = { b = 1 }");
        assert_eq!(shown("/c"), "{ a = { b = 1 } }");
        assert_eq!(shown(""), "{ a = { b = 1 } }");
    }
}
