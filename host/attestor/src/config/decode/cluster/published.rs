//! Keys that a cluster publishes, and how they are followed.

use super::super::table::TableReader;
use super::load;
use crate::config::problem::{Problem, quoted};
use crate::error::chain;
use crate::token_method::TokenMethod;
use nameplate_evidence::{Rhythm, TrustedKeys};
use nameplate_kubernetes::{KeyLocation, Published, PublishedKeys};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The keys under `jwks_url`, or those that OIDC discovery of `issuer` finds.
pub(super) fn keys(
    table: &mut TableReader<'_, '_>,
    name: &str,
    method: TokenMethod,
    discovery: bool,
) -> Option<TrustedKeys> {
    let (location, place) = if discovery {
        if !table.has("issuer") && method == TokenMethod::K8sSat {
            // `k8s_psat` has to have one however its keys are found.
            let place = table.place();
            let text = format!(
                "cluster {} discovers its keys, and has no `issuer`",
                quoted(name)
            );
            table.note(Problem::error(place, text));
        }
        let issuer = table.string("issuer")?;
        let location = KeyLocation::Discovery {
            issuer: issuer.value.to_owned(),
        };
        (location, issuer.span)
    } else {
        let url = table.string("jwks_url")?;
        (KeyLocation::Jwks(url.value.to_owned()), url.span)
    };
    let ca_pem = if table.has("jwks_ca_file") {
        let path = table.string("jwks_ca_file")?;
        let what = format!("cluster {} CA of its keys' publisher", quoted(name));
        let copy = |pem: &[u8]| Ok::<_, Infallible>(pem.to_vec());
        Some(load(table, &what, path, copy)?)
    } else {
        None
    };
    let bearer_token_file = table
        .string("jwks_token_file")
        .map(|path| table.reading().path(Path::new(path.value)));
    let rhythm = rhythm(table, name);
    let published = Published {
        location,
        ca_pem,
        bearer_token_file,
        rhythm,
    };
    PublishedKeys::new(published)
        .map_err(|error| {
            let text = format!(
                "cluster {} cannot follow its keys: {}",
                quoted(name),
                chain(&error)
            );
            table.note(Problem::error(place, text));
        })
        .ok()
        .map(|keys| TrustedKeys::Followed(Arc::new(keys)))
}

/// How often they are fetched.
fn rhythm(table: &mut TableReader<'_, '_>, name: &str) -> Rhythm {
    let default = Rhythm::default();
    let refresh = table
        .duration(
            "jwks_refresh",
            Duration::from_secs(10)..=Duration::from_secs(24 * 60 * 60),
        )
        .map_or(default.refresh, |refresh| refresh.value);
    let max_age = table
        .duration(
            "jwks_max_age",
            refresh..=Duration::from_secs(30 * 24 * 60 * 60),
        )
        .map_or(default.max_age, |age| age.value);
    let serve_while_refreshing = table.boolean("jwks_serve_while_refreshing");
    if let Some(serve) = serve_while_refreshing.as_ref().filter(|serve| serve.value) {
        let text = format!(
            "cluster {} serves old keys while it fetches new ones: a key that was withdrawn \
             still verifies a token",
            quoted(name)
        );
        table.note(Problem::warning(serve.span.clone(), text));
    }
    Rhythm {
        refresh,
        max_age,
        serve_while_refreshing: serve_while_refreshing.is_some_and(|serve| serve.value),
        ..default
    }
}
