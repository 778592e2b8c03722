//! A source's address with its credentials taken out.
//!
//! User and password are separated from the address the moment it is read, so
//! that whatever prints an address later cannot print a password.

use percent_encoding::percent_decode_str;
use std::fmt;

/// A user and a password. Its debug form hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password in clear: cameras want it so.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:***", self.user)
    }
}

/// Where a source's pictures are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    bare: String,
    /// What to sign in with, from the address or from the configuration.
    pub credentials: Option<Credentials>,
}

impl Address {
    /// Reads an address as a person wrote it.
    pub fn new(written: &str) -> Self {
        let (bare, credentials) = split_credentials(written.trim());
        Self { bare, credentials }
    }

    /// What stands before the first colon, in lower case where that is a scheme.
    pub fn scheme(&self) -> &str {
        self.bare.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// What stands behind the scheme's colon.
    pub fn rest(&self) -> &str {
        self.bare.split_once(':').map_or("", |(_, rest)| rest)
    }

    /// The address without credentials.
    pub fn bare(&self) -> &str {
        &self.bare
    }

    /// The address as it may be shown to anybody: no credentials, and the values
    /// of its query hidden where their names speak of secrets.
    pub fn redacted(&self) -> String {
        // Without `://` it is no address, and all before an `@` may be a password.
        match self.bare.rfind('@') {
            Some(at) if !self.bare.contains("://") && self.bare[..at].contains(':') => {
                redact(&format!("***{}", &self.bare[at..]))
            }
            _ => redact(&self.bare),
        }
    }
}

/// Splits `scheme://user:password@rest` into the address and the credentials.
/// A password may hold `@`, so the last `@` before the path counts.
fn split_credentials(written: &str) -> (String, Option<Credentials>) {
    let Some((scheme, rest)) = written.split_once("://") else {
        return (written.to_owned(), None);
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some(at) = rest[..authority_end].rfind('@') else {
        return (written.to_owned(), None);
    };
    let (user, password) = rest[..at].split_once(':').unwrap_or((&rest[..at], ""));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let credentials = Credentials {
        user: decoded(user),
        password: decoded(password),
    };
    (format!("{scheme}://{}", &rest[at + 1..]), Some(credentials))
}

/// Names of query parameters whose values are secrets.
const SECRET_PARAMETERS: [&str; 9] = [
    "pass", "password", "passwd", "pwd", "token", "key", "secret", "auth", "sig",
];

/// Hides what an address may not show: credentials wherever they stand, and the
/// values of query parameters that are secrets by their name.
pub fn redact(address: &str) -> String {
    let mut shown = String::with_capacity(address.len());
    let mut rest = address;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after
            .find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace())
            .unwrap_or(after.len());
        match after[..end].rfind('@') {
            Some(sign) => {
                shown.push_str("***@");
                rest = &after[sign + 1..];
            }
            None => rest = after,
        }
    }
    shown.push_str(rest);
    let Some((path, query)) = shown.split_once('?') else {
        return shown;
    };
    let parameters = query.split('&').map(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else {
            return parameter.to_owned();
        };
        let lower = name.to_ascii_lowercase();
        if !value.is_empty() && SECRET_PARAMETERS.iter().any(|word| lower.contains(word)) {
            format!("{name}=***")
        } else {
            parameter.to_owned()
        }
    });
    format!("{path}?{}", parameters.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_address() {
        let address = Address::new("rtsp://viewer:p%40ss:w@rd@10.0.0.7:554/a?b=1");
        assert_eq!(address.bare(), "rtsp://10.0.0.7:554/a?b=1");
        let credentials = address.credentials.expect("credentials");
        assert_eq!(credentials.user, "viewer");
        assert_eq!(credentials.password, "p@ss:w@rd");
        assert_eq!(format!("{credentials:?}"), "viewer:***");
    }

    #[test]
    fn an_address_without_credentials_stays() {
        for plain in ["pattern:?fps=5", "http://h/a@b", "file:/a/b.mjpeg", "x"] {
            let address = Address::new(plain);
            assert_eq!((address.bare(), &address.credentials), (plain, &None));
        }
    }

    #[test]
    fn a_forgotten_scheme_betrays_no_password() {
        for (written, shown) in [
            ("viewer:hush@10.0.0.7/x", "***@10.0.0.7/x"),
            ("rtsp:/viewer:hu@sh@h/x?key=hush", "***@h/x?key=***"),
            ("10.0.0.7/a@b", "10.0.0.7/a@b"),
        ] {
            assert_eq!(Address::new(written).redacted(), shown);
        }
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        assert_eq!(
            redact("ffmpeg:http://u:hush@h/x?user=a&pwd=hush&fps=3"),
            "ffmpeg:http://***@h/x?user=a&pwd=***&fps=3"
        );
        assert_eq!(redact("a b://x:y@c d://e:f@g"), "a b://***@c d://***@g");
        assert_eq!(redact("rtsp://h/a?key="), "rtsp://h/a?key=");
    }
}
