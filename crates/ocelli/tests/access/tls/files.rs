//! Certificate files maintained by another program.

use super::{HTTP_1, socket};
use crate::support::TIMEOUT;
use crate::support::hub::configured;
use crate::support::secure::{curl, encrypt, text};
use crate::support::tempdir::Dir;
use futures_util::StreamExt;
use ocelli_net::tls::files::{Files, Watch};
use std::os::unix::fs::symlink;
use std::path::Path;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Creates a self-signed certificate and writes these parts of it; returns the certificate's bytes.
fn write_pair(cert: &Path, key: &Path, parts: &str) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    if parts.contains("cert") {
        std::fs::write(cert, made.cert.pem()).unwrap();
    }
    if parts.contains("key") {
        std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
    }
    made.cert.der().to_vec()
}

#[tokio::test]
async fn files_are_reloaded_and_an_invalid_pair_keeps_the_old_one() {
    let dir = Dir::new("files");
    let (live, one, two) = (dir.0.join("live"), dir.0.join("one"), dir.0.join("two"));
    for folder in [&live, &one, &two] {
        std::fs::create_dir(folder).unwrap();
    }
    let pair = |folder: &Path| [folder.join("fullchain.pem"), folder.join("privkey.pem")];
    let first = {
        let [cert, key] = pair(&one);
        write_pair(&cert, &key, "cert key")
    };
    let point = |to: &Path, parts: &[usize]| {
        for part in parts {
            let (link, target) = (&pair(&live)[*part], &pair(to)[*part]);
            let _ = std::fs::remove_file(link);
            symlink(target, link).unwrap();
        }
    };
    // As certbot does it: the symbolic links are switched one after the other.
    point(&one, &[0, 1]);
    let [cert, key] = pair(&live);
    let config = format!(
        "listen = \"127.0.0.1:0\"\n[tls]\nmode = \"files\"\ncert = '{}'\nkey = '{}'\n\
         [[camera]]\nid = \"cam1\"\nsource = \"pattern:?size=320x240&fps=10\"\n",
        cert.display(),
        key.display()
    );
    let hub = configured(&dir, &config).start();
    let now_shown = async |authority: &Path| {
        let stream = TcpStream::connect(hub.addr()).await.unwrap();
        let stream = encrypt(stream, authority, "localhost", HTTP_1).await;
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        (chain[0].to_vec(), stream)
    };
    let (seen, stream) = now_shown(&pair(&one)[0]).await;
    assert_eq!(seen, first);
    let mut open = socket(stream, "/live/ws?app=live&room=cam1").await;

    let [new_cert, new_key] = pair(&two);
    let second = write_pair(&new_cert, &new_key, "cert key");
    point(&two, &[0]);
    let line = hub
        .wait_stderr("it is not the key of", TIMEOUT)
        .expect("a log line");
    assert!(line.contains("previous certificate stays in use"), "{line}");
    assert_eq!(now_shown(&pair(&one)[0]).await.0, first);
    point(&two, &[1]);
    hub.wait_stderr("read again", TIMEOUT)
        .expect("the pair is complete");
    assert_eq!(now_shown(&new_cert).await.0, second);
    let log = hub
        .stderr()
        .iter()
        .filter(|line| line.contains("not the key"))
        .count();
    assert_eq!(log, 1, "logged once");
    // Existing connections stay open.
    let message = timeout(TIMEOUT, open.next()).await.unwrap();
    message.expect("pictures").unwrap();
    let page = curl(&pair(&one)[0], &["-I", "http://localhost:1"]);
    assert!(!page.status.success());
    // It is not the hub's own authority.
    let ca = curl(
        &new_cert,
        &[
            "-i",
            &format!("https://localhost:{}/ca.pem", hub.addr().port()),
        ],
    );
    assert!(text(&ca).contains("404"), "{}", text(&ca));
}

#[test]
fn an_invalid_pair_is_reported_and_read_again_when_it_changes() {
    let dir = Dir::new("pair");
    let (cert, key) = (dir.0.join("cert.pem"), dir.0.join("key.pem"));
    let files = Files {
        cert: cert.clone(),
        key: key.clone(),
    };
    let refused = |words: &str| {
        let error = Watch::begin(files.clone())
            .err()
            .expect("an error")
            .to_string();
        assert!(error.contains(words), "{error}");
    };
    refused("cert.pem can't be used: No such file");
    write_pair(&cert, &key, "cert");
    refused("key.pem can't be used: No such file");
    write_pair(&cert, &key, "key");
    refused("it is not the key of");
    std::fs::write(&key, "rubbish").unwrap();
    refused("key.pem can't be used: it contains no private key");
    std::fs::write(&cert, "").unwrap();
    refused("cert.pem can't be used: it contains no certificate");

    write_pair(&cert, &key, "cert key");
    let (mut watch, _) = Watch::begin(files).unwrap();
    assert!(watch.check().is_none(), "nothing has changed");
    for _ in 0..2 {
        let mut response = |words: &str| {
            let results: Vec<_> = (0..4).map(|_| watch.check()).collect();
            let response: Vec<_> = results.iter().flatten().collect();
            // Reported at the second look, because the first may have found a partial write;
            // and only once.
            assert!(results[0].is_none() && response.len() == 1, "{words}");
            let error = response[0].as_ref().expect_err("a fault").to_string();
            assert!(error.contains(words), "{error}");
        };
        write_pair(&cert, &key, "cert");
        response("it is not the key of");
        std::fs::remove_file(&key).unwrap();
        response("No such file");
        write_pair(&cert, &key, "cert key");
        assert!(
            watch.check().is_some_and(|result| result.is_ok()),
            "a valid pair"
        );
        assert!(watch.check().is_none());
    }
}
