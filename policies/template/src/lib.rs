//! `template`: names a machine by templates that the operator writes.
//!
//! Decides nothing itself: the operator's templates do. Reads them once, when
//! the policy is configured, and reports what can never be a name then.
//! Trusts the facts to be proven, but not to fit into a path: that is checked
//! for each rendered segment.

mod placeholder;
mod template;

use nameplate_guest::{Denial, Derivation, Facts, Problem, Settings, selectors};
use serde::Deserialize;

use placeholder::{Missing, Placeholder};
use template::{Place, Template};

/// What an operator may set, read.
#[derive(Debug, Deserialize)]
#[serde(from = "Written")]
pub struct Naming {
    path: Vec<Template>,
    selectors: Option<Vec<Selector>>,
    problems: Vec<Problem>,
}

#[derive(Debug)]
struct Selector {
    value: Template,
    /// Left out where a fact of it is absent, instead of a denial.
    optional: bool,
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: Vec<String>,
    #[serde(default)]
    selectors: Option<Vec<WrittenSelector>>,
}

/// A selector as it is written: its value alone, or an object.
struct WrittenSelector {
    value: String,
    optional: bool,
    /// Where the value stands, below the selector.
    pointer: &'static str,
}

impl Settings for Naming {
    fn problems(&self) -> Vec<Problem> {
        self.problems.clone()
    }
}

/// The path and the selectors that the operator's templates give.
///
/// # Errors
/// `fact-absent` where a template needs what was not proven; `not-a-segment`
/// and `not-a-selector` where what was proven does not fit.
pub fn derive(naming: &Naming, facts: &Facts) -> Result<Derivation, Denial> {
    let mut path = Vec::with_capacity(naming.path.len());
    for template in &naming.path {
        let segment = template.render(facts).map_err(absent)?;
        if !is_segment(&segment) {
            return Err(Denial::new(
                "not-a-segment",
                [
                    "`",
                    &segment.escape_default().to_string(),
                    "` is not a SPIFFE path segment",
                ]
                .concat(),
            ));
        }
        path.push(segment);
    }
    let selectors = match &naming.selectors {
        Some(templates) => render_selectors(templates, facts)?,
        None => selectors::spire(facts, &selectors::Keep::default()),
    };
    Ok(Derivation { path, selectors })
}

fn render_selectors(templates: &[Selector], facts: &Facts) -> Result<Vec<String>, Denial> {
    let mut selectors: Vec<String> = Vec::with_capacity(templates.len());
    for template in templates {
        let value = match template.value.render(facts) {
            Ok(value) => value,
            Err(_) if template.optional => continue,
            Err(missing) => return Err(absent(missing)),
        };
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(Denial::new(
                "not-a-selector",
                [
                    "`",
                    &value.escape_default().to_string(),
                    "` is empty or has control characters",
                ]
                .concat(),
            ));
        }
        // Selectors are a set; two templates may well meet in one value.
        if !selectors.contains(&value) {
            selectors.push(value);
        }
    }
    Ok(selectors)
}

fn absent((placeholder, missing): (&Placeholder, Missing)) -> Denial {
    let reason = match missing {
        Missing::Unproven => "` was not proven",
        Missing::Several => "` has more than one value",
    };
    Denial::new(
        "fact-absent",
        ["`", &placeholder.to_string(), reason].concat(),
    )
}

/// Whether `segment` may stand in a SPIFFE ID's path (SPIFFE-ID §2.2).
fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_segment_byte)
}

const fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

impl From<Written> for Naming {
    /// Reads every template, and keeps every problem.
    fn from(written: Written) -> Self {
        let mut problems = Vec::new();
        if written.path.is_empty() {
            problems.push(Problem::new("/path", "needs at least one segment"));
        }
        let mut read = |text: &str, place: Place, pointer: String| {
            Template::parse(text, place)
                .map_err(|message| problems.push(Problem::new(pointer, message)))
                .ok()
        };
        let path = written
            .path
            .iter()
            .enumerate()
            .filter_map(|(index, text)| {
                read(text, Place::Path, ["/path/", &index.to_string()].concat())
            })
            .collect();
        let selectors = written.selectors.map(|selectors| {
            selectors
                .iter()
                .enumerate()
                .filter_map(|(index, selector)| {
                    let pointer = ["/selectors/", &index.to_string(), selector.pointer].concat();
                    Some(Selector {
                        value: read(&selector.value, Place::Selector, pointer)?,
                        optional: selector.optional,
                    })
                })
                .collect()
        });
        Self {
            path,
            selectors,
            problems,
        }
    }
}

impl<'de> Deserialize<'de> for WrittenSelector {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::value::MapAccessDeserializer;
        use serde::de::{MapAccess, Visitor};

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            value: String,
            #[serde(default)]
            optional: bool,
        }

        struct TextOrObject;

        impl<'de> Visitor<'de> for TextOrObject {
            type Value = WrittenSelector;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a template or an object with `value` and `optional`")
            }

            fn visit_str<E>(self, value: &str) -> Result<WrittenSelector, E> {
                Ok(WrittenSelector {
                    value: value.into(),
                    optional: false,
                    pointer: "",
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenSelector, A::Error> {
                let object = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WrittenSelector {
                    value: object.value,
                    optional: object.optional,
                    pointer: "/value",
                })
            }
        }

        deserializer.deserialize_any(TextOrObject)
    }
}

nameplate_guest::export!(derive, settings = Naming);
