use super::*;

fn peer(local: &str) -> Peer {
    Peer {
        remote: "127.0.0.1:9".parse().expect("an address"),
        local: local.parse().expect("an address"),
        secure: false,
        authority: None,
        origin: Origin::Absent,
    }
}

fn origin_policy() -> OriginPolicy {
    OriginPolicy {
        names: vec!["localhost".into(), "cams.lan".into()],
        addresses: vec!["10.1.2.3".parse().expect("an address")],
        origins: vec!["https://dash.example".into()],
        public: None,
    }
}

fn host(value: &str, local: &str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, value.parse().expect("a header"));
    let uri = Uri::from_static("/");
    origin_policy()
        .check_host(Version::HTTP_11, &uri, &headers, &peer(local))
        .is_ok()
}

#[test]
fn own_names_and_addresses_are_accepted() {
    let local = "127.0.0.1:8080";
    for own in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1:1",
        "[::1]:8080",
        "cams.lan.",
        "10.1.2.3",
    ] {
        assert!(host(own, local), "{own}");
    }
    assert!(host("192.168.7.7:80", "192.168.7.7:8080"));
    assert!(host("192.168.7.7", "[::ffff:192.168.7.7]:8080"));
}

#[test]
fn foreign_names_are_refused() {
    for foreign in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.7.7",
        "",
        "evil.example:8080",
        "evil.example@localhost",
        "localhost:evil.example",
        "localhost:8080:evil.example",
        "[::1]evil.example",
        "[::1]:80:80",
        "evil.example[::1]",
        "[::1",
        "::1",
    ] {
        assert!(!host(foreign, "127.0.0.1:8080"), "{foreign}");
    }
    assert!(!host("127.0.0.1", "192.168.7.7:8080"));
}

#[test]
fn a_missing_or_ambiguous_host_is_a_bad_request() {
    let (origin_policy, peer) = (origin_policy(), peer("127.0.0.1:1"));
    let check = |version, uri: &'static str, hosts: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_static(host));
        }
        let uri = Uri::from_static(uri);
        let checked = origin_policy.check_host(version, &uri, &headers, &peer);
        checked.map(drop).map_err(|(status, _)| status.as_u16())
    };
    let (one, two) = (Version::HTTP_11, Version::HTTP_2);
    assert_eq!(check(one, "/", &["localhost", "localhost"]), Err(400));
    assert_eq!(check(one, "/", &["localhost", "evil.example"]), Err(400));
    assert_eq!(check(one, "/", &[]), Err(400));
    assert_eq!(check(one, "/", &["evil.example"]), Err(403));
    let uri = "https://localhost/";
    assert_eq!(check(two, uri, &[]), Ok(()));
    assert_eq!(check(two, uri, &["LOCALHOST"]), Ok(()));
    assert_eq!(check(two, uri, &["127.0.0.1"]), Err(400));
    assert_eq!(
        check(two, "https://evil.example/", &["localhost"]),
        Err(400)
    );
    // In HTTP/1.1 an absolute target takes precedence over the header.
    assert_eq!(check(one, uri, &["evil.example"]), Ok(()));
}

#[test]
fn only_http_1_0_may_omit_the_host() {
    let (uri, headers, peer) = (Uri::from_static("/"), HeaderMap::new(), peer("127.0.0.1:1"));
    let origin_policy = origin_policy();
    assert!(
        origin_policy
            .check_host(Version::HTTP_11, &uri, &headers, &peer)
            .is_err()
    );
    assert!(
        origin_policy
            .check_host(Version::HTTP_10, &uri, &headers, &peer)
            .is_ok()
    );
    let absolute = Uri::from_static("http://evil.example/");
    assert!(
        origin_policy
            .check_host(Version::HTTP_10, &absolute, &headers, &peer)
            .is_err()
    );
}

#[test]
fn the_own_origin_matches_scheme_host_and_port() {
    for (secure, host, origin) in [
        (false, "Localhost:8080", "http://localhost:8080"),
        (false, "cams.lan:80", "http://cams.lan"),
        (true, "cams.lan:443", "https://cams.lan"),
        (true, "cams.lan:80", "https://cams.lan:80"),
        (false, "[::1]:8080", "http://[::1]:8080"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().expect("a header"));
        headers.insert(ORIGIN, origin.parse().expect("a header"));
        let mut peer = peer("127.0.0.1:8080");
        peer.secure = secure;
        let result = origin_policy().identify(
            Version::HTTP_11,
            &Uri::from_static("/"),
            &headers,
            &mut peer,
        );
        assert_eq!(result, Ok(()), "{host}");
        assert_eq!(own_origin(&peer).as_deref(), Some(origin));
        assert_eq!(peer.origin.is_own(), Some(true), "{origin}");
    }
}

/// The page origin of a request to `localhost:8080` with these `Origin` headers.
fn origin(origin_policy: &OriginPolicy, origins: &[&str]) -> Origin {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("localhost:8080"));
    for origin in origins {
        headers.append(ORIGIN, origin.parse().expect("a header"));
    }
    let mut peer = peer("127.0.0.1:8080");
    let result = origin_policy.identify(
        Version::HTTP_11,
        &Uri::from_static("/"),
        &headers,
        &mut peer,
    );
    assert_eq!(result, Ok(()));
    peer.origin
}

#[test]
fn allowed_and_foreign_origins() {
    let of = |name: &str| origin(&origin_policy(), &[name]);
    for good in [
        "http://localhost:3000",
        "https://localhost:8080",
        "https://cams.lan",
        "https://dash.example",
        "http://127.0.0.1:9",
    ] {
        let value = HeaderValue::from_static(good);
        assert_eq!(of(good), Origin::Allowed(value.clone()), "{good}");
        assert_eq!(of(good).allowed(), Some(&value));
        assert!(of(good).check().is_ok());
    }
    for bad in [
        "http://evil.example",
        "null",
        "file://",
        "http://dash.example",
        "https://localhost@evil.example",
        "https://evil.example@localhost",
        "http://localhost:3000/",
        "http://[::1].evil.example",
        "ftp://localhost",
    ] {
        assert_eq!(of(bad), Origin::Foreign(HeaderValue::from_static(bad)));
        assert_eq!(of(bad).allowed(), None, "{bad}");
        assert!(of(bad).check().is_err());
    }
    assert_eq!(origin(&origin_policy(), &[]), Origin::Absent);
    assert!(Origin::Absent.check().is_ok());
}

#[test]
fn own_pages_differ_from_allowed_pages() {
    let own = "http://localhost:8080";
    let of = |origin_policy: &OriginPolicy, name| origin(origin_policy, &[name]).is_own();
    assert_eq!(of(&origin_policy(), own), Some(true));
    assert_eq!(of(&origin_policy(), "http://LOCALHOST:8080"), Some(true));
    assert_eq!(of(&origin_policy(), "https://dash.example"), Some(false));
    assert_eq!(origin(&origin_policy(), &[]).is_own(), None);
    let several = origin(&origin_policy(), &[own, own]);
    assert_eq!((several.is_own(), several.allowed()), (Some(false), None));
    assert!(several.check().is_err());
    let public = PublicUrl::parse("https://hub.example").expect("an address");
    let found = origin_policy().with_public_url(Some(public));
    assert_eq!(of(&found, "https://hub.example"), Some(true));
    assert_eq!(of(&found, own), Some(true));
    assert_eq!(of(&found, "https://hub.example:8443"), Some(false));
}
