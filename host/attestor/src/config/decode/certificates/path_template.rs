//! `agent_path_template`: SPIRE's Go template for the path, said with the
//! policies that ship.
//!
//! What can be said exactly is translated. Everything else is refused with the
//! way to say it: a template that is nearly right names machines wrongly.

use super::super::attestor::builtin;
use super::super::table::TableReader;
use crate::config::NamingConfig;
use crate::config::problem::{Problem, quoted};

/// A field of SPIRE's template data, and the fact of the `template` policy that
/// has the same value.
const FIELDS: [(&str, &str); 5] = [
    (".Fingerprint", "{sha1}"),
    (".SerialNumberHex", "{serial}"),
    (".Subject.CommonName", "{common_name}"),
    (".TrustDomain", "{trust_domain}"),
    // A constant of SPIRE's, whatever the plugin is called.
    (".PluginName", "x509pop"),
];

/// The naming that the template asks for; none where there is no template.
pub(super) fn naming(
    table: &mut TableReader<'_, '_>,
    base: &NamingConfig,
    name: &str,
) -> Option<NamingConfig> {
    let entry = table.entry("agent_path_template")?;
    let place = entry.key_span.clone();
    let written = table.string("agent_path_template")?;
    if let Some(policy) = table.entry("policy") {
        let text = "`policy` and `agent_path_template` both name the agents";
        table.note(Problem::error(policy.key_span.clone(), text));
        return None;
    }
    match segments(written.value, name) {
        Ok(segments) if segments == ["{svid}"] => Some(base.clone()),
        Ok(path) => {
            let mut naming = builtin(
                "template",
                serde_json::json!({ "path": path }),
                base.place.clone(),
            );
            naming.place.policy = Some(place);
            Some(naming)
        }
        Err((problem, help)) => {
            table.note(Problem::error(written.span, problem).with_help(help));
            None
        }
    }
}

/// The segments behind the attestor's name, as the `template` policy has them.
fn segments(text: &str, name: &str) -> Result<Vec<String>, (String, String)> {
    let example = "say it with a policy, such as \
                   `policy = { source = \"builtin:template\", settings = { path = [\"{common_name}\"] } }`";
    let refusal = |what: String| (what, example.to_owned());
    let Some(text) = text.strip_prefix('/') else {
        let what = "agent_path_template does not begin with a slash";
        return Err(refusal(what.to_owned()));
    };
    let mut segments = Vec::new();
    for segment in text.split('/') {
        segments.push(translated(segment).map_err(refusal)?);
    }
    let first = segments.remove(0);
    if first != name {
        return Err(refusal(format!(
            "agent_path_template begins with `/{first}`, and an ID here begins with the \
             attestor's name, {}",
            quoted(name)
        )));
    }
    if segments.is_empty() {
        let what = "agent_path_template gives every agent one ID";
        return Err(refusal(what.to_owned()));
    }
    Ok(segments)
}

/// One segment, its actions replaced by facts.
fn translated(segment: &str) -> Result<String, String> {
    let mut rest = segment;
    let mut out = String::new();
    while let Some((literal, after)) = rest.split_once("{{") {
        out.push_str(literal);
        let Some((action, after)) = after.split_once("}}") else {
            return Err("failed to parse agent svid template: unclosed action".to_owned());
        };
        let field = action.trim();
        if field == ".SVIDPathTrimmed" && segment.trim() == segment && out.is_empty() {
            // The default of SPIFFE mode, which may be several segments.
            if !after.is_empty() {
                return Err("agent_path_template has more than the SVID's path".to_owned());
            }
            return Ok("{svid}".to_owned());
        }
        let fact = FIELDS.iter().find(|(name, _)| *name == field);
        let (_, fact) = fact.ok_or_else(|| {
            format!(
                "agent_path_template has an action that no fact is the same as: {}",
                quoted(field)
            )
        })?;
        out.push_str(fact);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn what_can_be_said_exactly_is() {
        for (template, path) in [
            ("/x509pop/{{ .Fingerprint }}", vec!["{sha1}"]),
            ("/{{ .PluginName }}/{{.Fingerprint}}", vec!["{sha1}"]),
            (
                "/{{ .PluginName }}/rack/{{ .Subject.CommonName }}-{{ .SerialNumberHex }}",
                vec!["rack", "{common_name}-{serial}"],
            ),
            ("/{{ .PluginName }}/{{ .SVIDPathTrimmed }}", vec!["{svid}"]),
        ] {
            assert_eq!(segments(template, "x509pop").unwrap(), path, "{template}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (template, problem) in [
            (
                "x509pop/{{ .Fingerprint }}",
                "agent_path_template does not begin with a slash",
            ),
            (
                "/agents/{{ .Fingerprint }}",
                "agent_path_template begins with `/agents`, and an ID here begins with the \
                 attestor's name, `x509pop`",
            ),
            (
                "/x509pop/{{ index .DNSNames 0 }}",
                "agent_path_template has an action that no fact is the same as: \
                 `index .DNSNames 0`",
            ),
            (
                "/x509pop/{{ .Fingerprint",
                "failed to parse agent svid template: unclosed action",
            ),
            ("/x509pop", "agent_path_template gives every agent one ID"),
            (
                "/x509pop/{{ .SVIDPathTrimmed }}-x",
                "agent_path_template has more than the SVID's path",
            ),
        ] {
            let (found, _help) = segments(template, "x509pop").unwrap_err();
            assert_eq!(found, problem, "{template}");
        }
    }
}
