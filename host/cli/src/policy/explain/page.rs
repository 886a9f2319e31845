//! An explanation as a page: one file that loads nothing and runs nothing.
//!
//! Everything that came from a policy, its settings or facts is escaped, and
//! the page forbids scripts and foreign content besides.

use super::{Document, words};
use nameplate_attestor::cases::Outcome;
use nameplate_attestor::study::{Effects, Explanation, Influence, Part, Tried};
use nameplate_words::is_unseen;
use std::fmt::{self, Write as _};

/// The whole page.
pub(super) fn page(document: &Document) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _written = write(&mut page, document);
    page
}

fn write(page: &mut String, document: &Document) -> fmt::Result {
    let explanation = &document.explanation;
    let policy = &document.policy;
    let version = policy.version.as_deref().unwrap_or_default();
    let title = format!("Why this name: {} {version}", policy.name);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{css}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n<p class=\"faint\"><code>{digest}</code></p>\n",
        title = escaped(&title),
        css = include_str!("page.css"),
        digest = policy.digest,
    )?;
    match &explanation.derivation {
        Some(derivation) => {
            page.push_str("<div class=\"id\">\n");
            writeln!(
                page,
                "<div class=\"part\"><b>{}</b><span>the host's: trust domain, attestor</span></div>",
                escaped(&derivation.prefix)
            )?;
            for part in &derivation.path {
                write_part(page, part)?;
            }
            page.push_str("</div>\n");
            if !derivation.selectors.is_empty() {
                page.push_str("<h2>Selectors</h2>\n<div class=\"scroll\"><table>\n");
                for part in &derivation.selectors {
                    writeln!(
                        page,
                        "<tr><td><code>{}</code></td><td>{}</td></tr>",
                        escaped(&part.text),
                        escaped(&words::origins(part))
                    )?;
                }
                page.push_str("</table></div>\n");
            }
        }
        None => writeln!(
            page,
            "<div class=\"id\"><div class=\"part\"><b>{}</b></div></div>",
            escaped(&explanation.outcome.to_string())
        )?,
    }
    write_influences(page, "Facts", &explanation.facts)?;
    write_influences(page, "Settings", &explanation.settings)?;
    write_together(page, explanation)?;
    writeln!(
        page,
        "<h2>What was asked</h2>\n<p>{}</p>\n</body>\n</html>",
        escaped(&words::bounds(explanation))
    )
}

fn write_part(page: &mut String, part: &Part) -> fmt::Result {
    let class = match part.origins.as_slice() {
        [] => "own",
        origins if origins.iter().all(|origin| origin.setting) => "setting",
        _ => "fact",
    };
    writeln!(
        page,
        "<div class=\"part {class}\"><b>{}</b><span>{}</span></div>",
        escaped(&part.text),
        escaped(&words::origins(part))
    )
}

fn write_influences(page: &mut String, heading: &str, list: &[Influence]) -> fmt::Result {
    if list.is_empty() {
        return Ok(());
    }
    write!(
        page,
        "<h2>{heading}</h2>\n<div class=\"scroll\"><table>\n\
         <tr><th>name</th><th>value</th><th>decides</th></tr>\n"
    )?;
    let (none, some): (Vec<_>, Vec<_>) =
        list.iter().partition(|influence| influence.effects.none());
    for influence in some.into_iter().chain(none) {
        let class = match influence.effects.none() {
            true => " class=\"nothing\"",
            false => "",
        };
        write!(
            page,
            "<tr{class}><td><code>{}</code></td><td><code>{}</code></td><td>",
            escaped(&influence.name),
            escaped(&words::value(influence.value.as_ref(), 80)),
        )?;
        write_effects(page, &influence.effects)?;
        writeln!(
            page,
            "<details><summary>{} tried</summary><table>",
            influence.tried.len()
        )?;
        for tried in &influence.tried {
            write_tried(page, tried)?;
        }
        page.push_str("</table></details></td></tr>\n");
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn write_effects(page: &mut String, effects: &Effects) -> fmt::Result {
    let mut badge = |class: &str, text: &str| {
        write!(
            page,
            "<span class=\"badge {class}\">{}</span>",
            escaped(text)
        )
    };
    if effects.path {
        badge("path", "path")?;
    }
    if effects.selectors {
        badge("selectors", "selectors")?;
    }
    if effects.named {
        badge("named", "an identity")?;
    }
    for code in &effects.denied {
        badge("ends", &format!("denied ({code})"))?;
    }
    for reason in &effects.faults {
        badge("ends", &format!("fault ({reason})"))?;
    }
    if effects.none() {
        badge("none", &words::effects(effects))?;
    }
    Ok(())
}

fn write_tried(page: &mut String, tried: &Tried) -> fmt::Result {
    let came = if let Outcome::Identity {
        spiffe_id,
        selectors,
    } = &tried.outcome
    {
        format!("{spiffe_id}, {} selectors", selectors.len())
    } else {
        tried.outcome.to_string()
    };
    writeln!(
        page,
        "<tr><td>{}</td><td><code>{}</code></td><td><code>{}</code></td></tr>",
        escaped(&tried.change),
        escaped(&words::value(tried.value.as_ref(), 80)),
        escaped(&came)
    )
}

fn write_together(page: &mut String, explanation: &Explanation) -> fmt::Result {
    if explanation.together.is_empty() {
        return Ok(());
    }
    page.push_str("<h2>Only together</h2>\n<ul>\n");
    for pair in &explanation.together {
        writeln!(page, "<li>{}</li>", escaped(&words::together(pair)))?;
    }
    page.push_str("</ul>\n");
    Ok(())
}

/// `text` as it may stand in an element or in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() || is_unseen(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            escaped("<script a=\"b\" c='d'>&\u{1b}"),
            "&lt;script a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;\\u{1b}"
        );
        assert_eq!(escaped("plain ü"), "plain ü");
        assert_eq!(escaped("a\u{202e}b\u{200b}"), "a\\u{202e}b\\u{200b}");
    }
}
