//! A source's address with its credentials taken out.
//!
//! User and password are separated from the address the moment it is read, so
//! that whatever prints an address later cannot print a password.

use super::Fence;
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
    /// Where it may lead, for one that came over HTTP.
    pub fence: Option<Fence>,
}

impl Address {
    /// Reads an address as a person wrote it.
    pub fn new(written: &str) -> Self {
        let (bare, credentials) = split_credentials(written.trim());
        // A scheme is the same in capitals; whoever looks at it later need not know.
        let bare = match bare.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => {
                format!("{}:{rest}", scheme.to_ascii_lowercase())
            }
            _ => bare,
        };
        Self {
            bare,
            credentials,
            fence: None,
        }
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

fn is_scheme(word: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    !word.is_empty() && word.bytes().all(letter)
}

/// Splits `scheme://user:password@rest` into the address and the credentials.
fn split_credentials(written: &str) -> (String, Option<Credentials>) {
    let Some((scheme, rest)) = written.split_once("://") else {
        return (written.to_owned(), None);
    };
    let Some(at) = credentials_end(rest) else {
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

/// Where the `@` behind the credentials stands in what follows `://`.
///
/// A password may hold `@`, so the last one before the path counts. People also
/// write `/`, `?` and `#` in passwords as they are. Then what seems to be the host
/// ends in a port that is none, and the `@` comes later.
fn credentials_end(rest: &str) -> Option<usize> {
    let ends = |c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace();
    let authority = &rest[..rest.find(ends).unwrap_or(rest.len())];
    if let Some(at) = authority.rfind('@') {
        return Some(at);
    }
    let (host, port) = authority.rsplit_once(':')?;
    let is_port = port.parse::<u16>().is_ok();
    if is_port || host.starts_with('[') {
        return None;
    }
    let word = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
    let first = word.find('@')?;
    let host_end = word[first..]
        .find(ends)
        .map_or(word.len(), |end| first + end);
    word[..host_end].rfind('@')
}

/// Names of query parameters whose values are secrets.
const SECRET_PARAMETERS: [&str; 7] = ["pas", "pw", "token", "key", "secret", "auth", "sig"];

/// Hides what an address may not show: credentials wherever they stand, and the
/// values of query parameters that are secrets by their name.
pub fn redact(address: &str) -> String {
    let mut shown = String::with_capacity(address.len());
    let mut rest = address;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        match credentials_end(after) {
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
    fn passwords_are_found_as_people_write_them() {
        for (written, password, bare) in [
            ("rtsp://u:pa/ss@h/x", "pa/ss", "rtsp://h/x"),
            ("rtsp://u:p?a#s@s@h:554/x@y", "p?a#s@s", "rtsp://h:554/x@y"),
            ("http://u:/@[::1]:81/x", "/", "http://[::1]:81/x"),
        ] {
            let address = Address::new(written);
            let found = address.credentials.as_ref().expect("credentials");
            assert_eq!((found.password.as_str(), address.bare()), (password, bare));
            assert!(!redact(written).contains(&format!("{password}@")));
        }
        // Here an @ is the path's own.
        for plain in ["http://h:81/a@b", "http://h/a@b", "http://[::1]:81/a@b"] {
            assert_eq!(Address::new(plain).bare(), plain);
            assert_eq!(redact(plain), plain);
        }
    }

    #[test]
    fn a_scheme_in_capitals_is_the_same() {
        let address = Address::new("RTSP://u:hush@Cam/A:b");
        assert_eq!(address.bare(), "rtsp://Cam/A:b");
        assert_eq!(Address::new("FILE:/A/B.MJPEG").bare(), "file:/A/B.MJPEG");
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
