//! Text from outside, made fit for an error message.
//!
//! Trusts neither the server nor the libraries in between: a server may repeat
//! the token it was shown, and a library may quote what it could not read.

use std::collections::HashSet;
use std::error::Error;

/// Longest message that is repeated, in characters.
const MAX_CHARS: usize = 256;

/// Longest message that is looked at, in bytes.
const MAX_BYTES: usize = 4096;

/// So many bytes in common with the token are no coincidence.
const TELLING: usize = 16;

/// What stands in place of a token.
const CUT: &str = "<token>";

/// The beginning of `text`, in printable ASCII, without any part of `secret`
/// and without anything that looks like a JWT.
pub(crate) fn clean(text: &str, secret: &str) -> String {
    let text = text
        .get(..text.floor_char_boundary(MAX_BYTES))
        .unwrap_or_default();
    let hidden = hidden(text, secret);
    let mut shown = String::new();
    let mut length = 0;
    let mut cutting = false;
    for (character, hide) in text
        .char_indices()
        .map(|(at, character)| (character, hidden.get(at).copied().unwrap_or(true)))
    {
        if hide && cutting {
            continue;
        }
        if length >= MAX_CHARS {
            shown.push_str("...");
            break;
        }
        cutting = hide;
        length += 1;
        match character {
            _ if hide => shown.push_str(CUT),
            ' '..='~' => shown.push(character),
            // A control character, or one that reorders what follows.
            _ => shown.push('?'),
        }
    }
    shown
}

/// Which bytes of `text` must not be shown.
fn hidden(text: &str, secret: &str) -> Vec<bool> {
    let mut hidden = vec![false; text.len()];
    let mut hide = |from: usize, length: usize| {
        for byte in hidden.iter_mut().skip(from).take(length) {
            *byte = true;
        }
    };
    let telling = secret.len().min(TELLING);
    if telling > 0 {
        let parts: HashSet<&[u8]> = secret.as_bytes().windows(telling).collect();
        for (at, window) in text.as_bytes().windows(telling).enumerate() {
            if parts.contains(window) {
                hide(at, telling);
            }
        }
    }
    // `{"` in base64url: how the header of every JWT begins, the host's own
    // credential included.
    for (at, _) in text.match_indices("eyJ") {
        let length = text
            .bytes()
            .skip(at)
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
            .count();
        if length >= TELLING {
            hide(at, length);
        }
    }
    hidden
}

/// An error of a library with its causes, each said once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        next = cause.source();
        let text = cause.to_string();
        // Many libraries put the cause into their own text as well.
        if said.ends_with(&text) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&text);
    }
    clean(&said, "")
}

#[cfg(test)]
mod tests {
    use super::{MAX_CHARS, clean};

    const TOKEN: &str = "abcDEF0123456789.ghiJKL0123456789.mnoPQR0123456789";

    #[test]
    fn plain_words_stay() {
        let text = r#"pods "agent-1" not found"#;
        assert_eq!(clean(text, TOKEN), text);
    }

    #[test]
    fn a_token_is_cut_out_wherever_it_stands() {
        assert_eq!(
            clean(&format!("bad {TOKEN}, and {TOKEN}"), TOKEN),
            "bad <token>, and <token>"
        );
    }

    #[test]
    fn a_part_of_a_token_is_cut_out_too() {
        assert_eq!(
            clean("signature `mnoPQR0123456789` is wrong", TOKEN),
            "signature `<token>` is wrong"
        );
        assert_eq!(clean("saw abcDEF012345678", TOKEN), "saw abcDEF012345678");
    }

    #[test]
    fn a_token_shorter_than_a_telling_part_is_cut_out() {
        assert_eq!(clean("not `garbage`", "garbage"), "not `<token>`");
    }

    #[test]
    fn what_looks_like_a_jwt_is_cut_out() {
        assert_eq!(
            clean("Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln was sent", TOKEN),
            "Bearer <token> was sent"
        );
        assert_eq!(clean("eyJust a word", TOKEN), "eyJust a word");
    }

    #[test]
    fn a_token_that_the_end_of_what_is_read_cuts_is_not_shown() {
        let text = format!("{}{TOKEN}", "x".repeat(4096 - 20));
        assert!(!clean(&text, TOKEN).contains("abcDEF"));
        let text = format!("{}{TOKEN}", "x".repeat(MAX_CHARS - 3));
        assert_eq!(
            clean(&text, TOKEN),
            format!("{}<token>", "x".repeat(MAX_CHARS - 3))
        );
    }

    #[test]
    fn control_characters_are_replaced_and_length_is_bounded() {
        assert_eq!(clean("a\n\u{1b}[31m\u{202e}é", TOKEN), "a??[31m??");
        let exact = "x".repeat(MAX_CHARS);
        assert_eq!(clean(&exact, TOKEN), exact);
        assert_eq!(clean(&format!("{exact}x"), TOKEN), format!("{exact}..."));
    }
}
