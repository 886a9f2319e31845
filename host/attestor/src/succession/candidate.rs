//! A candidate, and what it has to pass before it serves.

use super::beside::{collisions, shadow};
use super::directory::StateDirectory;
use super::pins::Pins;
use super::{Refused, RefusedBy, Succession, digest_of, gate, of_state, seconds};
use crate::config::{AttestorConfig, Config, Problem, Problems, SwapsConfig};
use crate::generation::Generation;
use crate::namings::Namings;
use crate::subject_key::SubjectKeys;
use nameplate_policy::{Digest, Sandbox};
use std::time::SystemTime;

/// A candidate that may serve.
#[derive(Debug)]
pub struct Candidate {
    pub(super) generation: Generation,
    pub(super) swaps: SwapsConfig,
    pub(super) pins: Pins,
    pub(super) warnings: Vec<String>,
    pub(super) configuration: Digest,
    /// Set where another naming than the candidate's own may serve.
    pub(super) instead: Option<Refused>,
    /// The naming that it was judged against.
    pub(super) against: Digest,
}

/// Why a candidate may not serve.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// Every problem found.
    pub problems: Problems,
    /// Who found them.
    pub by: RefusedBy,
}

impl Rejection {
    /// What the status says of it.
    pub(super) fn noted(&self, at: u64) -> Refused {
        let reasons = self.problems.to_string();
        Refused {
            at,
            by: self.by,
            reasons: reasons.lines().map(str::to_owned).collect(),
        }
    }
}

impl From<Problems> for Rejection {
    /// Of the configuration itself.
    fn from(problems: Problems) -> Self {
        Self {
            problems,
            by: RefusedBy::Configuration,
        }
    }
}

impl Succession {
    /// Loads a candidate and judges it. What serves goes on serving meanwhile,
    /// and afterwards.
    ///
    /// # Errors
    /// Every problem found, and who found it; [`Succession::refuse`] puts it
    /// into the status.
    pub fn judge(
        &self,
        config: &Config,
        attestor: &AttestorConfig,
        sandbox: &Sandbox,
        now: SystemTime,
    ) -> Result<Candidate, Rejection> {
        let swaps = attestor.swaps.clone();
        let path = self.directory.as_ref().map(StateDirectory::path);
        if path != swaps.state.as_deref() {
            let text = "`state_directory` is another than at the start: it changes with a restart";
            let problems = config.source.problems(vec![Problem::error(None, text)]);
            return Err(problems.into());
        }
        let current = self.attestor.current();
        let serving = &current.generation.namings;
        let against = serving.digest();
        let pins = Pins::of(attestor);
        let mut noted = Vec::new();
        let candidate = |namings: Namings, instead, noted| -> Result<Candidate, Rejection> {
            let mut generation = Generation::trusting(config, attestor, namings);
            let found = {
                // For no longer: a shadow is compiled below, and a log's end read.
                let mut history = self.history();
                collisions(&swaps, self.directory.as_ref(), &mut history.holders)
            };
            generation.collisions = found.map_err(|error| of_state(config, &error))?;
            let (shadow, mut warnings) =
                shadow(&swaps, sandbox, &generation, Some(&current.generation));
            warnings.extend::<Vec<String>>(noted);
            generation.shadow = shadow;
            Ok(Candidate {
                generation: generation.open_decision_log(config, attestor)?,
                swaps: swaps.clone(),
                pins: pins.clone(),
                warnings,
                configuration: digest_of(config),
                instead,
                against,
            })
        };
        let namings = Namings::load(attestor, sandbox).map_err(|list| {
            let mut problems = config.source.problems(list);
            problems.files.clone_from(&config.files);
            Rejection {
                problems,
                by: RefusedBy::Loading,
            }
        })?;
        if namings.digest() == against {
            return candidate(namings, None, noted);
        }
        let taken_back = self.history().taken_back;
        if taken_back == Some(namings.digest()) {
            if pins.allow_namings(serving).is_err() {
                // By the rule of a rollback: nothing stands in for what is pinned.
                noted.push(PINNED_AGAIN.to_owned());
            } else if namings.are_of_the_clusters_of(serving) {
                let refused = Refused {
                    at: seconds(now),
                    by: RefusedBy::FaultRate,
                    reasons: vec![TAKEN_BACK.to_owned()],
                };
                return candidate(serving.clone(), Some(refused), noted);
            } else {
                // What serves cannot stand in for it on this trust.
                let problem = Problem::error(attestor.naming.place.source(), TAKEN_BACK);
                return Err(Rejection {
                    problems: config.source.problems(vec![problem]),
                    by: RefusedBy::FaultRate,
                });
            }
        }
        if let Some(gate) = &swaps.gate {
            let bench = gate::Bench {
                namespace: &current.generation.namespace,
                serving,
                candidate: &namings,
                subjects: &SubjectKeys::of_facts(swaps.subjects.clone()),
                now: seconds(now),
            };
            gate::judge(gate, &bench).map_err(|reasons| Rejection {
                problems: of_gate(config, attestor, &reasons),
                by: RefusedBy::Gate,
            })?;
        }
        candidate(namings, None, noted)
    }
}

/// What is said of a candidate that has served and failed.
pub(super) const TAKEN_BACK: &str = "it has served and was taken back: it serves again when its policy, \
                          settings, envelope or limits are others";

/// What is said of one that serves nevertheless.
pub(super) const PINNED_AGAIN: &str = "it has served and was taken back: it serves because its \
                                       digest is pinned, and nothing stands in for it";

/// What is said where a rollback overtook a swap.
pub(super) const TAKEN_BACK_MEANWHILE: &str = "what it was judged against was taken back meanwhile: \
                                    the next change of a file is judged anew";

pub(super) fn of_gate(config: &Config, attestor: &AttestorConfig, reasons: &[String]) -> Problems {
    let place = attestor.naming.place.source();
    let problem = |reason: &String| Problem::error(place.clone(), format!("the gate: {reason}"));
    let mut problems = config
        .source
        .problems(reasons.iter().map(problem).collect());
    problems.files.clone_from(&config.files);
    problems
}
