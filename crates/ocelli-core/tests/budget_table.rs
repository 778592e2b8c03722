//! ARCHITECTURE.md states the budgets that the code has.

use ocelli_core::PeerKind;
use std::fs;
use std::path::Path;

#[test]
fn the_table_of_budgets_is_the_codes() {
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
