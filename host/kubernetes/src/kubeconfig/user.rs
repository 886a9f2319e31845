//! The user of a current context: with which credential an API server is asked.
//!
//! In client-go's order: a token (that of `tokenFile` before `token`), a name
//! with a password, a client certificate, `exec`, `auth-provider`. A client
//! certificate goes along with the first two.

use super::cluster::told_to_plugins;
use super::entry::{Entry, Text};
use super::{Current, Reading};
use crate::credential::{Credential, TokenFile, basic, bearer};
use crate::exec::{Interactive, Plugin, Spec};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Config;
use nameplate_evidence::ApiError;
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// What a user of a kubeconfig asks with.
pub(crate) enum Login {
    /// Something to be sent along, or nothing.
    Known(Credential),
    /// What a program says.
    Plugin(Arc<Plugin>),
}

/// The credential of the current user; its client certificate, and as whom it
/// asks, go into `config`.
pub(crate) fn login(
    current: &Current,
    told: Map<String, Json>,
    config: &mut Config,
    reading: &mut Reading,
) -> Result<Login, ApiError> {
    let Some(user) = &current.user else {
        return Ok(Login::Known(Credential::Nobody));
    };
    let auth = &mut config.auth_info;
    auth.impersonate = user.text("as")?.map(|text| text.value);
    auth.impersonate_uid = user.text("as-uid")?.map(|text| text.value);
    let groups = user.texts("as-groups")?;
    auth.impersonate_groups = (!groups.is_empty()).then_some(groups);
    let extra = user.texts_by_name("as-user-extra")?;
    auth.impersonate_user_extra = (!extra.is_empty()).then(|| extra.into_iter().collect());
    let certified = certificate(user, config, reading)?;

    let token = user.text("token")?;
    let file = user.text("tokenFile")?;
    let (name, password) = (user.text("username")?, user.text("password")?);
    if let (Some(name), true) = (&name, token.is_some() || file.is_some()) {
        return Err(name.refuse("stands beside a token; which of the two counts is not said"));
    }
    if let Some(file) = file {
        let token = token.map(|token| header(&token)).transpose()?;
        let file = TokenFile::new(file.path(), token)?;
        return Ok(Login::Known(Credential::File(file)));
    }
    if let Some(token) = token {
        return Ok(Login::Known(Credential::Header(header(&token)?)));
    }
    if let (Some(name), Some(password)) = (name, password) {
        let header = basic(&name.value, &password.value);
        let header = header.ok_or_else(|| name.refuse("or its password cannot be sent"))?;
        return Ok(Login::Known(Credential::Header(header)));
    }
    if certified {
        return Ok(Login::Known(Credential::Nobody));
    }
    let provider = user.map("auth-provider")?;
    match (user.map("exec")?, provider) {
        (Some(exec), None) => plugin(&exec, &current.cluster, told).map(Login::Plugin),
        (Some(exec), Some(_)) => Err(exec.unclear("stands beside `auth-provider`")),
        (None, Some(provider)) => provided(&provider),
        (None, None) => Ok(Login::Known(Credential::Nobody)),
    }
}

fn header(token: &Text) -> Result<http::HeaderValue, ApiError> {
    bearer(token.value.as_bytes())
        .ok_or_else(|| token.refuse("has a line break or another character that no token has"))
}

/// Puts the user's certificate and key into `config`; whether there are any.
fn certificate(user: &Entry, config: &mut Config, reading: &mut Reading) -> Result<bool, ApiError> {
    let mut pem = |data: &'static str, file: &'static str| {
        // The data counts where both are there.
        match (user.text(data)?, user.text(file)?) {
            (Some(data), _) => data.decoded().map(Some),
            (None, Some(file)) => reading.read(&file.path()).map(Some),
            (None, None) => Ok(None),
        }
    };
    let certificate = pem("client-certificate-data", "client-certificate")?;
    let key = pem("client-key-data", "client-key")?;
    match (certificate, key) {
        (None, None) => Ok(false),
        (Some(_), None) => Err(user.lacks("client-key")),
        (None, Some(_)) => Err(user.lacks("client-certificate")),
        (Some(certificate), Some(key)) => {
            set_identity(config, &certificate, &key);
            Ok(true)
        }
    }
}

/// The certificate and the key that a client shows, in PEM.
pub(crate) fn set_identity(config: &mut Config, certificate: &[u8], key: &[u8]) {
    config.auth_info.client_certificate_data = Some(STANDARD.encode(certificate));
    config.auth_info.client_key_data = Some(STANDARD.encode(key).into());
}

/// The providers that are, or were, compiled into client-go. Of two of them
/// something needs neither a browser nor a program: a token that another program
/// keeps in the kubeconfig.
fn provided(provider: &Entry) -> Result<Login, ApiError> {
    let Some(name) = provider.text("name")? else {
        return Err(provider.lacks("name"));
    };
    let token = match provider.map("config")? {
        Some(config) => config.text("id-token")?,
        None => None,
    };
    let token = match (name.value.as_str(), token) {
        ("oidc" | "gcp", Some(token)) => token,
        ("oidc", None) => return Err(provider.lacks("config.id-token")),
        ("gcp", None) => {
            return Err(name.refuse(
                "has no `id-token`, and Kubernetes has it no more: `exec` with the command \
                 `gke-gcloud-auth-plugin` took its place",
            ));
        }
        _ => return Err(name.refuse("is none that Kubernetes still has; `exec` took its place")),
    };
    Ok(Login::Known(Credential::Header(header(&token)?)))
}

/// The program that is asked for a credential.
fn plugin(exec: &Entry, cluster: &Entry, told: Map<String, Json>) -> Result<Arc<Plugin>, ApiError> {
    let Some(command) = exec.text("command")? else {
        return Err(exec.lacks("command"));
    };
    let interactive = match exec.text("interactiveMode")? {
        None => Interactive::IfAvailable,
        Some(mode) => match mode.value.as_str() {
            "Never" => Interactive::Never,
            "IfAvailable" => Interactive::IfAvailable,
            "Always" => Interactive::Always,
            _ => return Err(mode.refuse("is none of `Never`, `IfAvailable` and `Always`")),
        },
    };
    let mut environment = Vec::new();
    for variable in exec.maps("env")? {
        let Some(name) = variable.text("name")? else {
            return Err(variable.lacks("name"));
        };
        let value = variable.text("value")?.map(|text| text.value);
        environment.push((name.value, value.unwrap_or_default()));
    }
    let cluster = match exec.flag("provideClusterInfo")? {
        Some(_) => Some(told_to_plugins(cluster, told)?.to_string()),
        None => None,
    };
    let spec = Spec {
        api_version: exec.text("apiVersion")?.map(|text| text.value),
        // One without a slash is looked for in `PATH`.
        command: if command.value.contains('/') {
            command.path()
        } else {
            command.value.clone().into()
        },
        arguments: exec.texts("args")?,
        environment,
        interactive,
        cluster,
        install_hint: exec.text("installHint")?.map(|text| text.value),
        place: exec.place(),
    };
    Ok(Plugin::of(spec))
}
