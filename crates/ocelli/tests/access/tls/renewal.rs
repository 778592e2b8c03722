//! The hub's own certificate and its authority: storage and renewal.

use super::{DAY, shown};
use crate::support::TIMEOUT;
use crate::support::hub::OCELLI;
use crate::support::secure::{Local, text};
use crate::support::tempdir::Dir;
use ocelli_net::tls::authority::Names;
use ocelli_net::tls::renewal::CertificateRenewer;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::SystemTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

#[tokio::test]
async fn the_certificate_is_renewed_in_time_and_when_addresses_change() {
    let dir = Dir::new("renewal");
    let pem = dir.0.join("ca.pem");
    let mut names = Names::default();
    names.add("LocalHost");
    let home: [IpAddr; 2] = ["192.168.7.7".parse().unwrap(), "fe80::1".parse().unwrap()];
    let now = SystemTime::now();
    let (mut renewer, _) = CertificateRenewer::of_authority(&dir.0, names, &home, now).unwrap();
    let (first, mut open) = shown(&renewer, &pem).await;

    assert!(!renewer.check(now, &home), "nothing has changed");
    assert!(!renewer.check(now + 59 * DAY, &home), "it is not due yet");
    // A link-local address is left out.
    assert!(!renewer.check(now, &home[..1]));
    let moved: [IpAddr; 1] = ["10.0.0.9".parse().unwrap()];
    assert!(renewer.check(now, &moved));
    assert!(!renewer.check(now, &moved));
    let (second, _) = shown(&renewer, &pem).await;
    assert_ne!(first, second);
    assert!(
        renewer.check(now + 61 * DAY, &moved),
        "a month before its end"
    );
    assert!(!renewer.check(now + 62 * DAY, &moved));
    // The clock was wrong and has been corrected.
    assert!(renewer.check(now, &moved));
    let (third, _) = shown(&renewer, &pem).await;
    assert_ne!(second, third);
    // Existing connections stay open.
    open.write_all(b"x").await.unwrap();
    let mut echo = [0];
    timeout(TIMEOUT, open.read_exact(&mut echo))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&echo, b"x");
}

#[tokio::test]
async fn the_authority_stays_and_its_key_is_private() {
    let dir = Dir::new("kept");
    let start = || Local::builder(&dir, "").start();
    let read = |name: &str| std::fs::read_to_string(dir.0.join("kept").join(name));
    drop(start());
    let (pem, key) = (read("ca.pem").unwrap(), read("ca.key").unwrap());
    let mode = std::fs::metadata(dir.0.join("kept/ca.key"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert!(key.contains("PRIVATE KEY"), "the key file is at its path");
    let hub = start();
    assert_eq!(
        (read("ca.pem").unwrap(), read("ca.key").unwrap()),
        (pem.clone(), key.clone())
    );
    let log = [hub.stdout(), hub.stderr()].concat().join("\n");
    assert!(!log.contains("PRIVATE"), "{log}");
    drop(hub);

    let refused = |words: &str| {
        let output = Command::new("timeout")
            .args(["20", OCELLI, "serve", "--listen"])
            .args(["127.0.0.1:0", "--tls", "local", "--data"])
            .arg(dir.0.join("kept"))
            .output()
            .unwrap();
        let log = text(&output);
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(words), "{log}");
        assert!(!log.contains(key.lines().nth(1).unwrap()), "{log}");
    };
    let write = |name: &str, text: &str| std::fs::write(dir.0.join("kept").join(name), text);
    write("ca.key", "").unwrap();
    refused("ca.key can't be used: it is missing");
    write("ca.key", "rubbish").unwrap();
    refused("ca.key can't be used: it is not a private key");
    let foreign = rcgen::KeyPair::generate().unwrap().serialize_pem();
    write("ca.key", &foreign).unwrap();
    refused("ca.pem can't be used");
    write("ca.key", &key).unwrap();
    write("ca.pem", "rubbish").unwrap();
    refused("ca.pem can't be used: it is not a certificate");
    // A start that was interrupted before the certificate was written.
    std::fs::remove_file(dir.0.join("kept/ca.pem")).unwrap();
    drop(start());
    assert!(read("ca.pem").unwrap().contains("BEGIN CERTIFICATE"));
    assert_eq!(read("ca.key").unwrap(), key);
}
