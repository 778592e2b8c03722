//! Distribution of the hub's certificate authority: output of the program, this machine's trust
//! stores, and the checks of the doctor.

use crate::support::doctor::doctor_with;
use crate::support::hub::OCELLI;
use crate::support::secure::{Local, curl, text};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

fn ocelli(arguments: &[&str], environment: &[(&str, &Path)]) -> (bool, String) {
    let mut command = Command::new(OCELLI);
    command.envs(environment.iter().copied()).args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.success(), text(&output))
}

#[tokio::test]
async fn the_authority_is_shown_and_installed_on_this_machine() {
    let local = Local::start();
    let data = local.dir.0.join("kept");
    let place = ["--data", data.to_str().unwrap()];
    let (good, shown) = ocelli(&[&["ca", "show"][..], &place].concat(), &[]);
    let facts = Command::new("openssl")
        .args([
            "x509",
            "-noout",
            "-fingerprint",
            "-sha256",
            "-dateopt",
            "iso_8601",
            "-enddate",
            "-in",
        ])
        .arg(local.authority())
        .output()
        .unwrap();
    let facts = text(&facts);
    let fact = |name: &str| {
        let line = facts.lines().find_map(|line| {
            line.split_once('=')
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        });
        line.unwrap_or_else(|| panic!("{name}: {facts}"))
            .1
            .to_owned()
    };
    assert!(
        good && shown.contains(&fact("sha256 Fingerprint")),
        "{shown}"
    );
    assert!(shown.contains(&fact("notAfter")[..10]), "{facts}{shown}");
    assert!(shown.contains(&std::fs::read_to_string(local.authority()).unwrap()));
    assert!(!shown.contains("PRIVATE"), "{shown}");
    // Its output is readable by PEM parsers.
    let whole = local.dir.write("shown.txt", &shown);
    let page = curl(&whole, &[&local.hub.url("/health")]);
    assert!(text(&page).contains("\"ok\""), "{}", text(&page));

    // A machine with certutil but without a system trust store.
    let (home, programs) = (local.dir.0.join("home"), local.dir.0.join("programs"));
    for folder in [&home, &programs] {
        std::fs::create_dir(folder).unwrap();
    }
    let certutil = "/usr/bin/certutil";
    symlink(certutil, programs.join("certutil")).unwrap();
    let install = [&["ca", "install"][..], &place].concat();
    let environment = [("HOME", home.as_path()), ("PATH", programs.as_path())];
    let (good, dry) = ocelli(&[&install[..], &["--dry-run"]].concat(), &environment);
    assert!(good && dry.contains("-A -t 'C,,'"), "{dry}");
    assert!(
        std::fs::read_dir(&home).unwrap().next().is_none(),
        "nothing was done"
    );
    for _ in 0..2 {
        let (good, output_text) = ocelli(&install, &environment);
        assert!(good && output_text.contains("Done."), "{output_text}");
    }
    let database = format!("sql:{}", home.join(".pki/nssdb").display());
    let list = Command::new(certutil)
        .args(["-L", "-d", &database])
        .output();
    let list = text(&list.unwrap());
    assert_eq!(list.matches("C,,").count(), 1, "{list}");

    let empty = [("HOME", home.as_path()), ("PATH", home.as_path())];
    let (good, output_text) = ocelli(&install, &empty);
    assert!(
        !good && output_text.contains("libnss3-tools"),
        "{output_text}"
    );
    let (good, output_text) = ocelli(&["ca", "show", "--data", home.to_str().unwrap()], &[]);
    assert!(
        !good && output_text.contains("--tls local"),
        "{output_text}"
    );
}

#[tokio::test]
async fn the_doctor_passes_where_the_authority_is_trusted() {
    let local = Local::start();
    let target = format!("wss://localhost:{}/ws/cameras", local.port());
    let known = local.authority();
    let environment = [
        ("SSL_CERT_FILE", known.to_str().unwrap()),
        ("SSL_CERT_DIR", "/nowhere"),
    ];
    let output = doctor_with(&[&target], &environment);
    assert_eq!(output.code, Some(0), "{}", output.all);
    output.finding("pass", "certificate");
    output.finding("pass", "accept");
    let nothing = local.dir.write("nothing.pem", "");
    let stranger = [
        ("SSL_CERT_FILE", nothing.to_str().unwrap()),
        ("SSL_CERT_DIR", "/nowhere"),
    ];
    let output = doctor_with(&[&target], &stranger);
    assert_eq!(output.code, Some(1), "{}", output.all);
}
