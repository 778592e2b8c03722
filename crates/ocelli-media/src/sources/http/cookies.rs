//! Cookies of a camera within one attempt. Some cameras set one with a redirect and expect it
//! back.

use http::header::{HeaderMap, SET_COOKIE};
use url::Url;

/// The most cookies that are kept, and the most bytes of each.
const MAX_COOKIES: usize = 8;
const MAX_COOKIE: usize = 4 << 10;

struct Cookie {
    name: String,
    value: String,
    host: String,
    /// Whether it came encrypted, so that it is not sent in plain text.
    is_secure: bool,
}

/// The cookies so far.
#[derive(Default)]
pub(super) struct Cookies(Vec<Cookie>);

impl Cookies {
    /// Notes the cookies of a response from `url`.
    pub(super) fn note(&mut self, url: &Url, headers: &HeaderMap) {
        let Some(host) = url.host_str() else {
            return;
        };
        for header in headers.get_all(SET_COOKIE) {
            let header = header.to_str().ok().filter(|it| it.len() <= MAX_COOKIE);
            let pair = header.and_then(|header| header.split(';').next()?.split_once('='));
            let Some((name, value)) = pair.filter(|(name, _)| !name.trim().is_empty()) else {
                continue;
            };
            let name = name.trim();
            self.0.retain(|own| own.name != name || own.host != host);
            if self.0.len() < MAX_COOKIES {
                self.0.push(Cookie {
                    name: name.to_owned(),
                    value: value.trim().to_owned(),
                    host: host.to_owned(),
                    is_secure: url.scheme() == "https",
                });
            }
        }
    }

    /// Returns the `Cookie` header of a request to `url`, if there is something to send. Cookies
    /// go only to the host that has set them.
    pub(super) fn header(&self, url: &Url) -> Option<String> {
        let is_secure = url.scheme() == "https";
        let fits =
            |own: &&Cookie| Some(&*own.host) == url.host_str() && (is_secure || !own.is_secure);
        let pairs: Vec<_> = self
            .0
            .iter()
            .filter(fits)
            .map(|own| format!("{}={}", own.name, own.value))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn cookies_go_back_to_their_host_only() {
        let mut cookies = Cookies::default();
        let mut note = |from: &str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(SET_COOKIE, HeaderValue::from_static(value));
            cookies.note(&url(from), &headers);
        };
        note("http://cam/login", "sid=1; path=/; HttpOnly");
        note("http://cam/login", " lang = en");
        note("http://cam/login", "sid=2");
        note("http://cam/login", "=nothing");
        note("http://cam/login", "nothing");
        note("https://cam/login", "secret=3");
        note("http://other/", "x=9");
        let sent = |to: &str| cookies.header(&url(to));
        assert_eq!(sent("http://cam:81/a").as_deref(), Some("lang=en; sid=2"));
        assert_eq!(
            sent("https://cam/").as_deref(),
            Some("lang=en; sid=2; secret=3")
        );
        assert_eq!(sent("http://third/"), None);
    }

    #[test]
    fn the_number_of_cookies_is_limited() {
        let mut cookies = Cookies::default();
        let mut headers = HeaderMap::new();
        for number in 0..100 {
            let value = HeaderValue::from_str(&format!("c{number}=x")).expect("a header");
            headers.append(SET_COOKIE, value);
        }
        cookies.note(&url("http://cam/"), &headers);
        assert_eq!(cookies.0.len(), MAX_COOKIES);
    }
}
