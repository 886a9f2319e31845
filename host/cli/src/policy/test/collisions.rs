//! Cases of different subjects that get one SPIFFE ID.
//!
//! What different subjects are is the library's to say, and the policy's
//! where it says so. Some namings want one ID for many machines, so it is
//! reported and not judged.

use super::round::Tried;
use crate::report::{NOTE, printable};
use nameplate_attestor::SubjectKeys;
use nameplate_attestor::cases::{Case, Known, Outcome};
use nameplate_attestor::study::{Sight, Sightings, differences};
use nameplate_policy::{Facts, Manifest, Trial};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The host draws a UUID for every attestation, cases mostly repeat one. An
/// ID that changes with it would not collide.
const ANOTHER_ATTESTATION: &str = "00000000-0000-4000-8000-000000000001";

/// Two cases of different subjects with one SPIFFE ID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Collision {
    /// The ID.
    spiffe_id: String,
    /// The two cases.
    cases: [String; 2],
    /// The facts in which the subjects differ.
    differ_in: Vec<String>,
}

impl Collision {
    /// Writes it for people.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let [one, other] = &self.cases;
        writeln!(
            out,
            "{NOTE}one name{NOTE:#} {} and {} both get {}, and differ in {}",
            printable(one),
            printable(other),
            printable(&self.spiffe_id),
            printable(&self.differ_in.join(", "))
        )
    }
}

/// Finds them among cases under the same settings. A case that collides with
/// several earlier ones is reported with the first.
pub(super) fn find(tried: &[Tried], trial: &Trial, manifest: &Manifest) -> Vec<Collision> {
    let mut collisions = Vec::new();
    let mut by_settings: BTreeMap<String, Sightings> = BTreeMap::new();
    for (later, at) in tried.iter().zip(0u64..) {
        let (Outcome::Identity { spiffe_id, .. }, Some(facts)) = (&later.run.outcome, &later.facts)
        else {
            continue;
        };
        let settings = &later.case.settings;
        // A policy whose word on its subjects cannot be read does not load.
        let keys = SubjectKeys::of_policy(manifest, settings).unwrap_or_default();
        let sightings = by_settings
            .entry(settings.to_string())
            .or_insert_with(|| Sightings::of_at_most(tried.len()));
        let sight = sightings.see(spiffe_id, keys.key(facts), at);
        let Sight::Another { first, .. } = sight else {
            continue;
        };
        let earlier = usize::try_from(first)
            .ok()
            .and_then(|first| tried.get(first));
        if let Some(earlier) = earlier
            && let Some(before) = &earlier.facts
            && outlives_the_attestation(&later.case, facts, spiffe_id, trial)
        {
            let differ_in = differences(before, facts);
            collisions.push(Collision {
                spiffe_id: spiffe_id.clone(),
                cases: [earlier.case.name.clone(), later.case.name.clone()],
                differ_in: differ_in.into_iter().map(|fact| fact.name).collect(),
            });
        }
    }
    collisions
}

fn outlives_the_attestation(case: &Case, facts: &Facts, id: &str, trial: &Trial) -> bool {
    let facts = Facts {
        attestation_id: ANOTHER_ATTESTATION.to_owned(),
        ..facts.clone()
    };
    let case = Case {
        known: Known::Facts(Box::new(facts)),
        ..case.clone()
    };
    matches!(case.run(trial).outcome, Outcome::Identity { spiffe_id, .. } if spiffe_id == id)
}
