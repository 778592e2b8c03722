//! The reference of sources and configuration, made from the lists in the code,
//! so that it cannot say something else. `docs/reference/sources.md` is its output.

use crate::{config, telemetry};
use ocelli_media::sources;
use std::fmt::Write;

/// The page.
pub fn text() -> String {
    let mut page = String::from(
        "# Sources and configuration\n\n\
         This page is made from the program: `ocelli reference > docs/reference/sources.md`.\n\n\
         A source is an address. On the command line it stands alone or behind an id,\n\
         `door=rtsp://…`; in the configuration file it is a camera's `source`.\n\n\
         ## Kinds of source\n\n\
         | kind | addresses that begin with | what it is for |\n|---|---|---|\n",
    );
    for kind in sources::KINDS {
        let schemes: Vec<_> = kind
            .schemes
            .iter()
            .map(|scheme| format!("`{scheme}:`"))
            .collect();
        line(
            &mut page,
            format_args!("| {} | {} | {} |", kind.name, schemes.join(" "), kind.about),
        );
    }
    page.push_str("\n## Keys of every `[[camera]]`\n\n| key | meaning |\n|---|---|\n");
    options(&mut page, config::OPTIONS);
    for kind in sources::KINDS {
        line(
            &mut page,
            format_args!("\n## {}\n\n{}\n", kind.name, kind.about),
        );
        let example = match kind
            .schemes
            .contains(&kind.example.split(':').next().unwrap_or(""))
        {
            true => format!("source = \"{}\"", kind.example),
            false => kind.example.to_owned(),
        };
        line(
            &mut page,
            format_args!("```toml\n[[camera]]\nid = \"cam1\"\n{example}\n```"),
        );
        if !kind.options.is_empty() {
            page.push_str("\n| key | meaning |\n|---|---|\n");
            options(&mut page, kind.options);
        }
    }
    page.push_str("\n## Keys of the file\n\n| key | meaning |\n|---|---|\n");
    options(&mut page, config::FILE_OPTIONS);
    page.push_str("\n## Keys of `[tls]`\n\n| key | meaning |\n|---|---|\n");
    options(&mut page, config::TLS_OPTIONS);
    page.push_str("\n## Keys of `[app.<name>]`\n\n| key | meaning |\n|---|---|\n");
    options(&mut page, config::APP_OPTIONS);
    for (table, keys) in [
        ("limits", config::LIMIT_OPTIONS),
        ("log", config::LOG_OPTIONS),
        ("metrics", config::METRICS_OPTIONS),
        ("telemetry", telemetry::OPTIONS),
    ] {
        line(
            &mut page,
            format_args!("\n## Keys of `[{table}]`\n\n| key | meaning |\n|---|---|"),
        );
        options(&mut page, keys);
    }
    page
}

fn options(page: &mut String, options: &[(&str, &str)]) {
    for (key, meaning) in options {
        line(
            page,
            format_args!("| `{key}` | {} |", meaning.replace('|', "\\|")),
        );
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{text}");
}
