//! Permissions, and what a token grants.

use crate::config::nearest;

/// Every permission there is. `kind:*` is all of a kind, `*` is all.
pub const PERMISSIONS: &[&str] = &[
    "app:create",
    "app:delete",
    "app:read",
    "app:write",
    "camera:create",
    "camera:delete",
    "camera:read",
    "camera:write",
    "ingress:create",
    "ingress:delete",
    "ingress:read",
    "series:delete",
    "series:read",
    "series:write",
    "stream:read",
    "stream:stop",
    "token:create",
    "token:delete",
    "token:read",
];

/// What a token has when nobody says otherwise: all but giving out tokens.
const USUAL: &[&str] = &["app:*", "camera:*", "ingress:*", "series:*", "stream:*"];

fn kind(permission: &str) -> &str {
    permission.split(':').next().unwrap_or(permission)
}

/// A permission, or with a star several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission(String);

impl Permission {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let all_of_kind = || {
            let kind_of = text.strip_suffix(":*")?;
            PERMISSIONS.iter().find(|known| kind(known) == kind_of)
        };
        let known = text == "*" || PERMISSIONS.contains(&text) || all_of_kind().is_some();
        known.then(|| Self(text.to_owned()))
    }

    /// Reads one that a person wrote.
    ///
    /// # Errors
    /// Says what it might have meant.
    pub fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            let hint = match nearest(text, PERMISSIONS) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("there are *, and {}", PERMISSIONS.join(", ")),
            };
            format!("{text:?} is no permission; {hint}")
        })
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it gives all that `wanted` is, which may itself have a star.
    fn covers(&self, wanted: &str) -> bool {
        let all_of_kind = self.0.strip_suffix(":*");
        self.0 == "*" || self.0 == wanted || all_of_kind.is_some_and(|own| own == kind(wanted))
    }
}

/// What somebody may do, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The one app that it is for; none: for all of them and the hub.
    pub app: Option<String>,
    /// What may be done there.
    pub permissions: Vec<Permission>,
}

impl Grant {
    /// Everything, everywhere.
    pub fn everything() -> Self {
        Self {
            app: None,
            permissions: vec![Permission("*".to_owned())],
        }
    }

    /// What a token has when nobody says otherwise.
    pub fn usual(app: Option<String>) -> Self {
        let permissions = USUAL.iter().map(|&text| Permission(text.to_owned()));
        Self {
            app,
            permissions: permissions.collect(),
        }
    }

    /// Whether it has a permission, wherever.
    pub fn has(&self, permission: &str) -> bool {
        let mut own = self.permissions.iter();
        own.any(|own| own.covers(permission))
    }

    /// Whether it reaches an app.
    pub fn reaches(&self, app: &str) -> bool {
        self.app.as_deref().is_none_or(|own| own == app)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(permissions: &[&str]) -> Grant {
        let permissions = permissions.iter().map(|text| Permission::read(text));
        Grant {
            app: None,
            permissions: permissions.collect::<Result<_, _>>().expect("permissions"),
        }
    }

    #[test]
    fn stars_stand_for_all_of_a_kind() {
        let apps = grant(&["app:*", "stream:read"]);
        for has in ["app:read", "app:delete", "app:*", "stream:read"] {
            assert!(apps.has(has), "{has}");
        }
        for lacks in ["stream:stop", "stream:*", "token:read", "*", "apps:read"] {
            assert!(!apps.has(lacks), "{lacks}");
        }
        for permission in PERMISSIONS {
            assert!(Grant::everything().has(permission));
            assert!(Permission::parse(permission).is_some());
        }
        assert!(!Grant::usual(None).has("token:create"));
    }

    #[test]
    fn what_is_no_permission_is_named() {
        for bad in [
            "",
            "app",
            "app:",
            ":*",
            "**",
            "app:read ",
            "App:read",
            "ap:*",
            "app:**",
        ] {
            assert!(Permission::read(bad).is_err(), "{bad}");
        }
        let said = Permission::read("app:raed").expect_err("no permission");
        assert!(said.contains("\"app:read\""), "{said}");
    }
}
