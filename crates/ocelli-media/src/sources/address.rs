//! Source addresses, with the credentials kept separately.
//!
//! User and password are removed from the address when it is parsed, so that code that prints
//! the address later can't print the password.

use super::SsrfGuard;
use ocelli_core::Endpoint;
use percent_encoding::percent_decode_str;
use std::fmt;
use url::Url;

/// A user and a password. The `Debug` output hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// The password in plain text, because cameras need it in that form.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:***", self.user)
    }
}

/// Address of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    bare: String,
    /// Credentials from the address or from the configuration.
    pub credentials: Option<Credentials>,
    /// SSRF guard for an address that was added over HTTP.
    pub ssrf_guard: Option<SsrfGuard>,
    /// How to escape a password that can't be told from the rest of the address.
    ambiguity: Option<String>,
}

impl Address {
    /// Parses an address as the user wrote it.
    pub fn new(written: &str) -> Self {
        let ambiguity = ambiguity(written.trim());
        let (bare, credentials) = split_credentials(written.trim());
        // The rest may contain a part of the password.
        let bare = match (&ambiguity, bare.split_once("://"), bare.rsplit_once('@')) {
            (Some(_), Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
            _ => bare,
        };
        // Schemes are case-insensitive. Later code compares them in lower case.
        let bare = match bare.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => {
                format!("{}:{rest}", scheme.to_ascii_lowercase())
            }
            _ => bare,
        };
        Self {
            bare,
            credentials,
            ssrf_guard: None,
            ambiguity,
        }
    }

    /// Returns what must be escaped in a password that can't be told from the rest of the
    /// address, as a list like `@ as %40, / as %2F`.
    pub fn ambiguity(&self) -> Option<&str> {
        self.ambiguity.as_deref()
    }

    /// Returns the part before the first colon, in lower case if it is a scheme.
    pub fn scheme(&self) -> &str {
        self.bare.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// Returns the part after the scheme's colon.
    pub fn rest(&self) -> &str {
        self.bare.split_once(':').map_or("", |(_, rest)| rest)
    }

    /// Returns the address without credentials.
    pub fn bare(&self) -> &str {
        &self.bare
    }

    /// Returns the endpoint that the address connects to, so that the hub opens no second session
    /// there. Returns `None` for sources that no other connection can share.
    pub fn endpoint(&self) -> Option<Endpoint> {
        let written = match self.scheme() {
            "ffmpeg" => self.rest(),
            "v4l2" => return Some(Endpoint::new(self.rest(), "")),
            _ => self.bare(),
        };
        let url = Url::parse(written).ok()?;
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let port = match url.scheme() {
            "rtsp" => url.port().unwrap_or(554),
            "rtsps" => url.port().unwrap_or(322),
            _ => url.port_or_known_default().unwrap_or_default(),
        };
        let peer = format!("{}:{port}", host.to_ascii_lowercase());
        let signed_in = self.credentials.as_ref();
        let signed_in = signed_in.map(|known| format!("{}\n{}", known.user, known.password));
        let stream = format!("{url}\n{}", signed_in.unwrap_or_default());
        let endpoint = Endpoint::new(peer, stream);
        Some(match &self.credentials {
            Some(known) => endpoint.with_account(&host.to_ascii_lowercase(), &known.user),
            None => endpoint,
        })
    }

    /// Returns the address without secrets: no credentials, and no values of parameters whose
    /// names suggest secrets.
    pub fn redacted(&self) -> String {
        // Without `://` it is not a valid address, and everything before an `@` may be a password.
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
    let (scheme, rest) = match written.split_once(':') {
        // The URL parser accepts any number of slashes here, including none
        // (https://url.spec.whatwg.org/#special-authority-slashes-state).
        Some((scheme, rest)) if is_web(scheme) => (scheme, rest.trim_start_matches(is_filler)),
        _ => match written.split_once("://") {
            Some(parts) => parts,
            None => return (written.to_owned(), None),
        },
    };
    let whole = |rest: &str| format!("{scheme}://{rest}");
    let Some(at) = credentials_end(rest) else {
        return (whole(rest), None);
    };
    let (user, password) = rest[..at].split_once(':').unwrap_or((&rest[..at], ""));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let credentials = Credentials {
        user: decoded(user),
        password: decoded(password),
    };
    (whole(&rest[at + 1..]), Some(credentials))
}

fn is_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

fn is_filler(c: char) -> bool {
    matches!(c, '/' | '\\') || c.is_whitespace() || c.is_control()
}

/// Returns the position of the `@` after the credentials, in the text that follows `://`.
///
/// A password may contain `@`, so the last one before the path counts. Users also write
/// blanks, `/`, `?` and `#` in passwords without percent-encoding. With the last three, the
/// apparent host ends in an invalid port, and the `@` comes later.
fn credentials_end(rest: &str) -> Option<usize> {
    let ends = |c: char| matches!(c, '/' | '?' | '#' | '\\');
    let begins = rest.find(|c| !is_filler(c))?;
    let authority_end = rest[begins..]
        .find(ends)
        .map_or(rest.len(), |end| begins + end);
    let authority = &rest[..authority_end];
    if let Some(at) = authority.rfind('@') {
        // The part after a `#` is never sent to a camera. So an `@` in it, with a host behind it,
        // ends a password that contains both.
        let hidden = rest[at..].find('#').map(|hash| at + hash);
        let last = hidden.and_then(|hash| Some(hash + rest[hash..].rfind('@')?));
        return Some(match last {
            Some(last) if is_one_address(rest, last) => last,
            _ => at,
        });
    }
    let (host, port) = authority.rsplit_once(':')?;
    let is_port = port.trim().parse::<u16>().is_ok();
    if is_port || host.starts_with('[') {
        return None;
    }
    // In a text with several addresses, stay within this one.
    let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let address = rest.find("://").unwrap_or(rest.len());
    let first = [word, address]
        .into_iter()
        .find_map(|end| rest[..end].find('@'))?;
    let host_end = rest[first..]
        .find(|c: char| ends(c) || c.is_whitespace())
        .map_or(rest.len(), |end| first + end);
    rest[..host_end].rfind('@')
}

/// Returns true if the text up to `at`, and the host behind it, belong to one address.
fn is_one_address(rest: &str, at: usize) -> bool {
    let is_host = |c: char| c.is_ascii_alphanumeric() || c == '[';
    !rest[..at].contains(char::is_whitespace)
        && !rest[..at].contains("://")
        && rest[at + 1..].starts_with(is_host)
}

/// Returns the characters in the password of an address that make it ambiguous: it has an `@`,
/// and later a `/` or `?` and another `@` in front of what looks like the host.
fn ambiguity(written: &str) -> Option<String> {
    let (_, rest) = written.split_once("://")?;
    let end = credentials_end(rest)?;
    let host_and_path = &rest[end + 1..];
    let slash = host_and_path.find(['/', '?', '\\'])?;
    let (host, path) = host_and_path.split_at(slash);
    let (before, after) = path.rsplit_once('@')?;
    let next_host = after.split(['/', '?', '#']).next().unwrap_or_default();
    let is_full = |host: &str| match host.rsplit_once(':') {
        _ if host.starts_with('[') => true,
        Some((_, port)) => port.parse::<u16>().is_ok(),
        None => host.contains('.') || host == "localhost",
    };
    // A host name without a domain in front, and an address behind.
    if is_full(host) || !is_full(next_host) || before.contains('=') {
        return None;
    }
    let inside = &rest[..end + 1 + slash + before.len()];
    let used: Vec<_> = [('@', "%40"), ('/', "%2F"), ('?', "%3F"), ('#', "%23")]
        .into_iter()
        .filter(|(character, _)| inside.contains(*character))
        .map(|(character, escaped)| format!("{character} as {escaped}"))
        .collect();
    Some(used.join(", "))
}

/// Names, or parts of names, of parameters whose values are secrets.
const SECRET_PARAMETERS: [&str; 8] = ["pas", "pw", "token", "key", "secret", "auth", "sig", "cred"];

/// Replaces the secrets in an address: all credentials, and the values of parameters whose
/// names suggest secrets. Some cameras have such parameters in the path, so the whole address
/// is searched. When in doubt, more is hidden than necessary.
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
    hide_parameters(&shown)
}

fn hide_parameters(address: &str) -> String {
    let mut shown = String::with_capacity(address.len());
    let mut rest = address;
    while let Some(sign) = rest.find('=') {
        let (before, after) = rest.split_at(sign + 1);
        shown.push_str(before);
        rest = after;
        let name = before[..sign]
            .rsplit(|c: char| c.is_whitespace() || "/?&#;=".contains(c))
            .next();
        if is_secret(name.unwrap_or_default()) {
            let in_query = shown.contains('?');
            let ends =
                |c: char| c == '&' || (!in_query && (matches!(c, '?' | '#') || c.is_whitespace()));
            let (value, behind) = after.split_at(after.find(ends).unwrap_or(after.len()));
            if !value.is_empty() {
                shown.push_str("***");
            }
            rest = behind;
        }
    }
    shown + rest
}

fn is_secret(name: &str) -> bool {
    let name = percent_decode_str(name).decode_utf8_lossy();
    let name = name.to_ascii_lowercase();
    name == "p" || SECRET_PARAMETERS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_removed_from_the_address() {
        let address = Address::new("rtsp://viewer:p%40ss:w@rd@10.0.0.7:554/a?b=1");
        assert_eq!(address.bare(), "rtsp://10.0.0.7:554/a?b=1");
        let credentials = address.credentials.expect("credentials");
        assert_eq!(credentials.user, "viewer");
        assert_eq!(credentials.password, "p@ss:w@rd");
        assert_eq!(format!("{credentials:?}"), "viewer:***");
    }

    #[test]
    fn unencoded_passwords_are_found() {
        for (written, password, bare) in [
            ("rtsp://u:pa/ss@h/x", "pa/ss", "rtsp://h/x"),
            ("rtsp://u:p?a#s@s@h:554/x@y", "p?a#s@s", "rtsp://h:554/x@y"),
            ("http://u:/@[::1]:81/x", "/", "http://[::1]:81/x"),
            ("rtsp://u:pa ss@h/x", "pa ss", "rtsp://h/x"),
            ("rtsp://u:p a/s s@h/x", "p a/s s", "rtsp://h/x"),
            ("http://u s:p s@h/a b@c", "p s", "http://h/a b@c"),
            ("http:////u:hush@h/x", "hush", "http://h/x"),
            ("http://u:p://x@h/y", "p://x", "http://h/y"),
        ] {
            let address = Address::new(written);
            let found = address.credentials.as_ref().expect("credentials");
            assert_eq!((found.password.as_str(), address.bare()), (password, bare));
            assert!(!redact(written).contains(&format!("{password}@")));
        }
        for slashes in ["", "/", "\\\\", "/\t/", "\\/"] {
            let address = Address::new(&format!("HTTP:{slashes}u:hush@h/x"));
            assert_eq!(address.bare(), "http://h/x", "{slashes:?}");
            assert!(address.credentials.is_some());
        }
        // Here the @ is part of the path.
        for plain in ["http://h:81/a@b", "http://h/a@b", "http://[::1]:81/a@b"] {
            assert_eq!(Address::new(plain).bare(), plain);
            assert_eq!(redact(plain), plain);
        }
    }

    #[test]
    fn passwords_with_an_at_sign_and_more_are_found_or_must_be_escaped() {
        for (written, password, bare) in [
            ("rtsp://u:p@ss/w#rd@host", "p@ss/w#rd", "rtsp://host"),
            (
                "rtsp://u:p@ss#rd@10.0.0.7:554/x",
                "p@ss#rd",
                "rtsp://10.0.0.7:554/x",
            ),
            ("rtsp://u:p@h/x#y", "p", "rtsp://h/x#y"),
            ("rtsp://u:p@h.local/a@b", "p", "rtsp://h.local/a@b"),
            ("rtsp://u:p@nvr/a@b", "p", "rtsp://nvr/a@b"),
        ] {
            let address = Address::new(written);
            let found = address.credentials.as_ref().expect("credentials");
            assert_eq!((found.password.as_str(), address.bare()), (password, bare));
            assert_eq!(address.ambiguity(), None, "{written}");
            assert!(
                !redact(written).contains(&format!("{password}@")),
                "{written}"
            );
        }
        for (written, escapes) in [
            ("rtsp://u:p@ss/word@10.0.0.7/x", "@ as %40, / as %2F"),
            (
                "rtsps://u:p@ss?wo/rd@cam.local/x",
                "@ as %40, / as %2F, ? as %3F",
            ),
            ("http://u:a@b/c@localhost", "@ as %40, / as %2F"),
            ("rtsp://u:p@ss:w/rd@10.0.0.7:554/x", "@ as %40, / as %2F"),
        ] {
            let address = Address::new(written);
            assert_eq!(address.ambiguity(), Some(escapes), "{written}");
            for secret in ["ss/", "word", "rd@", "b/c"] {
                assert!(
                    !address.redacted().contains(secret),
                    "{}",
                    address.redacted()
                );
            }
        }
    }

    #[test]
    fn schemes_are_case_insensitive() {
        let address = Address::new("RTSP://u:hush@Cam/A:b");
        assert_eq!(address.bare(), "rtsp://Cam/A:b");
        assert_eq!(Address::new("FILE:/A/B.MJPEG").bare(), "file:/A/B.MJPEG");
    }

    #[test]
    fn an_address_without_credentials_is_unchanged() {
        for plain in ["pattern:?fps=5", "http://h/a@b", "file:/a/b.mjpeg", "x"] {
            let address = Address::new(plain);
            assert_eq!((address.bare(), &address.credentials), (plain, &None));
        }
    }

    #[test]
    fn different_spellings_of_a_camera_give_the_same_endpoint() {
        let at = |written: &str| Address::new(written).endpoint();
        let peer = |written: &str| at(written).map(|endpoint| format!("{endpoint:?}"));
        for (written, expected) in [
            ("rtsp://u:hush@Cam/1", Some("cam:554")),
            ("ffmpeg:rtsp://u:hush@cam:554/2", Some("cam:554")),
            ("http://cam/mjpeg", Some("cam:80")),
            ("https://[::1]/x", Some("[::1]:443")),
            ("v4l2:/dev/video0", Some("/dev/video0")),
            ("pattern:?fps=5", None),
            ("file:/a/b.mjpeg", None),
            ("exec:", None),
        ] {
            assert_eq!(peer(written).as_deref(), expected, "{written}");
        }
        assert_eq!(at("rtsp://u:p@cam/1"), at("RTSP://u:p@cam/1"));
        assert_ne!(at("rtsp://u:p@cam/1"), at("rtsp://u:q@cam/1"));
        assert_ne!(at("rtsp://cam/1"), at("rtsp://cam/2"));
    }

    #[test]
    fn an_address_without_a_scheme_reveals_no_password() {
        for (written, shown) in [
            ("viewer:hush@10.0.0.7/x", "***@10.0.0.7/x"),
            ("rtsp:/viewer:hu@sh@h/x?key=hush", "***@h/x?key=***"),
            ("10.0.0.7/a@b", "10.0.0.7/a@b"),
        ] {
            assert_eq!(Address::new(written).redacted(), shown);
        }
    }

    #[test]
    fn redacted_addresses_contain_no_secrets() {
        assert_eq!(
            redact("ffmpeg:http://u:hush@h/x?user=a&pwd=hush&fps=3"),
            "ffmpeg:http://***@h/x?user=a&pwd=***&fps=3"
        );
        assert_eq!(redact("a b://x:y@c d://e:f@g"), "a b://***@c d://***@g");
        assert_eq!(
            redact("no http://u:se cret@h:99999/, an invalid port"),
            "no http://***@h:99999/, an invalid port"
        );
        assert_eq!(redact("rtsp://h/a?key="), "rtsp://h/a?key=");
        for (written, shown) in [
            (
                "rtsp://h:554/user=admin&password=hush&channel=1",
                "rtsp://h:554/user=admin&password=***&channel=1",
            ),
            (
                "rtsp://h/user=admin_password=hush_channel=1?a=b",
                "rtsp://h/user=admin_password=***?a=b",
            ),
            ("http://h/#token=hush", "http://h/#token=***"),
            (
                "http://h/a?x=?password=hush&y=1",
                "http://h/a?x=?password=***&y=1",
            ),
            ("http://h/?p%61ssword=hu/sh", "http://h/?p%61ssword=***"),
            ("http://h/?p=hush&fps=5", "http://h/?p=***&fps=5"),
            ("http://h/?a=b=c&d", "http://h/?a=b=c&d"),
            ("keyint=24 crf=3, signal=9", "keyint=*** crf=3, signal=***"),
        ] {
            assert_eq!(redact(written), shown);
        }
    }
}
