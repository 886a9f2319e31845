//! What people name on the command line: files, `-`, times, settings.
//!
//! Every input is bounded before it is looked at, and a file is read as the
//! libraries read theirs.

use crate::failure::Failure;
use anyhow::{Context as _, anyhow};
use nameplate_evidence::EvidenceError;
use nameplate_policy::{Facts, Limits};
use nameplate_words::grouped;
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Most bytes of a payload, a token or a facts file.
pub(crate) const MAX_INPUT_BYTES: usize = 64 << 10;

/// Most bytes that are counted beyond that, for the error: an endless input
/// ends.
const MAX_COUNTED_BYTES: u64 = 1 << 30;

/// Reads a file, or standard input where the path is `-`.
///
/// # Errors
/// A fault `input_unreadable`: it cannot be read or is longer than `limit`.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::fault("input_unreadable", error);
    if path != Path::new("-") {
        return nameplate_files::read(path, limit).map_err(|error| unreadable(error.into()));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_end(&mut bytes)
        .context("cannot read standard input")
        .map_err(unreadable)?;
    if bytes.len() > limit {
        return Err(unreadable(anyhow!(
            "standard input is larger than {} bytes",
            grouped(limit)
        )));
    }
    Ok(bytes)
}

/// Reads what a peer sent, or would send. The verifier bounds evidence; input
/// that is too long to be read here is rejected evidence as well.
///
/// # Errors
/// As [`read`]; evidence that is too long.
pub(crate) fn evidence(path: &Path) -> Result<Vec<u8>, Failure> {
    let too_long = |bytes: u64| {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Failure::from(EvidenceError::PayloadTooLarge { bytes })
    };
    if path != Path::new("-") {
        return nameplate_files::read(path, MAX_INPUT_BYTES).map_err(|error| {
            let length = std::fs::metadata(path).map(|metadata| metadata.len());
            match (error.failure(), length) {
                (nameplate_files::Failure::TooLarge { .. }, Ok(length)) => too_long(length),
                _ => Failure::fault("input_unreadable", error),
            }
        });
    }
    let mut stdin = std::io::stdin().lock();
    let mut bytes = Vec::new();
    let (most, all) = (MAX_INPUT_BYTES as u64, MAX_COUNTED_BYTES);
    stdin
        .by_ref()
        .take(most)
        .read_to_end(&mut bytes)
        .and_then(|read| {
            // The rest is counted and not kept.
            let rest = std::io::copy(&mut stdin.take(all), &mut std::io::sink())?;
            Ok(read as u64 + rest)
        })
        .context("cannot read standard input")
        .map_err(|error| Failure::fault("input_unreadable", error))
        .and_then(|length| {
            if length > most {
                Err(too_long(length))
            } else {
                Ok(bytes)
            }
        })
}

/// Reads facts, as JSON.
///
/// # Errors
/// A fault `facts_malformed`, or as [`read`].
pub(crate) fn facts(path: &Path) -> Result<Facts, Failure> {
    let bytes = read(path, MAX_INPUT_BYTES)?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("`{}` holds no facts", path.display()))
        .map_err(|error| Failure::fault("facts_malformed", error))
}

/// Reads settings: JSON on the command line, or a file after an `@`.
///
/// # Errors
/// [`Failure::Usage`] where the text is no JSON object, a fault
/// `settings_malformed` where a file holds none, or as [`read`].
pub(crate) fn settings(text: Option<&str>) -> Result<Value, Failure> {
    let Some(text) = text else {
        return Ok(Value::Object(serde_json::Map::new()));
    };
    match text.strip_prefix('@') {
        Some(path) => {
            let bytes = read(Path::new(path), Limits::default().settings_bytes)?;
            object(&bytes)
                .with_context(|| format!("`{path}` holds no settings"))
                .map_err(|error| Failure::fault("settings_malformed", error))
        }
        None => object(text.as_bytes())
            .map_err(|error| Failure::Usage(format!("`--settings` holds no settings: {error:#}"))),
    }
}

fn object(json: &[u8]) -> anyhow::Result<Value> {
    let value: Value = serde_json::from_slice(json)?;
    if !value.is_object() {
        return Err(anyhow!("not a JSON object"));
    }
    Ok(value)
}

/// Reads a time such as `2026-01-02T03:04:05Z`, for clap.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn time(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339(text).map_err(|error| format!("{error}; write 2026-01-02T03:04:05Z"))
}

/// Reads a duration such as `30s`, for clap; `0` is none.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 30s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert!(duration("30").unwrap_err().ends_with("; write 30s"));
    }

    #[test]
    fn settings_are_an_object() {
        assert_eq!(settings(None).unwrap(), serde_json::json!({}));
        assert_eq!(
            settings(Some(r#"{"by":"name"}"#)).unwrap(),
            serde_json::json!({"by": "name"})
        );
        for bad in ["[]", "{", "null"] {
            assert!(
                matches!(settings(Some(bad)), Err(Failure::Usage(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_settings_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        std::fs::write(&path, r#"{"a":1}"#).unwrap();
        let at = format!("@{}", path.display());
        assert_eq!(settings(Some(&at)).unwrap(), serde_json::json!({"a": 1}));
        std::fs::write(&path, "1").unwrap();
        let failure = settings(Some(&at)).unwrap_err();
        assert!(matches!(
            failure,
            Failure::Fault {
                reason: "settings_malformed",
                ..
            }
        ));
    }

    #[test]
    fn an_input_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long");
        std::fs::write(&path, [b' '; 17]).unwrap();
        assert_eq!(read(&path, 17).unwrap().len(), 17);
        assert!(matches!(
            read(&path, 16),
            Err(Failure::Fault {
                reason: "input_unreadable",
                ..
            })
        ));
    }

    #[test]
    fn evidence_that_is_too_long_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long");
        std::fs::write(&path, vec![b' '; MAX_INPUT_BYTES]).unwrap();
        assert_eq!(evidence(&path).unwrap().len(), MAX_INPUT_BYTES);
        std::fs::write(&path, vec![b' '; MAX_INPUT_BYTES + 1]).unwrap();
        let Err(Failure::Attest { error, .. }) = evidence(&path) else {
            panic!("it is rejected");
        };
        assert_eq!(error.reason(), "payload_too_large");
        assert!(
            error.chain().contains("65,537 bytes long"),
            "{}",
            error.chain()
        );
        assert!(matches!(
            evidence(dir.path()),
            Err(Failure::Fault {
                reason: "input_unreadable",
                ..
            })
        ));
    }

    #[test]
    fn a_time_has_a_zone() {
        assert!(time("2026-01-02T03:04:05Z").is_ok());
        assert!(time("2026-01-02 03:04").is_err());
    }
}
