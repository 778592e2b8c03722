//! A source's address with its credentials taken out.
//!
//! User and password are separated from the address the moment it is read, so
//! that whatever prints an address later cannot print a password.

use super::SsrfGuard;
use ocelli_core::Endpoint;
use percent_encoding::percent_decode_str;
use std::fmt;
use url::Url;

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
    pub ssrf_guard: Option<SsrfGuard>,
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
            ssrf_guard: None,
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

    /// Where that is, so that the hub opens no second session there. None where nobody
    /// else connects: what belongs to this process alone.
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
            _ => url.port_or_known_default().unwrap_or_default(),
        };
        let peer = format!("{}:{port}", host.to_ascii_lowercase());
        let signed_in = self.credentials.as_ref();
        let signed_in = signed_in.map(|known| format!("{}\n{}", known.user, known.password));
        let stream = format!("{url}\n{}", signed_in.unwrap_or_default());
        Some(Endpoint::new(peer, stream))
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
    let (scheme, rest) = match written.split_once(':') {
        // To who reads such an address later any slashes, or none, will do there
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

/// Where the `@` behind the credentials stands in what follows `://`.
///
/// A password may hold `@`, so the last one before the path counts. People also
/// write blanks, `/`, `?` and `#` in passwords as they are. With the last three, what
/// seems to be the host ends in a port that is none, and the `@` comes later.
fn credentials_end(rest: &str) -> Option<usize> {
    let ends = |c: char| matches!(c, '/' | '?' | '#' | '\\');
    let begins = rest.find(|c| !is_filler(c))?;
    let authority_end = rest[begins..]
        .find(ends)
        .map_or(rest.len(), |end| begins + end);
    let authority = &rest[..authority_end];
    if let Some(at) = authority.rfind('@') {
        return Some(at);
    }
    let (host, port) = authority.rsplit_once(':')?;
    let is_port = port.trim().parse::<u16>().is_ok();
    if is_port || host.starts_with('[') {
        return None;
    }
    // Of a text with several addresses, what belongs to this one.
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

/// Names of parameters whose values are secrets, or parts of such names.
const SECRET_PARAMETERS: [&str; 8] = ["pas", "pw", "token", "key", "secret", "auth", "sig", "cred"];

/// Hides what an address may not show: credentials wherever they stand, and the
/// values of parameters that are secrets by their name. Some cameras have those in the
/// path, so they are looked for all over. When in doubt it hides too much.
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
    fn one_camera_is_one_peer_however_it_is_written() {
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
