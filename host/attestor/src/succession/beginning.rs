//! What an attestor begins with: what is configured, or where that may not
//! serve, the last good naming from disk.

use super::candidate::{PINNED_AGAIN, TAKEN_BACK, of_gate};
use super::directory::StateDirectory;
use super::going_back::{GoingBack, OTHER_CLUSTERS, WIDER};
use super::kept::{Kept, Tenure, Why};
use super::pins::Pins;
use super::{Refused, RefusedBy, Rejection, digest_of, gate, seconds};
use crate::config::{AttestorConfig, Config, Problem, Problems};
use crate::namespace::Namespace;
use crate::namings::{self, Namings};
use crate::probation::Probation;
use crate::subject_key::SubjectKeys;
use nameplate_policy::Sandbox;
use std::sync::Arc;
use std::time::SystemTime;

/// What a succession begins with.
pub(super) struct Beginning {
    pub(super) namings: Namings,
    pub(super) tenure: Tenure,
    pub(super) before: Option<Tenure>,
    pub(super) probation: Option<Arc<Probation>>,
    pub(super) refused: Option<Refused>,
    pub(super) warnings: Vec<String>,
}

impl Beginning {
    /// Decides between what is configured and what is on disk.
    pub(super) fn choose(
        config: &Config,
        attestor: &AttestorConfig,
        sandbox: &Sandbox,
        directory: Option<&StateDirectory>,
        kept: Option<Kept>,
        now: SystemTime,
    ) -> Result<Self, Problems> {
        let configured = Namings::load(attestor, sandbox).map_err(|list| {
            let mut problems = config.source.problems(list);
            problems.files.clone_from(&config.files);
            problems
        });
        let (Some(directory), Some(kept)) = (directory, kept) else {
            return Ok(Self::first(configured?, config, seconds(now)));
        };
        let kept = kept.admitting_as(attestor);
        let swaps = &attestor.swaps;
        let pins = Pins::of(attestor);
        let now = seconds(now);
        let disk = Disk { directory, sandbox };
        let last_good = |problems: Problems, by: RefusedBy| {
            let rejection = Rejection { problems, by };
            let refused = rejection.noted(now);
            let namings = restorable(&kept.current, attestor, &pins)
                .and_then(|()| {
                    let loaded = disk.load(&kept.current);
                    loaded.map_err(|why| Unrestorable { why, or: "" })
                })
                .map_err(|unrestorable| unrestored(rejection.problems, &unrestorable))?;
            let going_back = left_of_probation(&kept, &namings, attestor, &disk, now);
            Ok(Self::restored(&kept, namings, refused, going_back))
        };
        let namings = match configured {
            Ok(namings) => namings,
            Err(problems) => return last_good(problems, RefusedBy::Loading),
        };
        if namings.digest() == kept.current.digest {
            let going_back = left_of_probation(&kept, &namings, attestor, &disk, now);
            return Ok(Self::resumed(kept, namings, config, going_back));
        }
        let mut warnings = Vec::new();
        if kept.taken_back == Some(namings.digest()) {
            // By the rule of a rollback: nothing stands in for what is pinned.
            if pins.allow_kept(&kept.current).is_ok() {
                let problem = Problem::error(attestor.naming.place.source(), TAKEN_BACK);
                return last_good(config.source.problems(vec![problem]), RefusedBy::FaultRate);
            }
            warnings.push(PINNED_AGAIN.to_owned());
        }
        let before = disk.load(&kept.current);
        let subjects = SubjectKeys::of_facts(swaps.subjects.clone());
        if let Some(gate) = &swaps.gate {
            let judged = match &before {
                Ok(before) => {
                    let namespace = Namespace {
                        trust_domain: config.trust_domain.clone(),
                        attestor: attestor.name.clone(),
                    };
                    let bench = gate::Bench {
                        namespace: &namespace,
                        serving: before,
                        candidate: &namings,
                        subjects: &subjects,
                        now,
                    };
                    gate::judge(gate, &bench)
                }
                Err(why) => Err(vec![format!("there is nothing to judge against: {why}")]),
            };
            if let Err(reasons) = judged {
                return last_good(of_gate(config, attestor, &reasons), RefusedBy::Gate);
            }
        }
        let proven = kept.proven(now).clone();
        let before = if proven == kept.current {
            before
        } else {
            disk.load(&proven)
        };
        let going_back = match swaps.rollback {
            Some(bounds) => GoingBack::to(before, &namings, &pins, |before| {
                Probation::new(before, bounds, subjects.clone(), now)
            }),
            None => GoingBack::default(),
        };
        warnings.extend(going_back.warning);
        let number = kept.current.number.saturating_add(1);
        Ok(Self {
            tenure: Tenure::of(&namings, number, now, Why::Swapped, digest_of(config)),
            namings,
            before: Some(proven),
            probation: going_back.probation,
            refused: None,
            warnings,
        })
    }

    /// Nothing served before.
    fn first(namings: Namings, config: &Config, now: u64) -> Self {
        let why = Why::Configured;
        Self {
            tenure: Tenure::of(&namings, 1, now, why, digest_of(config)),
            namings,
            before: None,
            probation: None,
            refused: None,
            warnings: Vec::new(),
        }
    }

    /// What serves is what served.
    fn resumed(kept: Kept, namings: Namings, config: &Config, going_back: GoingBack) -> Self {
        Self {
            namings,
            tenure: Tenure {
                number: kept.current.number.saturating_add(1),
                configuration: digest_of(config),
                why: match kept.current.why {
                    // What is configured serves again.
                    Why::Restored => Why::Configured,
                    why @ (Why::Configured | Why::Swapped | Why::RolledBack) => why,
                },
                ..kept.current
            },
            before: kept.before,
            probation: going_back.probation,
            refused: None,
            warnings: going_back.warning.into_iter().collect(),
        }
    }

    /// What served serves on, in place of what is configured.
    fn restored(kept: &Kept, namings: Namings, refused: Refused, going_back: GoingBack) -> Self {
        Self {
            namings,
            tenure: Tenure {
                number: kept.current.number.saturating_add(1),
                why: Why::Restored,
                ..kept.current.clone()
            },
            before: kept.before.clone(),
            probation: going_back.probation,
            refused: Some(refused),
            warnings: going_back.warning.into_iter().collect(),
        }
    }
}

/// Where namings are loaded from that served once.
struct Disk<'a> {
    directory: &'a StateDirectory,
    sandbox: &'a Sandbox,
}

impl Disk<'_> {
    fn load(&self, tenure: &Tenure) -> Result<Namings, String> {
        tenure.load(self.directory, self.sandbox)
    }
}

/// What is left of the probation that `namings` were on when the last process
/// ended: a restart must not be what makes them stay.
fn left_of_probation(
    kept: &Kept,
    namings: &Namings,
    attestor: &AttestorConfig,
    disk: &Disk<'_>,
    now: u64,
) -> GoingBack {
    let swaps = &attestor.swaps;
    match (kept.on_probation(now), swaps.rollback, &kept.before) {
        (Some(ends), Some(bounds), Some(before)) => {
            let subjects = SubjectKeys::of_facts(swaps.subjects.clone());
            GoingBack::to(disk.load(before), namings, &Pins::of(attestor), |before| {
                Probation::until(ends, before, bounds, subjects)
            })
        }
        _ => GoingBack::default(),
    }
}

/// Why the last good naming does not stand in.
struct Unrestorable {
    why: String,
    /// What would let it, besides mending the configuration.
    or: &'static str,
}

/// Whether a kept naming may stand in for the one that is configured: for the
/// same clusters, in what is allowed now, and where nothing else is pinned.
fn restorable(kept: &Tenure, attestor: &AttestorConfig, pins: &Pins) -> Result<(), Unrestorable> {
    let own = std::iter::once((None, &attestor.naming));
    let of_clusters = namings::configured(attestor).map(|(name, naming)| (Some(name), naming));
    let configured: Vec<_> = own.chain(of_clusters).collect();
    let other_clusters = || Unrestorable {
        why: OTHER_CLUSTERS.to_owned(),
        or: ", or let the same clusters have one as before",
    };
    if configured.len() != kept.namings.len() {
        return Err(other_clusters());
    }
    for (cluster, naming) in configured {
        let kept = kept
            .namings
            .iter()
            .find(|kept| kept.cluster.as_deref() == cluster)
            .ok_or_else(other_clusters)?;
        let within =
            kept.envelope.is_within(&naming.envelope) && kept.limits.are_within(&naming.limits);
        if !within {
            return Err(Unrestorable {
                why: WIDER.to_owned(),
                or: ", or allow what was allowed before",
            });
        }
    }
    pins.allow_kept(kept).map_err(|why| Unrestorable {
        why,
        or: ", or let that one serve: pin it, or remove `digest`",
    })
}

/// Why nothing serves at all, and what makes it start.
fn unrestored(mut problems: Problems, unrestorable: &Unrestorable) -> Problems {
    let Unrestorable { why, or } = unrestorable;
    let text = format!(
        "the last good generation does not serve in its place: {why}; to start, mend what is \
         configured{or}"
    );
    problems.list.push(Problem::error(None, text));
    problems
}
