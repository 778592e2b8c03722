//! The configuration file: accepted keys and values, and the wording of its errors.

use ocelli::config::{Config, FileError};
use ocelli_media::options::{JpegOptions, JpegRate};
use std::path::Path;

/// Returns what `ocelli check-config` would print for this text.
fn fault(text: &str) -> String {
    match Config::parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => FileError::locate(Path::new("ocelli.toml"), text, error).to_string(),
    }
}

#[test]
fn a_complete_file_is_read() {
    let config = Config::parse(
        r#"
        listen = "0.0.0.0:9000"
        allowed_hosts = ["cams.lan"]

        [[camera]]
        id = "door"
        name = "Front door"
        source = "rtsp://viewer@10.0.0.7/stream1"
        user = "viewer"
        password = "hush"
        substream = "rtsp://10.0.0.7/stream2"
        jpeg = { fps = "key", width = 1280, quality = 40 }

        [[camera]]
        id = "test"
        app = "barn"
        source = "pattern:"
        size = "320x240"
        fps = 2.5
        keep = true

        [app.barn]
        public_playback = false
        room_prefix = "farm"
        "#,
    );
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.listen.to_string(), "0.0.0.0:9000");
    let (door, test) = (&config.cameras[0], &config.cameras[1]);
    assert_eq!((door.name.as_str(), door.kind), ("Front door", "rtsp"));
    assert!(door.substream.is_some() && !door.keep);
    let wanted = JpegOptions {
        rate: JpegRate::KeyFrames,
        width: 1280,
        quality: 40,
    };
    assert_eq!(door.jpeg, wanted);
    assert_eq!(
        (test.app.as_str(), test.name.as_str(), test.keep),
        ("barn", "test", true)
    );
    assert_eq!(config.apps[0].room_prefix, "farm");
    assert!(!config.apps[0].public_playback);
}

#[test]
fn an_unknown_key_is_reported_with_line_column_and_a_suggestion() {
    let text = "[[camera]]\nid = \"door\"\nsorce = \"pattern:\"\nsource = \"pattern:\"\n";
    assert_eq!(
        fault(text),
        "ocelli.toml:3:1: unknown key `sorce` in [[camera]]; did you mean `source`?\n   |\n \
         3 | sorce\n   | ^^^^^"
    );
}

#[test]
fn each_error_states_what_would_be_valid() {
    let camera = |lines: &str| fault(&format!("[[camera]]\nid = \"door\"\n{lines}\n"));
    for (text, wanted) in [
        ("source = \"rstp://h/x\"", "did you mean `rtsp:`?"),
        ("source = \"10.0.0.7\"", "it should begin with one of"),
        ("name = \"no source\"", "needs a `source`, like"),
        (
            "source = \"pattern:\"\nkeep = 1",
            "`keep` in [[camera]] takes true or false",
        ),
        (
            "source = \"pattern:\"\nsize = \"big\"",
            "write width x height",
        ),
        (
            "source = \"pattern:\"\nfps = 500",
            "`fps` in [[camera]] takes a number from 0.1 to 60",
        ),
        (
            "source = \"pattern:?fps=x\"",
            "fps is a number from 0.1 to 60",
        ),
        (
            "source = \"pattern:\"\njpeg = { fps = \"all\" }",
            "or \"key\" for key frames only",
        ),
        (
            "source = \"pattern:\"\njpeg = { wdth = 5 }",
            "did you mean `width`?",
        ),
        (
            "source = \"pattern:\"\npassword = \"x\"",
            "a password but no `user`",
        ),
        (
            "source = \"pattern:\"\npassword_file = \"/none/such\"",
            "can't be read",
        ),
        (
            "source = \"pattern:\"\nuser = \"a\"\npassword_env = \"OCELLI_NONE\"",
            "has no variable",
        ),
    ] {
        let fault = camera(text);
        assert!(fault.contains(wanted), "{text}: {fault}");
        assert!(fault.starts_with("ocelli.toml:"), "{fault}");
    }
    for (text, wanted) in [
        ("listen = \"8080\"", "write ADDRESS:PORT"),
        ("listen = \"8080", "ocelli.toml:1:"),
        (
            "[[camera]]\nid = \"a/b\"\nsource = \"pattern:\"",
            "is not a camera's id",
        ),
        ("[[camera]]\nsource = \"pattern:\"", "needs an `id`"),
        ("[app.A]", "is not an app's name"),
        (
            "[app.one]\nroom_prefix = \"x\"\n[app.two]\nroom_prefix = \"x\"",
            "already belongs to app \"one\"",
        ),
        (
            "[[camera]]\nid = \"a\"\napp = \"barn\"\nsource = \"pattern:\"",
            "ocelli.toml:3:7: there is no app \"barn\"; add [app.barn] to create it",
        ),
        (
            "[[camera]]\nid = \"a\"\nsource = \"pattern:\"\n[[camera]]\nid = \"live-a\"\nsource = \"pattern:\"",
            "ocelli.toml:5:6: camera \"live-a\" already exists",
        ),
        ("[camera]\nid = 1", "a list of tables"),
        ("allowed_hosts = \"a\"", "a list of strings"),
        ("[telemetri]", "unknown key `telemetri`"),
    ] {
        let fault = fault(text);
        assert!(fault.contains(wanted), "{text}: {fault}");
    }
}

#[test]
fn tls_hosts_and_proxies_are_read_and_their_errors_are_named() {
    let config = Config::parse(
        r#"
        public_url = "https://Cams.Example:443/"
        trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]
        frame_ancestors = ["https://dash.example", "https://*.example:8443", "*"]
        [tls]
        mode = "files"
        cert = "fullchain.pem"
        key = "privkey.pem"
        "#,
    );
    let config = config.expect("a valid file");
    let url = config.public_url.expect("a URL");
    assert_eq!(url.origin(), "https://cams.example");
    let proxy = "10.9.8.7".parse().expect("an address");
    assert!(config.trusted_proxies.trusts(proxy));
    for (text, words) in [
        ("[tls]\nmode = \"lokal\"", "did you mean \"local\"?"),
        (
            "[tls]\nmode = \"self\"",
            "the modes are \"off\", \"local\" and \"files\"",
        ),
        ("[tls]\ncert = \"a\"", "[tls] needs `mode`"),
        ("[tls]\nmod = \"local\"", "did you mean `mode`?"),
        (
            "[tls]\nmode = \"files\"\ncert = \"a\"",
            "needs `cert` and `key`",
        ),
        (
            "[tls]\nmode = \"local\"\nkey = \"a\"",
            "belong to mode = \"files\"",
        ),
        (
            "[tls]\nmode = \"files\"\nnames = []",
            "belongs to mode = \"local\"",
        ),
        (
            "[tls]\nmode = \"off\"\ncerts = \"a\"",
            "did you mean `cert`?",
        ),
        (
            "public_url = \"https://a.example/cams\"",
            "only at the root of a host",
        ),
        ("public_url = \"cams.example\"", "is not a URL"),
        (
            "public_url = \"ftp://cams.example\"",
            "is not an http or https URL",
        ),
        (
            "public_url = \"https://a.example/?x\"",
            "more than a scheme",
        ),
        (
            "trusted_proxies = [\"proxy.lan\"]",
            "not an address of a proxy",
        ),
        ("frame_ancestors = [\"dash.example\"]", "not an origin"),
        (
            "frame_ancestors = [\"https://a.example; script-src *\"]",
            "not an origin",
        ),
    ] {
        let fault = fault(text);
        assert!(fault.contains(words), "{words}: {fault}");
    }
    let secret = fault("public_url = \"https://ann:hush@a.example\"");
    assert!(
        secret.contains("must not contain a user or password"),
        "{secret}"
    );
    assert!(!secret.contains("hush"), "{secret}");
}

#[test]
fn a_line_that_may_contain_a_password_is_not_shown() {
    let text = "[[camera]]\nid = \"door\"\nsource = \"rtps://u:hush@h/x\"\n";
    let fault = fault(text);
    assert!(fault.starts_with("ocelli.toml:3:"), "{fault}");
    assert!(!fault.contains("hush"), "{fault}");
    let fault =
        self::fault("[[camera]]\nid = \"door\"\npasword = \"hush\"\nsource = \"pattern:\"\n");
    assert!(
        fault.contains("`password`") && !fault.contains("hush"),
        "{fault}"
    );
}
