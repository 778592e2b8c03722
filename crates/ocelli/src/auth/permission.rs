//! Permissions, roles, and the grants of tokens and users.

use ocelli_config::nearest;

/// All permissions. In a grant, `kind:*` stands for all of a kind and `*` for all.
pub const PERMISSIONS: &[&str] = &[
    "app:create",
    "app:delete",
    "app:read",
    "app:write",
    "camera:create",
    "camera:delete",
    "camera:read",
    "camera:share",
    "camera:write",
    "ingress:create",
    "ingress:delete",
    "ingress:read",
    "series:delete",
    "series:read",
    "series:write",
    "session:delete",
    "session:read",
    "stream:read",
    "stream:stop",
    "token:create",
    "token:delete",
    "token:read",
    "user:create",
    "user:delete",
    "user:read",
    "user:write",
];

/// A token's permissions by default: everything except creating tokens.
const DEFAULT_PERMISSIONS: &[&str] = &["app:*", "camera:*", "ingress:*", "series:*", "stream:*"];

fn kind(permission: &str) -> &str {
    permission.split(':').next().unwrap_or(permission)
}

/// A permission, possibly with a wildcard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission(String);

impl Permission {
    /// Parses a permission.
    pub fn parse(text: &str) -> Option<Self> {
        let all_of_kind = || {
            let kind_of = text.strip_suffix(":*")?;
            PERMISSIONS.iter().find(|known| kind(known) == kind_of)
        };
        let known = text == "*" || PERMISSIONS.contains(&text) || all_of_kind().is_some();
        known.then(|| Self(text.to_owned()))
    }

    /// Parses a permission that a person wrote.
    ///
    /// # Errors
    /// The message suggests the nearest permission or lists all.
    pub fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            let hint = match nearest(text, PERMISSIONS) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("the permissions are *, {}", PERMISSIONS.join(", ")),
            };
            format!("{text:?} is not a permission; {hint}")
        })
    }

    /// The permission as text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Returns true if this covers `wanted`, which may have a wildcard as well.
    fn covers(&self, wanted: &str) -> bool {
        let all_of_kind = self.0.strip_suffix(":*");
        self.0 == "*" || self.0 == wanted || all_of_kind.is_some_and(|own| own == kind(wanted))
    }
}

/// The permissions of one token or one role, and the app they apply to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The app they apply to; `None` for all apps and the hub itself.
    pub app: Option<String>,
    /// The permissions there.
    pub permissions: Vec<Permission>,
}

impl Allowance {
    /// These permissions, which must be valid.
    fn of(app: Option<String>, permissions: &[&str]) -> Self {
        let permissions = permissions.iter().map(|&text| Permission(text.to_owned()));
        Self {
            app,
            permissions: permissions.collect(),
        }
    }

    /// The default permissions of a token.
    pub fn default_for_token(app: Option<String>) -> Self {
        Self::of(app, DEFAULT_PERMISSIONS)
    }

    fn has(&self, permission: &str) -> bool {
        self.permissions.iter().any(|own| own.covers(permission))
    }

    fn applies_to(&self, app: Option<&str>) -> bool {
        self.app.is_none() || self.app.as_deref() == app
    }
}

/// A user's role in one app or in all apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May do everything there.
    Admin,
    /// Manages and shares the cameras and their keys.
    Operator,
    /// Watches cameras, also in apps without public playback.
    Viewer,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Admin, Role::Operator, Role::Viewer];

    /// The name of the role.
    pub fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Operator => "operator",
            Role::Viewer => "viewer",
        }
    }

    /// Parses the name of a role.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The permissions of the role.
    fn permissions(self) -> &'static [&'static str] {
        match self {
            Role::Admin => &["*"],
            Role::Operator => &["app:read", "camera:*", "ingress:*", "series:*", "stream:*"],
            Role::Viewer => &["app:read", "camera:read", "series:read", "stream:read"],
        }
    }

    /// The allowance of the role in one app, or in all apps.
    pub fn allowance(self, app: Option<String>) -> Allowance {
        Allowance::of(app, self.permissions())
    }
}

/// A missing permission; the message names it and the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied(pub String);

/// The sum of all allowances of a token or a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant(Vec<Allowance>);

impl Grant {
    /// Combines allowances.
    pub fn new(allowances: impl IntoIterator<Item = Allowance>) -> Self {
        Self(allowances.into_iter().collect())
    }

    /// Every permission in every app and for the hub.
    pub fn everything() -> Self {
        Self::new([Allowance::of(None, &["*"])])
    }

    /// Adds another grant.
    pub fn add(&mut self, other: Grant) {
        self.0.extend(other.0);
    }

    /// Returns true if it has the permission in any app.
    pub fn has(&self, permission: &str) -> bool {
        self.0.iter().any(|own| own.has(permission))
    }

    /// Returns true if it has the permission in `app`; with `None`, for all apps and the hub.
    pub fn allows(&self, permission: &str, app: Option<&str>) -> bool {
        let mut own = self.0.iter();
        own.any(|own| own.applies_to(app) && own.has(permission))
    }

    /// Returns a permission of `other` that this grant lacks, with its app unless it is for all.
    pub fn lacks<'g>(&self, other: &'g Grant) -> Option<(&'g str, Option<&'g str>)> {
        let wanted = other.0.iter().flat_map(|wanted| {
            let permissions = wanted.permissions.iter();
            permissions.map(|permission| (permission.text(), wanted.app.as_deref()))
        });
        let mut missing = wanted.filter(|(permission, app)| !self.allows(permission, *app));
        missing.next()
    }

    /// Checks for a permission, in `app` if one is given.
    ///
    /// # Errors
    /// The message names the permission and the app.
    pub fn check(&self, permission: &str, app: Option<&str>) -> Result<(), Denied> {
        if !self.has(permission) {
            return Err(Denied(format!(
                "this needs the permission {permission:?}, which neither the token nor a \
                 role grants"
            )));
        }
        match app {
            Some(app) if !self.allows(permission, Some(app)) => Err(Denied(format!(
                "this needs the permission {permission:?} in app {app:?}; the token or the role \
                 grants it only in another app"
            ))),
            _ => Ok(()),
        }
    }

    /// Checks for a permission in all apps and for the hub.
    ///
    /// # Errors
    /// The message names the permission.
    pub fn check_global(&self, permission: &str) -> Result<(), Denied> {
        if self.allows(permission, None) {
            return Ok(());
        }
        Err(Denied(format!(
            "this needs the permission {permission:?} in a global token or in a role for all \
             apps; here it applies to one app only"
        )))
    }

    /// Checks that this grant covers `given`, another grant that is about to be given to a user or
    /// a token.
    ///
    /// # Errors
    /// The message names the missing permission.
    pub fn check_covers(&self, given: &Grant) -> Result<(), Denied> {
        let Some((permission, app)) = self.lacks(given) else {
            return Ok(());
        };
        let place = app.map_or_else(|| "all apps".to_owned(), |app| format!("app {app:?}"));
        Err(Denied(format!(
            "you can grant only permissions that you have: this needs {permission:?} in {place}"
        )))
    }

    /// The permissions in `app`; with `None`, those for all apps and the hub.
    pub fn list(&self, app: Option<&str>) -> Vec<&'static str> {
        let all = PERMISSIONS.iter().copied();
        all.filter(|permission| self.allows(permission, app))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(permissions: &[&str]) -> Grant {
        let permissions = permissions.iter().map(|text| Permission::read(text));
        Grant::new([Allowance {
            app: None,
            permissions: permissions.collect::<Result<_, _>>().expect("permissions"),
        }])
    }

    #[test]
    fn each_role_applies_to_its_own_app() {
        let roles = [(Role::Viewer, "yard"), (Role::Operator, "barn")];
        let grant = Grant::new(roles.map(|(role, app)| role.allowance(Some(app.to_owned()))));
        assert!(grant.has("camera:share"));
        for (permission, app, allowed) in [
            ("camera:read", Some("yard"), true),
            ("camera:share", Some("yard"), false),
            ("camera:share", Some("barn"), true),
            ("camera:read", Some("live"), false),
            ("camera:read", None, false),
        ] {
            assert_eq!(
                grant.allows(permission, app),
                allowed,
                "{permission} {app:?}"
            );
        }
        let operator = Grant::new([Role::Operator.allowance(None)]);
        assert_eq!(operator.lacks(&grant), None);
        assert_eq!(grant.lacks(&operator), Some(("app:read", None)));
        assert_eq!(operator.lacks(&Grant::everything()), Some(("*", None)));
        assert_eq!(
            grant.list(Some("yard")),
            ["app:read", "camera:read", "series:read", "stream:read"]
        );
        for role in Role::ALL {
            assert_eq!(Role::parse(role.name()), Some(role));
            for text in role.permissions() {
                assert!(Permission::parse(text).is_some(), "{text}");
            }
        }
        // Only an admin creates tokens or manages other users.
        for closed in ["token:create", "user:read", "session:read", "app:write"] {
            assert!(!operator.has(closed), "{closed}");
        }
    }

    #[test]
    fn a_wildcard_covers_all_of_a_kind() {
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
        assert!(!Allowance::default_for_token(None).has("token:create"));
    }

    #[test]
    fn an_unknown_permission_is_named() {
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
        let text = Permission::read("app:raed").expect_err("no permission");
        assert!(text.contains("\"app:read\""), "{text}");
    }
}
