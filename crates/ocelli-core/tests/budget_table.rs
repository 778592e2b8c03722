//! Checks that the budget table in ARCHITECTURE.md matches the code.

use ocelli_core::PeerKind;
use std::fs;
use std::path::Path;

#[test]
fn the_budget_table_matches_the_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let page = fs::read_to_string(page).expect("the page");
    for kind in PeerKind::ALL {
        let allowance = kind.allowance();
        let share = match allowance.share {
            1000.. => "what is left".to_owned(),
            share => format!("{} %", share / 10),
        };
        let row = format!(
            "| {} | `{}` | {} µs | {share} | {} ms | {} s | {} ns |",
            allowance.noun,
            allowance.name,
            allowance.turn.as_micros(),
            allowance.burst.as_millis(),
            allowance.patience.as_secs(),
            allowance.kibibyte,
        );
        assert!(page.contains(&row), "ARCHITECTURE.md lacks the row\n{row}");
    }
}
