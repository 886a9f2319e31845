//! What goes along with a request, so that an API server knows who asks.
//!
//! Not left to the client: it breaks down at a token with a line break, and
//! takes the newline at the end of a file for a part of the token.

use crate::file;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use nameplate_evidence::ApiError;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What goes along with a request.
pub(crate) enum Credential {
    /// Nothing: the client has a certificate, or is anonymous.
    Nobody,
    /// Always the same.
    Header(HeaderValue),
    /// The token that is in a file then.
    File(TokenFile),
}

impl Credential {
    /// The header `Authorization` of a request that is made now.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::Nobody => None,
            Self::Header(header) => Some(header.clone()),
            Self::File(file) => Some(file.header()),
        }
    }
}

/// A token in a file, read anew for each request.
pub(crate) struct TokenFile {
    path: PathBuf,
    /// What the file held when it last held a token: some programs take the
    /// file away once it was read (kubernetes/kubernetes#68164).
    last: Mutex<HeaderValue>,
}

impl TokenFile {
    /// The token at `path`; `otherwise`, while there is none.
    ///
    /// # Errors
    /// [`ApiError::NotConfigured`] where there is neither.
    pub(crate) fn new(path: PathBuf, otherwise: Option<HeaderValue>) -> Result<Self, ApiError> {
        let last = match (file::read_token(&path), otherwise) {
            (Ok(token), _) => bearer(token.as_bytes()),
            (Err(_), Some(otherwise)) => Some(otherwise),
            (Err(error), None) => return Err(error),
        };
        let last = last.ok_or_else(|| ApiError::NotConfigured {
            what: format!("`{}` holds no token", path.display()),
        })?;
        Ok(Self {
            path,
            last: Mutex::new(last),
        })
    }

    fn header(&self) -> HeaderValue {
        let token = file::read_token(&self.path).ok();
        let now = token.and_then(|token| bearer(token.as_bytes()));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = now {
            *last = now;
        }
        last.clone()
    }
}

/// A bearer token, without blanks around it; none where it holds one, or what
/// is not printable.
pub(crate) fn bearer(token: &[u8]) -> Option<HeaderValue> {
    let token = token.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    sensitive(&[b"Bearer ", token].concat())
}

/// A name and a password (RFC 7617).
pub(crate) fn basic(name: &str, password: &str) -> Option<HeaderValue> {
    let both = STANDARD.encode(format!("{name}:{password}"));
    sensitive(format!("Basic {both}").as_bytes())
}

fn sensitive(value: &[u8]) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_bytes(value).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::{Credential, TokenFile, basic, bearer};
    use http::HeaderValue;
    use std::fs;

    #[test]
    fn a_token_is_one_word() {
        let sent = |token: &[u8]| bearer(token).map(|header| header.as_bytes().to_vec());
        assert_eq!(sent(b" a.b.c\r\n"), Some(b"Bearer a.b.c".to_vec()));
        for wrong in [
            &b""[..],
            b" \n",
            b"a\nb",
            b"a b",
            b"a\x7f",
            b"a\xc3\xa9",
            b"a\0",
        ] {
            assert_eq!(sent(wrong), None, "{wrong:?}");
        }
        assert!(bearer(b"a.b.c").unwrap().is_sensitive());
        assert_eq!(basic("a", "b").unwrap(), "Basic YTpi");
    }

    #[test]
    fn a_file_counts_while_it_holds_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let otherwise = || Some(HeaderValue::from_static("Bearer otherwise"));
        let error = TokenFile::new(path.clone(), None).err().unwrap();
        assert!(error.to_string().contains("token` cannot be read: "));
        let early = Credential::File(TokenFile::new(path.clone(), otherwise()).unwrap());
        assert_eq!(early.header(), otherwise());
        fs::write(&path, "first\n").unwrap();
        let file = Credential::File(TokenFile::new(path.clone(), otherwise()).unwrap());
        for credential in [&early, &file] {
            assert_eq!(credential.header().unwrap(), "Bearer first");
        }
        fs::write(&path, "second").unwrap();
        assert_eq!(file.header().unwrap(), "Bearer second");
        fs::remove_file(&path).unwrap();
        assert_eq!(file.header().unwrap(), "Bearer second");
    }
}
