//! Whole numbers in JSON, which has only one number type: `300.0` is 300.

use serde::de::{Deserialize, Deserializer, Error, Unexpected};

/// Reads an optional whole number; for `#[serde(deserialize_with)]` together with
/// `#[serde(default)]`.
///
/// # Errors
/// Returns an error if the value is not a number, has a fraction, or is not within 0 to
/// 2³²-1.
pub fn whole<'de, D: Deserializer<'de>>(json: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(json)? else {
        return Ok(None);
    };
    if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
        // The range makes the conversion exact.
        return Ok(Some(number as u32));
    }
    Err(D::Error::invalid_value(
        Unexpected::Float(number),
        &"a whole number",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_fraction_is_accepted() {
        let read = |text: &str| whole(&mut serde_json::Deserializer::from_str(text)).ok();
        assert_eq!(read("300.0"), Some(Some(300)));
        assert_eq!(read("4294967295"), Some(Some(u32::MAX)));
        assert_eq!(read("null"), Some(None));
        for bad in ["1.5", "-1", "4294967296", "1e300", "\"1\"", "true"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
